"""Parameters that cannot be: every run stops before any data is read, and says what is allowed."""

import pytest
from kedro.validation import ParameterValidationError

from latents.hooks.configuration import check_parameter_names


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("clustering.fit.n_components", 0, ["input_value=0", "greater than or equal to 1"]),
        ("clustering.fit.n_components", 2.5, ["input_value=2.5", "valid integer"]),
        ("clustering.fit.n_components", True, ["input_value=True", "valid integer"]),
        ("clustering.fit.n_components", [], ["at least 1 item"]),
        ("clustering.fit.n_components", [3, 2, 3], ["3 is more than once in [3, 2, 3]"]),
        ("clustering.fit.n_components", [2, 0], ["input_value=0", "greater than or equal to 1"]),
        ("clustering.fit.n_components", [2, 2.5], ["input_value=2.5", "valid integer"]),
        (
            "clustering.select.criterion",
            "nmi",
            ["'nmi' is no criterion; allowed are heldout_perplexity, npmi, bic"],
        ),
        ("clustering.fit.smoothing", -0.1, ["input_value=-0.1", "greater than or equal to 0"]),
        ("clustering.fit.smoothing", float("nan"), ["input_value=nan", "finite number"]),
        ("clustering.fit.annealing", 1, ["input_value=1", "valid boolean"]),
        ("clustering.fit.length_growth", 1.0, ["input_value=1.0", "greater than 1"]),
        ("clustering.fit.componnents", 3, ["'componnents'", "3", "allowed are n_components"]),
        ("clustering.fit.use_labels", "yes", ["'yes'", "'judge' or 'guide'"]),
        ("clustering.fit.components_per_class", 0, ["input_value=0", "greater than or equal to 1"]),
        ("clustering.fit.seed_strength", 0, ["input_value=0", "greater than 0"]),
        ("clustering.fit.seeds", {"space": []}, ["seeds.space", "at least 1 item"]),
        ("clustering.fit.seeds", {"space": "orbit"}, ["seeds.space", "'orbit'", "valid list"]),
        (
            "clustering.fit.seeds",
            {"space": [7]},
            ["seeds.space.0", "7 is a number", "put the word in quotes"],
        ),
        ("clustering.fit.seeds", {"": ["orbit"]}, ["a class is called ''"]),
        ("clustering.features.token_pattern", "(", ["'('", "regular expression"]),
        (
            "clustering.features.stop_words",
            "german",
            ["1 validation error", "'german' is none; allowed are english, null and a list of words"],
        ),
        (
            "clustering.features.stop_words",
            ["no", False, True, None, 12],
            [
                "4 validation errors",  # of each word, and none that there is no other kind
                "stop_words.list.1",
                "False is what YAML makes of no, off and false without quotes; put the word in quotes",
                "True is what YAML makes of yes, on and true",
                "None is what YAML makes of null and ~",
                "12 is a number",
            ],
        ),
        ("clustering.ingest.text_column", True, ["True is what YAML makes of yes, on"]),
        ("clustering.ingest.label_column", False, ["False is what YAML makes of no"]),
        ("clustering.features.ngram_range", [2, 1], ["[2, 1] begins above its end"]),
        ("clustering.features.ngram_range", [1], ["at least 2 items"]),
        ("clustering.features.ngram_range", [0, 1], ["ngram_range.0", "greater than or equal to 1"]),
        ("clustering.features.max_df", 1.5, ["input_value=1.5", "less than or equal to 1"]),
        ("clustering.split.held_out_fraction", 1.0, ["input_value=1.0", "less than 1"]),
        ("pca.fit.n_components", 0.0, ["input_value=0.0", "greater than 0"]),
        ("pca.fit.use_weights", "yes", ["'yes'", "valid boolean"]),
        ("pca.fit.robust", "often", ["'often'", "valid boolean"]),
        ("pca.fit.missing", "mean", ["'mean'", "'error' or 'em'"]),
        ("pca.fit.em_tol", 0.0, ["input_value=0.0", "greater than 0"]),
        ("pca.fit.svd_solver", "magic", ["'magic'", "'covariance_eigh'"]),
        ("pca.evaluate.reconstruct_from", [], ["at least 1 item"]),
        ("cvae.fit.prior", "flat", ["'flat'", "'per_class'"]),
        ("cvae.fit.spatial", [8, 0], ["spatial.1", "input_value=0", "greater than or equal to 1"]),
        ("cvae.fit.hidden", [10, 0], ["hidden.list.1", "input_value=0", "greater than or equal to 1"]),
        ("cvae.fit.epochs", "30", ["input_value='30'", "'auto'"]),
        ("clustering.features.min_df", 0.9, ["min_df is 0.9 and max_df 0.5"]),
        (
            "pca.fit.n_components",
            0.9,
            ["share 0.9", "'randomized' cannot", "auto, full, covariance_eigh and gram"],
        ),
        ("pca.fit.n_components", None, ["none of them given; allowed is one of n_components"]),
        ("pca.fit.n_components", "mla", ["'mla'", "'mle'", "'parallel'", "'cross_validation'"]),
        ("pca.fit.max_distortion", 3.0, ["n_components=4 and max_distortion=3.0 given"]),
        ("pca.fit.max_distortion_share", 1.0, ["less than 1"]),
        ("pca.evaluate.n_worst", 0, ["greater than or equal to 1"]),
        ("cvae.evaluate.n_drawn", 0, ["greater than or equal to 1"]),
        ("cvae.fit.device", "gpuu", ["'gpuu'", "auto|cpu"]),
        ("cvae.fit.window", "256 megs", ["'256 megs' is no size; allowed are such as 256 MiB, or bytes"]),
        ("cvae.fit.window", 0, ["input_value=0", "greater than or equal to 1"]),
        ("cvae.features.white", 0.0, ["input_value=0.0", "greater than 0"]),
    ],
)
def test_impossible_values_stop_the_run(project, name, value, said):
    pipeline, group, key = name.split(".")
    values = {key: value}
    if "randomized" in str(said):
        values["svd_solver"] = "randomized"
    with pytest.raises(ParameterValidationError) as error:
        project.run(pipeline, params={pipeline: {group: values}})
    for words in [f"{pipeline}.{group}", key, *said]:
        assert words in str(error.value)
    assert not project.data().exists()
    assert project.runs() == []


@pytest.mark.parametrize(
    ("params", "said"),
    [
        (
            {"clusterings": {"fit": {"n_components": 3}}},
            "'clusterings' .* allowed at the top: clustering, clustering_inference, cvae, cvae_inference, pca,",
        ),
        ({"pca": {"fits": {"a": 3}}}, "'pca.fits' .* allowed in 'pca': engine, evaluate, fit, report, split"),
        ({"pca": {"fitt": {"a": 3}}}, r"unknown parameter 'pca.fitt' .*, did you mean 'fit'\?"),
    ],
)
def test_misspelt_groups_stop_the_run(project, params, said):
    with pytest.raises(ValueError, match=said):
        project.run("pca", params=params)
    assert not (project.path / "data/test").exists()


def test_a_missing_value_stops_the_run(project):
    path = project.path / "conf/base/parameters_pca.yml"
    path.write_text(path.read_text().replace("    whiten: false\n", ""))
    with pytest.raises(ParameterValidationError, match=r"(?s)pca\.fit.*whiten\s+Field required"):
        project.run("pca")


def test_names_are_checked_at_every_depth():
    groups = {"a.b.c", "a.d", "e"}
    check_parameter_names({"a": {"b": {"c": {"anything": 1}}, "d": 2}, "e": 3}, groups)
    with pytest.raises(ValueError, match=r"unknown parameter 'a\.b\.x' with value 1; allowed in 'a.b': c"):
        check_parameter_names({"a": {"b": {"x": 1}}}, groups)
    for value in (1, None):
        with pytest.raises(ValueError, match=f"the parameter 'a' is {value}; it has others within: b, d"):
            check_parameter_names({"a": value}, groups)
    with pytest.raises(ValueError, match="unknown parameter '12' with value 1"):
        check_parameter_names({12: 1}, groups)
