"""Images in, coordinates and errors out."""

import numpy as np
import pandas as pd
import pytest

from latents.estimators import MinimumErrorPCA
from latents.predictors import PCAPredictor


def test_coordinates_errors_and_reconstructions_are_those_of_the_basis(pca_predictor, digits):
    images, _ = digits
    table, rebuilt = pca_predictor.predict(images), pca_predictor.reconstruct(images)
    assert list(table) == ["pc1", "pc2", "pc3", "pc4", "error"]
    rows = images.reshape(-1, 64)
    np.testing.assert_allclose(table.filter(like="pc"), pca_predictor.model.transform(rows))
    assert rebuilt.shape == images.shape
    np.testing.assert_allclose(((images - rebuilt) ** 2).sum(axis=(1, 2)), table["error"])
    assert table["error"].mean() == pytest.approx(pca_predictor.model.distortion_)


def test_one_image_of_any_kind_of_numbers(pca_predictor, digits):
    one = digits[0][:1]
    expected = pca_predictor.predict(one)
    for given in (
        one.astype(np.uint8),
        one.tolist(),
        list(one),
        one[..., np.newaxis],
        one.astype(np.float32),
    ):
        pd.testing.assert_frame_equal(
            pca_predictor.predict(given), expected, check_exact=False, rtol=1e-5, check_dtype=False
        )


def test_other_shapes_and_numbers_are_refused(pca_predictor, digits):
    with pytest.raises(
        ValueError, match=r"images have shape \(4, 4\); the model was trained on images of \(8, 8\)"
    ):
        pca_predictor.predict(np.ones((2, 4, 4)))
    with pytest.raises(ValueError, match=r"images have shape \(64,\); allowed"):
        pca_predictor.predict(digits[0].reshape(-1, 64))
    broken = digits[0].copy()
    broken[5, 1, 2] = np.nan
    for method in (pca_predictor.predict, pca_predictor.reconstruct):
        with pytest.raises(ValueError, match=r"image 5 has nan at \(1, 2\)"):
            method(broken)


@pytest.mark.parametrize("value", [3e152, 1e200, 1e308])
def test_numbers_whose_squares_are_none_are_refused(pca_predictor, digits, value, recwarn):
    images = digits[0][:3].copy()
    images[1, 0, 0] = value
    for method in (pca_predictor.predict, pca_predictor.reconstruct):
        with pytest.raises(
            ValueError, match=r"image 1 has a number \de\+\d+, which is too large to be squared"
        ):
            method(images)
    assert not recwarn.list


def test_the_largest_numbers_that_are_allowed_are_predicted(pca_predictor, digits, recwarn):
    images = np.full((2, 8, 8), np.sqrt(np.finfo(np.float64).max / (64 * 64)) * 0.999)
    images[1] *= np.random.default_rng(0).choice([-1, 1], (8, 8))
    assert np.isfinite(pca_predictor.predict(images).to_numpy()).all()
    assert np.isfinite(pca_predictor.reconstruct(images)).all()
    assert not recwarn.list


@pytest.mark.parametrize("kind", ["Int64", "Float64", "int64[pyarrow]"])
def test_columns_of_pandas_own_types(feature_predictor, kind):
    predictor, _ = feature_predictor
    table = pd.DataFrame({"a": [1, 2], "b": [3, 4], "c": [0.5, 6]})
    pd.testing.assert_frame_equal(predictor.predict(table.astype({"b": kind})), predictor.predict(table))


def test_colour():
    images = np.random.default_rng(0).random((20, 2, 3, 3))
    predictor = PCAPredictor(MinimumErrorPCA(2).fit(images.reshape(20, -1)), shape=(2, 3, 3))
    assert predictor.reconstruct(images[:4]).shape == (4, 2, 3, 3)
    assert len(predictor.predict(images[:4])) == 4


def test_rows_of_features_by_place_and_by_name(feature_predictor):
    predictor, rows = feature_predictor
    expected = predictor.predict(rows)
    np.testing.assert_allclose(expected.filter(like="pc"), predictor.model.transform(rows))
    table = pd.DataFrame(rows, columns=["a", "b", "c"]).assign(day="Monday")[["day", "c", "a", "b"]]
    pd.testing.assert_frame_equal(predictor.predict(table), expected)
    assert predictor.reconstruct(rows).shape == rows.shape


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.ones((2, 2)), r"features have shape \(2, 2\); allowed are rows of 3 numbers"),
        (np.ones((0, 3)), r"features have shape \(0, 3\)"),
        (np.ones(3), r"features have shape \(3,\)"),
        ([[1, 2, 3], [1, np.inf, 3]], "row 1 has inf in feature 'b'; allowed are finite numbers"),
        ([["x", "y", "z"]], "features are of type <U1"),
        (pd.DataFrame({"a": [1], "c": [1]}), "there is no feature 'b' among 'a', 'c'"),
        (
            pd.DataFrame({"a": [1, 2], "b": pd.array([1, None], "Int64"), "c": [1.5, 2]}),
            "row 1 has nan in feature 'b'; allowed are finite numbers",
        ),
        ([[1, 2, 3], [1, -1e200, 3]], r"row 1 has a number -1e\+200, which is too large to be squared"),
    ],
)
def test_other_features_are_refused(feature_predictor, given, said):
    with pytest.raises(ValueError, match=said):
        feature_predictor[0].predict(given)


@pytest.mark.parametrize("parts", [{}, {"shape": (8, 8), "feature_names": ["a"]}])
def test_images_or_features(pca_predictor, parts):
    with pytest.raises(ValueError, match="either the shape of an image or names of features"):
        PCAPredictor(pca_predictor.model, **parts)


def test_a_shape_that_is_not_the_models(pca_predictor):
    with pytest.raises(ValueError, match="make 63 numbers a row; the model has 64"):
        PCAPredictor(pca_predictor.model, shape=(7, 9))


# Some of the components


@pytest.fixture(scope="module", params=[{}, {"whiten": True}], ids=["plain", "whitened"])
def of_all(request, digits):
    """A predictor of twelve components, and the components by numpy."""
    rows = digits[0].reshape(-1, 64)
    predictor = PCAPredictor(MinimumErrorPCA(12, **request.param).fit(rows), shape=(8, 8))
    return predictor, np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:12]


@pytest.mark.parametrize("n_components", [0, 1, 5, 12])
def test_the_first_components_rebuild_as_numpy_does(of_all, digits, n_components):
    predictor, components = of_all
    rows = digits[0].reshape(-1, 64)
    kept, mean = components[:n_components], rows.mean(axis=0)
    expected = mean + (rows - mean) @ kept.T @ kept
    rebuilt = predictor.reconstruct(digits[0], n_components=n_components)
    np.testing.assert_allclose(rebuilt.reshape(-1, 64), expected, atol=1e-8)
    errors = ((rows - expected) ** 2).sum(axis=1)
    np.testing.assert_allclose(predictor.error_curves(digits[0])[:, n_components], errors, atol=1e-8)


def test_curves_fall_to_the_error_of_the_table(of_all, digits):
    predictor, _ = of_all
    curves = predictor.error_curves(digits[0])
    assert curves.shape == (300, 13)
    assert (np.diff(curves, axis=1) <= 0).all()
    np.testing.assert_array_equal(curves[:, -1], predictor.predict(digits[0])["error"])
    np.testing.assert_array_equal(
        predictor.reconstruct(digits[0]), predictor.reconstruct(digits[0], n_components=12)
    )


def test_curves_of_rows_and_of_colours_are_those_of_their_reconstructions(feature_predictor):
    predictor, rows = feature_predictor
    for e in range(3):
        rest = ((rows - predictor.reconstruct(rows, n_components=e)) ** 2).sum(axis=1)
        np.testing.assert_allclose(predictor.error_curves(rows)[:, e], rest, atol=1e-12)
    images = np.random.default_rng(0).random((20, 2, 3, 3))
    coloured = PCAPredictor(MinimumErrorPCA(2).fit(images.reshape(20, -1)), shape=(2, 3, 3))
    rebuilt = coloured.reconstruct(images[:4], n_components=1)
    assert rebuilt.shape == (4, 2, 3, 3)
    np.testing.assert_allclose(
        coloured.error_curves(images[:4])[:, 1], ((images[:4] - rebuilt) ** 2).sum(axis=(1, 2, 3))
    )


@pytest.mark.parametrize("n_components", [-1, 5, 99])
def test_a_number_of_components_that_the_model_does_not_have(pca_predictor, digits, n_components):
    with pytest.raises(ValueError, match=f"n_components is {n_components}; allowed are 0 to 4"):
        pca_predictor.reconstruct(digits[0], n_components=n_components)


def test_images_that_are_none_have_no_curve(pca_predictor):
    with pytest.raises(ValueError, match=r"images have shape \(4, 4\); the model was trained on images"):
        pca_predictor.error_curves(np.ones((2, 4, 4)))
