"""A small trained predictor of each kind."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from latents.estimators import ConditionalVAE, MinimumErrorPCA, MultinomialMixture
from latents.features.words import WordRules, count_words
from latents.predictors import ClusteringPredictor, CVAEPredictor, PCAPredictor

RULES = WordRules(r"(?u)\b[^\W\d_]{3,}\b", True, frozenset({"the", "and"}), (1, 1))
SEA = "the ship and the sail, harbour wind"
SKY = "the plane and the wing; airport wind"
TEXTS = [SEA, SKY, "sail Harbour ship", "Wing airport plane", "ship ship wind", "plane plane wind"] * 3


@pytest.fixture(scope="session")
def clustering():
    counted = count_words(TEXTS, **RULES._asdict())
    model = MultinomialMixture(2, smoothing=0.1, random_state=0).fit(counted.counts)
    sea = int(model.predict(counted.counts)[0])
    names = ["sky", "sky"]
    names[sea] = "sea"
    return ClusteringPredictor(model, counted.words, RULES, names)


@pytest.fixture(scope="session")
def digits():
    images, labels = load_digits(return_X_y=True)
    return images.reshape(-1, 8, 8)[:300], labels[:300]


@pytest.fixture(scope="session")
def pca(digits):
    return PCAPredictor(MinimumErrorPCA(4).fit(digits[0].reshape(300, 64)), shape=(8, 8))


@pytest.fixture(scope="session")
def features():
    rows = np.random.default_rng(0).normal(size=(30, 3))
    return PCAPredictor(MinimumErrorPCA(2).fit(rows), feature_names=["a", "b", "c"]), rows


@pytest.fixture(scope="session")
def cvae(digits):
    images, labels = digits
    model = ConditionalVAE(
        n_latents=4, hidden=(32, 32), epochs=10, learning_rate=1e-2, compiled=False, random_state=0
    )
    return CVAEPredictor(model.fit(images.reshape(300, 64) / 16, labels), (8, 8), 16.0)
