import numpy as np
import pytest
from matplotlib.colors import Normalize
from sklearn.datasets import load_digits

from latents.reporting import pca
from tests.reporting.sheets import texts, tiles


@pytest.fixture(scope="module")
def digits():
    X = load_digits().data
    centred = X - X.mean(axis=0)
    _, singular, basis = np.linalg.svd(centred, full_matrices=False)
    eigenvalues = singular**2 / len(X)
    curve = np.append(eigenvalues.sum() - np.append(0, np.cumsum(eigenvalues))[:-1], 0.0)
    return X, centred, basis, eigenvalues / eigenvalues.sum(), curve


def test_eigenimages_are_the_components_symmetric_about_zero(digits):
    _, _, basis, ratio, _ = digits
    figure = pca.eigenimages(basis, (8, 8), ratio, n_max=11)
    shown = tiles(figure)
    assert len(shown) == 11
    for image, component in zip(shown, basis, strict=False):
        np.testing.assert_array_equal(image.ravel(), component)
    for image in figure.axes[0].images:
        low, high = image.get_clim()
        assert low == -high
        assert high == np.abs(image.get_array()).max()
    assert f"The first 11 basis images hold {ratio[:11].sum():.1%} of the variance" in texts(figure)
    assert f"{ratio[10]:.1%}" in texts(figure)


def test_eigenimages_in_colour_have_grey_for_zero():
    basis = np.linspace(-2, 1, 2 * 4 * 5 * 3).reshape(2, -1)
    basis[0, 0] = 0.0
    figure = pca.eigenimages(basis, (4, 5, 3), [0.5, 0.25], 24)
    first = tiles(figure)[0]
    largest = np.abs(basis[0]).max()
    np.testing.assert_allclose(first.ravel(), 0.5 + basis[0] / (2 * largest))
    assert first[0, 0, 0] == 0.5


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 9), (4, 6, 3, 3)])
def test_reconstructions_stand_in_rows_by_d_on_the_originals_scale(shape):
    rng = np.random.default_rng(0)
    originals = rng.uniform(2, 5, shape)
    rebuilt = {d: rng.uniform(1, 6, shape) for d in (20, 3, 7)}
    figure = pca.reconstructions(originals, rebuilt, {3: 30.5, 7: 1234.6, 20: 0.25})
    expected = np.concatenate([originals, rebuilt[3], rebuilt[7], rebuilt[20]])
    if len(shape) == 4:
        low, high = originals.min(), originals.max()
        expected = np.asarray(Normalize(low, high, clip=True)(expected))
    np.testing.assert_allclose(np.stack(tiles(figure)), expected)
    limits = {image.get_clim() for image in figure.axes[0].images}
    assert limits == {(originals.min(), originals.max())}
    heights = [image.get_extent()[3] for image in figure.axes[0].images]
    assert len(set(heights)) == 4
    assert heights == sorted(heights)
    written = texts(figure)
    names = [text for text in written if text.startswith(("original", "d ="))]
    assert names == ["original", "d = 3", "d = 7", "d = 20"]
    assert {"30.5", "1,235", "0.250"} <= set(written)
    assert "(squared input units)" in written


def test_constant_images_are_drawn():
    pca.eigenimages(np.zeros((1, 6)), (2, 3), [0.0], 24).canvas.draw()
    flat = np.full((2, 3, 3), 7)
    pca.reconstructions(flat, {1: flat}, {1: 0.0}).canvas.draw()


def test_distortion_curve_and_measured_marks(digits):
    _, centred, basis, _, curve = digits
    ds = [1, 5, 30]
    errors = [np.mean(np.sum((centred - centred @ basis[:d].T @ basis[:d]) ** 2, axis=1)) for d in ds]
    figure = pca.distortion_curve(curve, ds, errors, 20)
    line, marks = figure.data
    np.testing.assert_array_equal(line.x, np.arange(65))
    np.testing.assert_array_equal(line.y, curve)
    np.testing.assert_array_equal(marks.x, ds)
    np.testing.assert_array_equal(marks.y, errors)
    # What the subtitle says: the marks lie on the line.
    np.testing.assert_allclose(marks.y, np.asarray(line.y)[ds])
    assert figure.layout.yaxis.title.text == "mean squared error (squared input units)"
    assert figure.layout.xaxis.title.text == "number of components d"
    assert figure.layout.shapes[0].x0 == 20


def test_what_weights_change_stands_beside():
    figure = pca.distortion_curve([3.0, 2.0, 1.0], [2], [1.0], 2, unweighted=[4.0, 2.5, 1.5])
    (alike,) = [line for line in figure.data if line.name == "training, all alike"]
    np.testing.assert_array_equal(alike.y, [4.0, 2.5, 1.5])
    assert alike.line.dash == "dash"
    assert "Dashed: the same basis where all rows count alike" in figure.layout.title.subtitle.text
    with pytest.raises(ValueError, match="unweighted has 2"):
        pca.distortion_curve([3.0, 2.0, 1.0], [2], [1.0], 2, unweighted=[4.0, 2.5])


def test_distortion_curve_of_constant_data():
    assert "error of 0" in pca.distortion_curve(np.zeros(4), [1], [0.0], 1).layout.title.text


@pytest.mark.parametrize(("size", "kind"), [(12, "bar"), (300, "scatter")])
def test_spectrum_splits_kept_from_discarded(size, kind):
    ratio = np.sort(np.random.default_rng(0).dirichlet(np.ones(size)))[::-1]
    figure = pca.spectrum(ratio, 5)
    kept, discarded, running = figure.data
    assert kept.type == discarded.type == kind
    np.testing.assert_array_equal(np.append(kept.y, discarded.y), ratio)
    np.testing.assert_array_equal(np.append(kept.x, discarded.x), np.arange(1, size + 1))
    assert len(kept.x) == 5
    np.testing.assert_allclose(running.y, np.cumsum(ratio))
    assert figure.layout.title.text == f"5 components keep {ratio[:5].sum():.1%} of the variance"
    assert figure.layout.yaxis.title.text == "share of variance"
    assert figure.layout.yaxis2.title.text == "running sum"


def test_spectrum_that_stops_short_is_not_stretched():
    figure = pca.spectrum([0.5, 0.2], 2)
    assert figure.data[2].y[-1] == pytest.approx(0.7)


VALUES, NOISE = [9.0, 5.0, 1.2, 1.0, 0.8, 0.0], [4.0, 2.0, 1.5]


def test_eigenvalues_stand_beside_what_noise_would_have():
    figure = pca.against_noise(VALUES, NOISE, 2, 1.3)
    kept, left_out, noise, beyond = figure.data
    np.testing.assert_array_equal(np.append(kept.y, left_out.y)[:5], VALUES[:5])
    assert 0 < left_out.y[-1] < 1e-6  # a logarithmic axis has no 0
    np.testing.assert_array_equal(noise.y, NOISE)
    np.testing.assert_allclose(figure.layout.yaxis.range, [np.log10(1.5 / 20) - 0.1, np.log10(9) + 0.1])
    assert list(kept.x) == [1, 2]
    assert list(beyond.x) == [3, 6]
    assert set(beyond.y) == {1.5}
    assert figure.layout.title.text == "2 components stand out of the noise"
    said = figure.layout.title.subtitle.text
    assert "last one kept has 2.50 times the threshold, the next 0.800 times." in said
    assert "below 1.30 cannot be told from noise" in said
    assert pca.against_noise([2.0], [1.0], 1, 1.0).layout.title.text.startswith("1 component stands")
    assert len(pca.against_noise(np.linspace(2, 1, 900), [1.9], 0 + 1, 1.0).data[1].x) == 19


def test_the_error_of_held_out_entries_is_marked_where_it_is_least():
    curve = [20.0, 12.0, 11.0, 11.5, 40.0]
    figure = pca.of_held_out_entries(curve, VALUES, NOISE, 2, 1.3)
    np.testing.assert_array_equal(figure.data[0].y, curve)
    assert figure.layout.shapes[0].x0 == 2
    low, high = figure.layout.yaxis.range
    assert low < 11
    assert 20 < high < 30  # not what lies far beyond d
    assert figure.layout.title.text == "Held-out entries are told best from 2 components"
    assert pca.of_held_out_entries([3.0, 4.0], VALUES, NOISE, 0, 1.3).layout.title.text.endswith(
        "0 components"
    )


@pytest.mark.parametrize(
    ("values", "d", "said"),
    [
        ([9, 1.9, 1.2], 2, "Of those kept, number 2 lies under the detection threshold: it may be noise."),
        ([3, 1.9, 1.2], 2, "Of those kept, 2 lie under the detection threshold, from number 1 on"),
        (
            [9, 3, 1.2],
            1,
            "2.25 times the threshold, the next 1.50 times. The next one is above the threshold too",
        ),
        ([9, 3, 1.7], 3, "The last one kept has 1.13 times the threshold."),
        ([5, 3, 1.7], 0, "The next one is above the threshold too: the data have more than is kept."),
    ],
)
def test_what_lies_under_the_detection_threshold_is_named(values, d, said):
    figure = pca.of_held_out_entries([4.0, 3.0, 2.0, 1.0], values, NOISE, d, 1.3)
    assert said in figure.layout.title.subtitle.text


FLAT = np.zeros((2, 3, 3))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: pca.eigenimages(np.zeros((1, 6)), (2, 2), [0.0], 24), r"\(1, 6\) do not hold .* \(2, 2\)"),
        (lambda: pca.loadings(np.eye(2, 4), ["a", "b", "c"], [0.6, 0.3]), "feature_names has 3"),
        (
            lambda: pca.reconstructions(FLAT, {4: FLAT[:1]}, {4: 0.0}),
            r"reconstructions\[4\] .* originals' shape",
        ),
        (lambda: pca.reconstructions(FLAT, {4: FLAT}, {}), "errors lacks d = 4"),
        (lambda: pca.reconstructions(FLAT[:0], {}, {}), "originals must have shape"),
        (lambda: pca.worst_images(FLAT, FLAT[:1], [0, 0], [("", "")] * 2, 1.0), "originals' shape"),
        (lambda: pca.worst_images(FLAT, FLAT, [0, 0], [("", "")], 1.0), "captions has 1"),
        (lambda: pca.rebuilt_images(FLAT, FLAT[:1], [0, 0], [("", "")] * 2, 1), "originals' shape"),
        (lambda: pca.distortion_curve(np.zeros(4), [1], [0.0], 4), "within 0 and 3"),
        (lambda: pca.distortion_curve(np.ones(4), [2], [1], 2, held_out=([1, 2], [1])), "held_out has 2"),
        (lambda: pca.spectrum([0.5, 0.2], 3), "within 1 and 2"),
        (lambda: pca.against_noise([0.5, 0.2], [0.1], 0, 0.1), "within 1 and 2"),
        (lambda: pca.against_noise([0.5, 0.2], [0.1] * 3, 1, 0.1), "3 thresholds for 2 eigenvalues"),
        (lambda: pca.of_held_out_entries([3.0, 2.0], [1.0], [0.1], 2, 0.1), "within 0 and 1"),
    ],
)
def test_what_does_not_belong_together_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
