"""The pages, laid out with NiceGUI: what is where, and what happens when something is touched."""
