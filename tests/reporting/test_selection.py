import json

import numpy as np
import pandas as pd
import pytest

from latents.reporting import selection


def make_table(k, chosen, **criteria):
    table = pd.DataFrame({"n_components": k, "fit_seconds": 1.5})
    for name in selection.CRITERIA:
        table[name] = criteria.get(name, np.nan)
    return table.assign(chosen=np.array(k) == chosen)


SEARCH = make_table(
    [20, 5, 10],
    20,
    heldout_perplexity=[500.0, 800.0, 600.0],
    bic=[3e6, 1e6, 2e6],
    icl=[3e6, 1.1e6, 2e6],
    npmi=[0.1, 0.15, 0.2],
)


def ringed(trace):
    return [int(k) for k, symbol in zip(trace.x, trace.marker.symbol, strict=True) if symbol == "circle-open"]


def test_every_criterion_has_a_panel_in_order_of_k():
    figure = selection.criteria_over_k(SEARCH, "heldout_perplexity")
    drawn = {trace.name: trace for trace in figure.data}
    assert len({trace.xaxis for trace in figure.data}) == 4
    assert list(drawn["Held-out perplexity"].x) == [5, 10, 20]
    assert list(drawn["Held-out perplexity"].y) == [800, 600, 500]
    assert list(drawn["NPMI coherence"].y) == [0.15, 0.2, 0.1]
    assert {name: ringed(trace) for name, trace in drawn.items()} == {
        "Held-out perplexity": [20],
        "NPMI coherence": [10],
        "BIC": [5],
        "ICL": [5],
    }
    said = [annotation.text for annotation in figure.layout.annotations]
    assert "<b>NPMI coherence</b><br>highest is best: K = 10" in said
    assert "<b>BIC</b><br>lowest is best: K = 5" in said
    assert [shape.x0 for shape in figure.layout.shapes] == [20] * 4
    assert figure.layout.title.text == "Held-out perplexity is lowest with K = 20, the largest tried"
    assert "favour few" in figure.layout.title.subtitle.text
    assert json.loads(figure.to_json())["data"]


def test_near_the_best_the_smallest_is_ringed():
    table = make_table([3, 5, 4], 4, heldout_perplexity=[101.0, 99.999, 100.0], npmi=[0.1, 0.2, 0.19999])
    figure = selection.criteria_over_k(table, "heldout_perplexity")
    assert [ringed(trace) for trace in figure.data] == [[4], [4]]
    assert figure.layout.title.text == "Held-out perplexity is lowest with K = 4"


@pytest.mark.parametrize(
    ("criterion", "chosen", "title"),
    [
        ("npmi", 10, "NPMI coherence is highest with K = 10"),
        ("bic", 5, "BIC is lowest with K = 5, the smallest tried"),
    ],
)
def test_the_title_says_what_chose(criterion, chosen, title):
    table = SEARCH.assign(chosen=SEARCH["n_components"] == chosen)
    assert selection.criteria_over_k(table, criterion).layout.title.text == title


def test_what_was_not_measured_has_no_panel():
    table = SEARCH.assign(heldout_perplexity=np.nan, chosen=SEARCH["n_components"] == 5)
    figure = selection.criteria_over_k(table, "icl")
    assert [trace.name for trace in figure.data] == ["NPMI coherence", "BIC", "ICL"]


def test_a_table_read_back_from_disk_gives_the_same_figure(tmp_path):
    SEARCH.to_csv(tmp_path / "selection.csv", index=False)
    read = pd.read_csv(tmp_path / "selection.csv")
    assert selection.criteria_over_k(read, "heldout_perplexity") == (
        selection.criteria_over_k(SEARCH, "heldout_perplexity")
    )


@pytest.mark.parametrize(
    "k", [range(2, 61), [1, 10, 11, 20], [2, 3, 4, 5, 6, 8, 10, 20, 50, 51, 100, 200], [2, 3]]
)
def test_numbers_below_the_axis_do_not_run_into_each_other(k):
    k = list(k)
    chosen = k[-2]
    table = make_table(k, chosen, bic=[float(value != chosen) for value in k], icl=[1.0] * len(k))
    axis = selection.criteria_over_k(table, "bic").layout.xaxis
    places = np.log10(axis.tickvals) if axis.type == "log" else np.array(axis.tickvals)
    assert np.diff(places).min() >= 0.06 * (axis.range[1] - axis.range[0])
    assert chosen in axis.tickvals
    assert axis.range[0] < places[0]
    assert places[-1] < axis.range[1]
    assert axis.type == ("log" if k[-1] >= 16 * k[0] else "linear")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (SEARCH[:1], "got 1 fits, 1 of them chosen"),
        (SEARCH.assign(chosen=False), "got 3 fits, 0 of them chosen"),
        (SEARCH.assign(bic=np.nan), "those that were measured, heldout_perplexity, npmi, icl; got 'bic'"),
        (SEARCH, "K = 20 was chosen, which is not the best by 'bic'"),
    ],
)
def test_what_no_search_has_chosen_is_refused(table, message):
    with pytest.raises(ValueError, match=message):
        selection.criteria_over_k(table, "bic")
