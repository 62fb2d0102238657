"""The class-conditioned VAE (source, section 3): ``estimator`` is the class, each other file an idea of it."""
