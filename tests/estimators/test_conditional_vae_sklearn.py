"""scikit-learn's own checks of ``ConditionalVAE``."""

import numpy as np
from scipy.special import expit
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import _num_samples, check_is_fitted

from latents.estimators import ConditionalVAE


class CheckedVAE(ConditionalVAE):
    """Takes what the checks feed: real values instead of pixels, and X without classes after fit."""

    def _to_pixels(self, X):
        return super()._to_pixels(expit(X))

    def transform(self, X, y=None):
        return super().transform(X, self._classes_for(X, y))

    def score_samples(self, X, y=None):
        return super().score_samples(X, self._classes_for(X, y))

    def _classes_for(self, X, y):
        check_is_fitted(self)
        return np.full(_num_samples(X), self.classes_[0]) if y is None else y


NEEDS_CLASSES = (
    "compares fit_transform(X, y) with transform(X), but the posterior depends on y; "
    "test_fit_transform_is_fit_then_transform does it with y"
)
NOISE_BY_POSITION = (
    "bounds and importance-sampled posteriors are Monte Carlo estimates whose noise goes by the "
    "position of the image; test_transform_of_a_subset covers what is free of noise"
)
WAIVERS = {
    "check_transformer_data_not_an_array": NEEDS_CLASSES,
    "check_transformer_general": NEEDS_CLASSES,
    "check_methods_sample_order_invariance": NOISE_BY_POSITION,
    "check_methods_subset_invariance": NOISE_BY_POSITION,
}


@parametrize_with_checks(
    [
        CheckedVAE(n_latents=2, hidden=(8,), epochs=2),
        CheckedVAE(n_latents=2, hidden=(8,), epochs=2, prior="per_class"),
    ],
    expected_failed_checks=lambda estimator: WAIVERS,
)
def test_scikit_learn(estimator, check):
    check(estimator)
