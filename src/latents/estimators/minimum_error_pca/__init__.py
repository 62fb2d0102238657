"""PCA by minimum error (source, section 2): ``estimator`` is the class, each other file an idea of it."""
