"""Several numbers of clusters: nested runs, the table and figure over K, and the choice."""

import signal
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
from kedro.runner import ThreadRunner
from scipy import sparse

from latents.estimators import MultinomialMixture
from latents.estimators.multinomial_mixture.metrics import npmi_coherence
from latents.pipelines.clustering import selection

ARGUMENTS = {"random_state": 0, "steps_per_length": 1}


def searching(*k, **groups):
    return {"clustering": {"fit": {"n_components": list(k)}, **groups}}


def write_parameters(project, groups):
    """A list cannot be told on the command line, whose commas part parameters."""
    project.write(
        "conf/test/parameters_clustering.yml", f"clustering: {{features: {{min_df: 2}}, {groups}}}\n"
    )


def family(project):
    """Return the one run without a parent, and its children in the order of their start."""
    runs = project.runs()
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(runs) == 1 + len(children)
    return parent, sorted(children, key=lambda run: run.info.start_time)


def table_of(project):
    return pd.read_csv(project.path / "data/test/08_reporting/clustering/selection.csv")


class Silent:
    """A monitor that keeps what it is told."""

    def __init__(self):
        self.told, self.recorded, self.trials = [], {}, []

    @contextmanager
    def watch(self, task, total=None, log_metrics=True):
        yield lambda name, value, step: self.told.append((name, value, step))

    @contextmanager
    def trial(self, name, parameters):
        self.trials.append((name, Silent()))
        yield self.trials[-1][1]

    def record(self, metrics, step=0, group=None):
        self.recorded.setdefault(group, {})[step] = metrics


def planted(k=4, n_documents=240, n_words=60, length=40, seed=0):
    """Documents of `k` topics that share some words; half to fit to, half held out."""
    rng = np.random.default_rng(seed)
    topics = rng.dirichlet(np.full(n_words, 0.3), size=k)
    rows = [rng.multinomial(length, topics[d % k]) for d in range(n_documents)]
    counts = sparse.csr_array(np.array(rows))
    return counts[: n_documents // 2], counts[n_documents // 2 :]


def search(numbers, criterion, train, held_out, monitor=None):
    candidates = [{**ARGUMENTS, "n_components": k} for k in numbers]
    return selection.fit_and_choose(candidates, criterion, train, held_out, monitor or Silent())


@pytest.mark.parametrize("seed", range(3))
def test_heldout_perplexity_finds_the_planted_number(seed):
    # So many words that no split of a topic pays by chance: with half of either, 2 of 40 seeds choose 8.
    train, held_out = planted(n_documents=480, length=80, seed=seed)
    model, table = search([8, 2, 3, 4, 5, 6], "heldout_perplexity", train, held_out)
    assert model.n_components == model.weights_.size == 4
    assert table["n_components"].tolist() == [8, 2, 3, 4, 5, 6]
    assert table["chosen"].tolist() == [False] * 3 + [True] + [False] * 2


@pytest.mark.parametrize("criterion", ["heldout_perplexity", "bic", "icl", "npmi"])
def test_the_table_has_what_the_models_say_and_the_best_is_chosen(criterion):
    train, held_out = planted(n_documents=80)
    numbers = [2, 6, 3]
    model, table = search(numbers, criterion, train, held_out)
    for row, k in zip(table.itertuples(), numbers, strict=True):
        alone = MultinomialMixture(**ARGUMENTS, n_components=k).fit(train)
        held = np.unique(alone.predict(train))
        top = [np.argsort(-mu, kind="stable")[:10] for mu in alone.word_probabilities_[held]]
        assert row.heldout_perplexity == pytest.approx(alone.perplexity(held_out))
        assert row.bic == pytest.approx(alone.bic(train))
        assert row.icl == pytest.approx(alone.icl(train))
        assert row.npmi == pytest.approx(npmi_coherence(train, top))
        assert row.log_likelihood == pytest.approx(alone.score(train) * train.shape[0])
        assert row.lower_bound == pytest.approx(alone.lower_bound_)
        if row.chosen:
            np.testing.assert_array_equal(model.word_probabilities_, alone.word_probabilities_)
    values = table[criterion]
    assert values[table["chosen"]].tolist() == [values.max() if criterion == "npmi" else values.min()]


def test_each_fit_is_a_trial_and_the_run_gets_the_chosen_ones_curve():
    train, held_out = planted(n_documents=40)
    monitor = Silent()
    model, table = search([3, 2], "bic", train, held_out, monitor)
    assert [name for name, _ in monitor.trials] == ["K = 3", "K = 2"]
    for (_, trial), row in zip(monitor.trials, table.to_dict("records"), strict=True):
        assert trial.recorded[None][0].items() <= row.items()
        assert trial.told
    assert monitor.recorded["select"].keys() == {2, 3}
    assert monitor.recorded["select"][2]["bic"] == table.loc[1, "bic"]
    bounds = [value for name, value, _ in monitor.told if name == "lower_bound"]
    np.testing.assert_array_equal(bounds, model.lower_bounds_)


@pytest.mark.parametrize(
    ("criterion", "values", "chosen"),
    [
        ("npmi", {9: 0.5, 7: 0.5, 8: 0.4}, 7),
        ("npmi", {9: -0.10001, 7: -0.1002, 8: -0.1}, 8),
        ("heldout_perplexity", {6: 99.999, 3: 100.0, 2: 101.0}, 3),
        ("heldout_perplexity", {2: 100.005, 4: 100.0, 6: 99.993}, 4),  # 2 leads until 6 is there
        ("heldout_perplexity", {4: 100.0, 2: 100.02}, 4),
        ("bic", {3: -1000.05, 2: -1000.0}, 2),
    ],
)
def test_of_equals_the_smallest_number_is_chosen(monkeypatch, criterion, values, chosen):
    def fit(arguments, *others):
        k = arguments["n_components"]
        model = MultinomialMixture(n_components=k)
        model.lower_bounds_, model.tempered_bounds_ = [], []
        return model, {"n_components": k, criterion: values[k]}

    monkeypatch.setattr(selection, "_fit", fit)
    train, held_out = planted(n_documents=20)
    model, table = search(list(values), criterion, train, held_out)
    assert model.n_components == chosen == table.loc[table["chosen"], "n_components"].item()


def test_superfluous_clusters_are_not_chosen_and_their_words_do_not_count():
    train, held_out = planted(k=3, n_documents=120)
    arguments = {"random_state": 0}
    candidates = [{**arguments, "n_components": k} for k in (6, 4, 3, 2)]
    model, table = selection.fit_and_choose(candidates, "heldout_perplexity", train, held_out, Silent())
    six = MultinomialMixture(**arguments, n_components=6).fit(train)
    sizes = np.bincount(six.predict(train), minlength=6)
    assert (sizes == 0).any()  # what the test is about
    assert model.n_components == 3
    top = np.argsort(-six.word_probabilities_, axis=1, kind="stable")[:, :10]
    assert table["npmi"][0] == pytest.approx(npmi_coherence(train, top[sizes > 0]))
    assert table["npmi"][0] != pytest.approx(npmi_coherence(train, top), abs=1e-3)


def test_a_search_without_held_out_documents():
    train, held_out = planted(n_documents=40)
    with pytest.raises(
        ValueError,
        match=r"criterion is 'heldout_perplexity', but no held-out document has a word; .*held_out_fraction.* "
        "choose by another criterion: npmi, bic, icl",
    ):
        search([2, 3], "heldout_perplexity", train, held_out[:0])
    _, table = search([2, 3], "bic", train, held_out[:0])
    assert table["heldout_perplexity"].isna().all()
    assert table["bic"].notna().all()
    model, _ = search([2], "heldout_perplexity", train, held_out[:0])  # nothing to choose
    assert model.n_components == 2


def test_a_vocabulary_without_pairs_has_no_coherence():
    one_word = sparse.csr_array(np.array([[1], [2], [3]]))
    with pytest.raises(ValueError, match="criterion is 'npmi', but the vocabulary has no pair of words"):
        search([1, 2], "npmi", one_word, one_word)
    _, table = search([1, 2], "heldout_perplexity", one_word, one_word)
    assert table["npmi"].isna().all()


def test_more_clusters_than_documents_are_refused_before_any_fit():
    train, held_out = planted(n_documents=10)
    monitor = Silent()
    with pytest.raises(ValueError, match=r"n_components=6 exceeds .* to train on; allowed .* are 1 to 5"):
        search([2, 6], "bic", train, held_out, monitor)
    assert monitor.trials == []


@pytest.mark.parametrize("runner", [None, ThreadRunner()])
def test_a_list_leaves_nested_runs_a_table_a_figure_and_the_chosen_model(project, runner):
    project.run("clustering", params=searching(3, 5, 2), runner=runner)
    parent, children = family(project)
    table = table_of(project)
    assert [child.info.run_name for child in children] == [f"clustering K = {k}" for k in (3, 5, 2)]
    assert {run.info.status for run in [parent, *children]} == {"FINISHED"}
    for child, row in zip(children, table.to_dict("records"), strict=True):
        assert child.data.params["clustering.fit.n_components"] == str(row["n_components"])
        for name in ("heldout_perplexity", "bic", "icl", "npmi", "lower_bound", "fit_seconds"):
            assert child.data.metrics[f"clustering/{name}"] == pytest.approx(row[name])
        steps, bounds = zip(*project.curve(child, "clustering/fit/lower_bound"), strict=True)
        assert steps == tuple(range(row["n_iter"] + 1))
        assert bounds[-1] == pytest.approx(row["lower_bound"])

    (chosen,) = table[table["chosen"]].to_dict("records")
    assert chosen["heldout_perplexity"] == table["heldout_perplexity"].min()
    model, metrics = project.predictor("clustering").model, project.metrics("clustering")
    assert model.weights_.size == chosen["n_components"]
    for name in ("n_components", "heldout_perplexity", "bic", "icl", "npmi", "fit_seconds"):
        assert metrics[name] == pytest.approx(chosen[name])
        assert parent.data.metrics[f"clustering/{name}"] == pytest.approx(chosen[name])
    bounds = [value for _, value in project.curve(parent, "clustering/fit/lower_bound")]
    assert bounds == pytest.approx(model.lower_bounds_)
    over_k = dict(zip(table["n_components"], table["npmi"], strict=True))
    assert dict(project.curve(parent, "clustering/select/npmi")) == pytest.approx(over_k)
    assert parent.data.params["clustering.fit.n_components"] == "[3, 5, 2]"
    assert {"selection.csv", "selection.json"} <= project.artifacts(parent, "clustering")
    folder = project.data() / "08_reporting/clustering"
    assert "Held-out perplexity is lowest" in (folder / "selection.json").read_text()
    assert "How many clusters" in (folder / "report.html").read_text()


def test_a_single_number_is_no_search(project, finished):
    project.run("clustering", params=searching(3))
    for one in (project, finished):  # a list of one, and the number itself
        parent, children = family(one)
        assert children == []
        assert not any(name.startswith("clustering/select") for name in parent.data.metrics)
        assert table_of(one)["n_components"].tolist() == [3]
        assert table_of(one)["chosen"].tolist() == [True]
        folder = one.data() / "08_reporting/clustering"
        assert "may be a list of several" in (folder / "selection.json").read_text()
        assert "How many clusters" not in (folder / "report.html").read_text()


@pytest.mark.parametrize(("error", "status"), [(ValueError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_fit_that_breaks_says_so_in_its_own_run(project, monkeypatch, error, status):
    fit = MultinomialMixture.fit

    def breaks(self, *args, **kwargs):
        if self.n_components == 4:
            raise error("the fit broke")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(MultinomialMixture, "fit", breaks)
    with pytest.raises(error, match="the fit broke"):
        project.run("clustering", params=searching(2, 4, 3))
    project.run("pca", until="ingest")  # in a process that lives on, an interrupted run is ended by the next
    runs = {run.info.run_name: run.info.status for run in project.runs()}
    assert runs == {
        "pca": "FINISHED",
        "clustering": status,
        "clustering K = 2": "FINISHED",
        "clustering K = 4": status,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runner", "number"), [("SequentialRunner", signal.SIGTERM), ("ThreadRunner", signal.SIGINT)]
)
def test_an_interrupt_from_outside_ends_parent_and_child_as_killed(project, runner, number):
    write_parameters(project, "fit: {n_components: [2, 3], length_growth: 1.000001}")
    output = project.interrupted(
        number,
        lambda: any("clustering/fit/lower_bound" in run.data.metrics for run in project.runs()),
        *("run", "--env", "test", "--pipelines", "clustering", "--runner", runner),
    )
    parent, children = family(project)
    assert [child.info.run_name for child in children] == ["clustering K = 2"], output
    assert {run.info.status for run in [parent, *children]} == {"KILLED"}, output


def test_without_mlflow_the_best_is_kept_all_the_same(project):
    project.write("conf/test/mlflow.yml", "tracking:\n  disable_tracking:\n    pipelines: [clustering]\n")
    write_parameters(project, "fit: {n_components: [2, 3]}, select: {criterion: npmi}")
    project.kedro("run", "--env", "test", "--pipelines", "clustering", "--to-nodes", "clustering.fit")
    assert project.runs() == []
    table = table_of(project)
    assert table.loc[table["chosen"], "npmi"].tolist() == [table["npmi"].max()]


def test_a_criterion_changed_after_the_fits_is_refused(project):
    project.run("clustering", params=searching(2, 3, 5))
    table = table_of(project)
    chosen = table.loc[table["chosen"], "n_components"].item()
    other = next(
        name
        for name, best in {"bic": "idxmin", "npmi": "idxmax"}.items()
        if table.loc[getattr(table[name], best)(), "n_components"] != chosen
    )
    with pytest.raises(ValueError, match="the criterion has changed since the fits"):
        project.run(
            "clustering",
            params=searching(2, 3, 5, select={"criterion": other}),
            from_nodes=["clustering.report"],
        )


def test_a_second_interrupt_leaves_no_child_running(project, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("latents.tracking.child_run._end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            project.run("clustering", params=searching(2, 3))
    assert [run.info.status for run in project.runs()] == ["RUNNING", "RUNNING"]
    project.run("pca", until="ingest")
    assert [run.info.status for run in project.runs()] == ["FINISHED", "KILLED", "KILLED"]
