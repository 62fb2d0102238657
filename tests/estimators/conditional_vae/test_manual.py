"""What `docs/models.md` says of the VAE: its example, and its parameters."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from latents.estimators import ConditionalVAE
from latents.pipelines.cvae.parameters import FitParameters

ROOT = Path(__file__).parents[3]
MANUAL = (ROOT / "docs/models.md").read_text()


def parameters(env):
    return yaml.safe_load((ROOT / f"conf/{env}/parameters_cvae.yml").read_text())["cvae"]


def test_both_ways_between_images_and_latents():
    (code,) = re.findall(r"```python\n([^`]*binarise[^`]*)```", MANUAL)
    names = {}
    exec(compile(code, "models.md", "exec"), names)
    images, labels = names["images"], names["labels"]
    assert names["bound"] > -64 * np.log(2) + 15
    assert (names["shares"].argmax(axis=1) == labels).mean() > 0.7
    assert names["z"].shape == (297, 8)
    for pixels in (names["means"], names["as_threes"]):
        assert pixels.shape == images.shape
    assert np.abs(names["means"] - images).mean() < 0.8 * np.abs(names["means"] - images[::-1]).mean()
    assert names["sevens"].shape == (10, 64)
    assert (names["model"].predict(names["as_threes"].round()) == 3).mean() > 0.7
    assert names["path"].shape == (1, 9, 64)
    assert names["moved"].shape == (2, 3, 6, 64)


def test_the_options_are_parameters():
    blocks = re.findall(r"```yaml\n(cvae:\n  fit:\n.*?)```", MANUAL, flags=re.DOTALL)
    of_model, with_places, of_classes = (yaml.safe_load(block)["cvae"]["fit"] for block in blocks)
    (by_class,) = re.findall(r"or by class, ({.*}):", blocks[2])
    for class_weight in (of_classes["class_weight"], yaml.safe_load(by_class)):
        fit = FitParameters(**parameters("base")["fit"] | {"class_weight": class_weight})
        small = {"n_latents": 2, "hidden": (8,), "epochs": 1, "class_weight": fit.class_weight}
        ConditionalVAE(**small).fit(load_digits().data / 16, load_digits().target)
    fit = FitParameters(**parameters("base")["fit"] | of_model)
    assert (fit.prior, fit.likelihood, fit.objective, fit.n_particles) == ("per_class", "gaussian", "iwae", 5)
    assert len(FitParameters(**parameters("base")["fit"] | with_places).spatial) == 4


def test_the_benchmark_has_our_defaults():
    defaults = ConditionalVAE().get_params()
    given = FitParameters(**parameters("base")["fit"] | parameters("benchmark")["fit"]).model_dump()
    for name, value in given.items():
        if name not in {"checkpoint_every", "random_state"}:
            assert value == (list(defaults[name]) if name in {"hidden", "spatial"} else defaults[name]), name


def test_the_larger_network_is_the_benchmarks_but_for_its_size():
    benchmark, large = parameters("benchmark"), parameters("large")
    differ = {name for name in large["fit"] if benchmark["fit"].get(name) != large["fit"][name]}
    assert differ == {"hidden", "n_latents", "spatial"}
    assert {**large, "fit": None} == {**benchmark, "fit": None}
    assert FitParameters(**parameters("base")["fit"] | large["fit"]).spatial == [64] * 4
    for name in ("catalog_cvae.yml", "catalog_cvae_inference.yml"):
        assert (ROOT / "conf/large" / name).read_text() == (ROOT / "conf/benchmark" / name).read_text()


@pytest.mark.parametrize("hidden", [[], [8, 6], [4] * 13])
def test_an_impossible_ladder_is_refused_with_the_parameters(hidden):
    base = parameters("base")["fit"] | {"n_latents": 12}
    with pytest.raises(ValueError, match="a ladder has a level for each entry"):
        FitParameters(**base | {"hidden": hidden})
    FitParameters(**base | {"hidden": hidden, "network": "reference"})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spatial": [8, 6]}, r"spatial is \[8, 6\], but these levels are all of the same width"),
        (
            {"spatial": [8], "network": "reference", "hidden": [8]},
            r"spatial is \[8\], but network is reference, which has no levels",
        ),
    ],
)
def test_impossible_spatial_levels_are_refused_with_the_parameters(changes, said):
    with pytest.raises(ValueError, match=said):
        FitParameters(**parameters("base")["fit"] | changes)
