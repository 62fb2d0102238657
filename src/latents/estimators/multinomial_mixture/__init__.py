"""The mixture of multinomials (source, 1.1 and 1.2): ``estimator`` is the class, each other file an idea of it."""
