"""Where what is large is carried out: on the processes of a cluster."""
