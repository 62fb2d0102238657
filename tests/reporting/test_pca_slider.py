import base64
import json
import shutil
import subprocess

import numpy as np
import pytest

from latents.reporting import images as pictures
from latents.reporting import pca
from latents.reporting.report import Section, render_report, render_slider
from latents.reporting.shrinking import shrink
from tests.reporting.test_report import Page, assert_closed

HOSTILE = "</script><b>x"


def array(text, kind):
    return np.frombuffer(base64.b64decode(text), np.dtype(kind).newbyteorder("<"))


def fitted(shape, n=40, d=6, top=255):
    """Return images, their mean and basis, and the mean errors at 0..d, all by brute force."""
    rng = np.random.default_rng(0)
    X = top / 255 * rng.integers(0, 255, size=(n, int(np.prod(shape)))).astype(float)
    mean = X.mean(axis=0)
    basis = np.linalg.svd(X - mean, full_matrices=False)[2][:d]
    centred = X - mean
    errors = np.array(
        [np.square(centred - centred @ basis[:k].T @ basis[:k]).sum(axis=1) for k in range(d + 1)]
    )
    return X.reshape(n, *shape), mean, basis, errors


def decoded(data):
    """Undo the packing, as the page's program does."""
    d, n = data["d"], len(data["captions"])
    basis = array(data["basis"], np.int8).reshape(d, -1) * array(data["scales"], np.float32)[:, None]
    z = array(data["coordinates"], np.float32).reshape(n, d).astype(float)
    return array(data["mean"], np.float32), basis, z, array(data["originals"], np.uint8).reshape(n, -1)


@pytest.mark.parametrize("shape", [(5, 7), (4, 3, 3)])
def test_the_page_can_rebuild_the_images_and_their_errors(shape):
    X, mean, basis, errors = fitted(shape)
    shown = X[:3]
    data = pca.slider(shown, mean, basis, [("a", "")] * 3, {"training": errors.mean(axis=1)}).data
    centre, packed, z, originals = decoded(data)
    low, high = data["limits"]
    grey_level = (high - low) / 255
    np.testing.assert_allclose(low + originals * grey_level, shown.reshape(3, -1), atol=grey_level / 2 + 1e-6)
    for d in range(7):
        rebuilt = mean + (shown.reshape(3, -1) - mean) @ basis[:d].T @ basis[:d]
        # A byte for a weight costs a fraction of what the eye could tell.
        np.testing.assert_allclose(centre + z[:, :d] @ packed[:d], rebuilt, atol=1.5 * grey_level)
        by_pythagoras = np.array(data["energies"]) - np.square(z[:, :d]).sum(axis=1)
        np.testing.assert_allclose(by_pythagoras, errors[d, :3], rtol=1e-5)
    assert data["curves"]["training"] == errors.mean(axis=1).tolist()
    assert data["shape"] == list(shape)


def test_large_images_are_drawn_small_with_the_errors_of_the_full_ones():
    X, mean, basis, errors = fitted((96, 130), n=12)
    slider = pca.slider(X[:2], mean, basis, [("a", ""), ("b", "")], {"training": errors.mean(axis=1)})
    assert slider.data["shape"] == [47, 64]
    assert "96 by 130 pixels are drawn at 47 by 64" in slider.note
    centre, packed, z, _ = decoded(slider.data)
    rebuilt = (mean + (X[:2].reshape(2, -1) - mean) @ basis.T @ basis).reshape(2, 96, 130)
    level = (slider.data["limits"][1] - slider.data["limits"][0]) / 255
    np.testing.assert_allclose(centre + z @ packed, shrink(rebuilt, 64).reshape(2, -1), atol=2 * level)
    np.testing.assert_allclose(
        slider.data["energies"] - np.square(z).sum(axis=1), errors[6, :2], atol=1e-5 * errors[0].max()
    )


@pytest.mark.parametrize(("n_components", "shape", "expected"), [(250, (4, 4), 200), (150, (64, 64, 3), 97)])
def test_many_components_end_early_and_the_note_says_so(n_components, shape, expected):
    p = int(np.prod(shape))
    basis = np.random.default_rng(0).normal(size=(n_components, p))
    curve = np.linspace(9, 1, n_components + 1)
    slider = pca.slider(np.zeros((1, *shape)), np.zeros(p), basis, [("a", "")], {"training": curve})
    assert slider.data["d"] == expected
    assert f"ends at d = {expected} of {n_components}" in slider.note
    assert len(slider.data["curves"]["training"]) == expected + 1
    assert len(base64.b64decode(slider.data["basis"])) <= 1_200_000


def test_inputs_that_do_not_belong_together():
    X, mean, basis, errors = fitted((5, 7))
    with pytest.raises(ValueError, match="do not belong to images of shape"):
        pca.slider(X[:1].reshape(1, 5, 7)[:, :4], mean, basis, [("a", "")], {})
    with pytest.raises(ValueError, match="captions has 2"):
        pca.slider(X[:1], mean, basis, [("a", "")] * 2, {})
    with pytest.raises(ValueError, match="'held-out' ends at d = 3, not 6"):
        pca.slider(X[:1], mean, basis, [("a", "")], {"held-out": errors.mean(axis=1)[:4]})


def test_shrinking_averages_areas_and_commutes_with_sums():
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3, 10, 14, 3))
    np.testing.assert_allclose(shrink(a, 7), a.reshape(3, 5, 2, 7, 2, 3).mean(axis=(2, 4)), rtol=1e-6)
    np.testing.assert_allclose(shrink(2 * a - b, 5), 2 * shrink(a, 5) - shrink(b, 5), atol=1e-6)
    np.testing.assert_allclose(shrink(a, 9).mean(axis=(1, 2)), a.mean(axis=(1, 2)), rtol=1e-6)
    np.testing.assert_array_equal(shrink(a, 14), a.astype(np.float32))


def test_the_sliders_own_page_is_small_closed_and_escaped():
    X, mean, basis, errors = fitted((8, 8))
    slider = pca.slider(X[:2], mean, basis, [(HOSTILE, HOSTILE)] * 2, {HOSTILE: errors.mean(axis=1)})
    html = render_slider("What is left", slider)
    assert len(html) < 40_000
    page = Page(html)
    (control,) = page.tags("input")
    assert (control["type"], control["min"], control["max"], control["value"]) == ("range", "0", "6", "6")
    assert control["aria-label"] == "number of components d"
    assert_closed(page)
    (data,) = [json.loads(text) for attrs, text in page.scripts if attrs.get("type") == "application/json"]
    assert data["captions"] == [[HOSTILE, HOSTILE]] * 2
    assert len(page.tags("script")) == 2
    report = Page(render_report("T", "S", [], [Section("Slide", "Read.", slider)], {}))
    assert len(report.tags("input")) == 1
    assert len(report.tags("script")) == 2  # no chart, no chart library


def test_without_images_the_page_says_why():
    page = Page(render_slider("What is left", "There are no images."))
    assert "There are no images." in page.text
    assert not page.tags("input")


PROGRAM = """
class Element {
  constructor() { Object.assign(this, { style: {}, children: [], listeners: {}, attributes: {} }); }
  appendChild(child) { child.parentElement = this; this.children.push(child); return child; }
  append() {}
  prepend() {}
  setAttribute(name, value) { this.attributes[name] = value; }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  getContext() {
    return {
      createImageData: (w, h) => ({ data: new Uint8ClampedArray(4 * w * h) }),
      putImageData: (image) => (this.pixels = Array.from(image.data)),
    };
  }
}
const named = {};
const root = { querySelector: (name) => (named[name] ??= new Element()) };
root.querySelector("script").textContent = JSON.stringify(DATA);
globalThis.document = {
  querySelectorAll: () => [root],
  createElement: () => new Element(),
  createElementNS: () => new Element(),
};
globalThis.requestAnimationFrame = (run) => run();
SCRIPT
const seen = [];
for (const d of STEPS) {
  named["input"].value = d;
  named["input"].listeners.input();
  const figures = named[".rebuilder-images"].children;
  seen.push({
    pixels: figures.map((figure) => figure.children[1].pixels),
    errors: figures.map((figure) => figure.children[4].children[2].textContent),
    read: named[".rebuilder-error"].textContent,
  });
}
console.log(JSON.stringify(seen));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node to run the page's program")
@pytest.mark.parametrize(
    ("shape", "top"), [((5, 7), 255), ((4, 3, 3), 255), ((5, 7), 65_535), ((5, 7), 1e-3)]
)
def test_the_pages_program_rebuilds_what_numpy_does(shape, top):
    X, mean, basis, errors = fitted(shape, top=top)
    slider = pca.slider(X[:3], mean, basis, [("a", "")] * 3, {"held-out images": errors.mean(axis=1)})
    page = Page(render_slider("What is left", slider))
    script = page.scripts[-1][1]
    steps = [6, 0, 3, 5, 2, 6]
    program = PROGRAM.replace("DATA", json.dumps(slider.data)).replace("STEPS", json.dumps(steps))
    done = subprocess.run(
        ["node", "-"], input=program.replace("SCRIPT", script), capture_output=True, text=True, check=True
    )
    low, high = slider.data["limits"]
    for d, seen in zip(steps, json.loads(done.stdout), strict=True):
        rebuilt = mean + (X[:3].reshape(3, -1) - mean) @ basis[:d].T @ basis[:d]
        grey = np.clip((rebuilt - low) * 255 / (high - low), 0, 255).reshape(3, shape[0] * shape[1], -1)
        pixels = np.array(seen["pixels"]).reshape(3, -1, 4)
        np.testing.assert_allclose(pixels[..., :3], np.broadcast_to(grey, (*grey.shape[:2], 3)), atol=2)
        assert (pixels[..., 3] == 255).all()
        for text, error in zip(seen["errors"], errors[d, :3], strict=True):
            assert float(text.replace(",", "").replace("−", "-")) == pytest.approx(error, rel=6e-3)  # noqa: RUF001
            assert len(text) <= len("999,900,000")  # more would break over lines
        assert f"{errors[d].mean() / errors[0].mean():.1%}" in seen["read"]


def test_limits_of_flat_images_are_apart():
    flat = np.full((1, 3, 3), 7.0)
    data = pca.slider(flat, np.full(9, 7.0), np.zeros((1, 9)), [("a", "")], {"training": [0.0, 0.0]}).data
    assert data["limits"] == list(pictures.value_limits(flat))
    assert data["energies"] == [0.0]
