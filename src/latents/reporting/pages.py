"""The three report pages: which numbers and figures stand there, and what to read in them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from latents.reporting.cvae_page import cvae
from latents.reporting.pca_page import pca
from latents.reporting.report import Quotation, Quotations, Section, chosen, render_report
from latents.rounding import whole

__all__ = ["clustering", "cvae", "pca"]


def clustering(
    figures: Mapping[str, Any],
    quotations: Sequence[Quotations],
    unfamiliar: Sequence[Quotation],
    changes: pd.DataFrame,
    metrics: Mapping[str, float],
    parameters: Mapping[str, Any],
) -> str:
    """Return the report of the clustering pipeline as an HTML page.

    Parameters
    ----------
    figures : mapping
        ``map``, ``topics``, ``labels``, ``sizes`` and ``bound``; ``selection`` where several numbers of clusters
        were fitted.
    quotations : sequence of Quotations
        Documents to read, one group a cluster.
    unfamiliar : sequence of Quotation
        The least familiar documents of all, the least familiar first; a table of an earlier release has none.
    changes : DataFrame
        What has become of the champion's clusters (``pipelines.clustering.changes``); no row where there is none.
    metrics : mapping
        The numbers of ``metrics.json``.
    parameters : mapping
        The pipeline's parameters.
    """
    numbers = chosen(
        metrics,
        [
            ("nmi", "Agreement with the labels, 0 (none) to 1 (the same groups); higher is better."),
            ("ari", "Pairs of documents on which clusters and labels agree, 0 by chance, 1 at best."),
            ("accuracy", "Documents whose label is that of their cluster, after optimal matching."),
            (
                "heldout_accuracy",
                "Held-out documents that are in a cluster of their label; the other labels guided the fit.",
            ),
            (
                "heldout_perplexity",
                "As unsure of the next word of an unseen document as a choice among so many; lower is better.",
            ),
            (
                "npmi",
                "Whether the top words of a cluster occur in the same documents, -1 to 1; higher is better. "
                "Empty clusters are left out.",
            ),
            ("n_iter", "Steps of EM, those of the annealing included."),
            ("fit_seconds", "Wall time of the fit."),
        ],
    )
    return render_report(
        "Clusters of documents",
        f"A mixture of {metrics['n_components']} multinomials over {metrics['n_words']:,} words, fitted to "
        f"{metrics['n_documents']:,} documents by EM",
        numbers,
        [
            Section(
                "Map of the documents",
                "Every point is a document; point at it to read how it begins. Dragging moves the map, the wheel "
                "zooms. Where there is room for a legend, a click on a name there hides or shows it, and a double "
                "click leaves it alone. Documents lie close "
                "together when their words speak for the same clusters in like measure; those between two groups "
                "speak for both. Which groups are neighbours is worth a look; how large and how far apart they "
                "are drawn is not. Held-out documents are among them. map.html, beside this page, is the same "
                "map in a window of its own.",
                figures["map"],
            ),
            Section(
                "What the clusters are about",
                "Clusters are named by their most telling words, or by the class that they were given. By "
                "relevance: words that are frequent in the "
                "cluster and rarer elsewhere. By probability: what its documents say most often, with words that "
                "all clusters share. By lift: what hardly anyone else says, however rarely it is said here.",
                figures["topics"],
            ),
            Section(
                "Documents to read",
                "The most typical documents speak the language of their cluster throughout: so many nats does a "
                "word of theirs, taken once each, favour the cluster over the whole corpus (short documents are "
                "drawn towards 0). The least certain ones nearly went to the cluster named beside them: the "
                "fewer nats between the two, the closer the call; at 3 nats the odds are 20 to 1.",
                quotations,
            ),
            *_fitting_nowhere(unfamiliar, parameters["evaluate"].get("contamination", 0)),
            Section(
                "Where each label went",
                "Each row is a known label and shows how its documents spread over the clusters. A dark "
                "diagonal is agreement. A row spread over several columns is a label that the model divides; a "
                "column dark in several rows joins labels that use the same words. "
                + (
                    "These documents are held out: the labels of the others guided the fit."
                    if parameters["fit"]["use_labels"] == "guide"
                    else "The labels were never shown to the model."
                ),
                figures["labels"],
            ),
            Section(
                "Cluster sizes",
                "Documents assigned to each cluster, beside the number that its mixing weight pi expects. Where "
                "they differ, many documents lie between clusters; where they agree, each clearly belongs to one.",
                figures["sizes"],
            ),
            *_since_the_champion(changes),
            *_choosing_k(figures),
            Section(
                "How EM got there",
                "The objective per document after every EM step. In the plain steps it never falls. During "
                "annealing EM climbs another objective, of documents that count as if they were short and grow "
                "to their length. It drops as they grow, by construction, and the first may fall for a while. "
                "Last, clusters are split and merged. Where they tell the pseudo-counts (smoothing: auto), "
                "the plain steps begin by adding their prior, a drop of the curve.",
                figures["bound"],
            ),
        ],
        parameters,
        "All but the map and what is called held out is over the training documents. Log-likelihood "
        f"{whole(metrics['log_likelihood'])} nats, BIC {whole(metrics['bic'])}, ICL {whole(metrics['icl'])} "
        "(lower is better; with vocabularies of thousands of words both prefer few clusters).",
    )


def _fitting_nowhere(unfamiliar: Sequence[Quotation], contamination: float) -> list[Section]:
    if not unfamiliar:
        return []
    marked = (
        f"The least familiar {contamination:.2%} of the training documents, and new ones that are no more "
        "familiar, are marked in the column fits_nowhere."
        if contamination
        else "How many of them are to be marked, and new documents by the same measure, clustering.evaluate."
        "contamination says: a share of the documents."
    )
    half = (len(unfamiliar) + 1) // 2
    columns = {"Least familiar": unfamiliar[:half]}
    if unfamiliar[half:]:
        columns["and next"] = unfamiliar[half:]
    return [
        Section(
            "What fits nowhere",
            "Every document is put in the cluster that suits it best, even one that suits none. Its familiarity "
            "says how many nats a word the clusters explain it better than the word frequencies of the whole "
            "corpus do. Where that is about 0 or less, its cluster says nothing about it: so with texts of "
            "another kind or language, lists, remains of markup, and short documents, which have little to be "
            "known by. " + marked,
            [Quotations("The least familiar documents", "of all that have words", columns, is_unfolded=True)],
        )
    ]


def _since_the_champion(changes: pd.DataFrame) -> list[Section]:
    if changes.empty:
        return []
    changes = changes.sort_values("change", key=lambda change: change == "kept", kind="stable")
    kept, is_gone = changes[changes["change"] == "kept"], changes["change"] == "gone"
    n_before, n_documents = len(kept) + is_gone.sum(), changes.loc[~is_gone, "n_documents"].sum()
    table = pd.DataFrame(
        {
            "cluster": changes["cluster_name"],
            "documents": changes["n_documents"].astype(object).mask(is_gone, ""),
            "change": changes["change"],
            "champion's cluster": changes["champion_name"],
            "shared": [
                f"{shared:,} of {n:,}"
                for shared, n in zip(changes["n_shared"], changes["champion_documents"], strict=True)
            ],
            "words gained": changes["gained"],
            "words lost": changes["lost"],
        }
    )
    return [
        Section(
            "Since the champion",
            f"Version {changes['champion_version'].iloc[0]} was the champion before this run. Of its clusters, "
            f"{len(kept)} of {n_before} are kept, and {kept['n_shared'].sum() / n_documents:.0%} of the training "
            "documents are in one of these that was theirs before.\n\n"
            "A kept cluster has most documents of one of the champion's, and most of its own from there; one that "
            "has joined, most documents of several; one that is split off, most of its own from a larger one; a "
            "new one, none of these. Of one that is gone the cluster named first has the largest part. Words are "
            "gained and lost among the most relevant ones. What is not kept comes first.",
            table,
        )
    ]


def _choosing_k(figures: Mapping[str, Any]) -> list[Section]:
    if "selection" not in figures:
        return []
    return [
        Section(
            "How many clusters",
            "One mixture was fitted for every number of clusters K; everything else on this page is of the "
            "chosen one. Held-out perplexity asks how well a mixture foresees the words of documents that it was "
            "not fitted to, and NPMI whether the top words of its clusters occur together. BIC and ICL weigh the "
            "likelihood of the training documents against the number of parameters. A cluster costs one for "
            "every word, so with vocabularies of thousands of words these two prefer few clusters, even where "
            "more predict new documents better. The labels, if any, had no say in the choice.\n\n"
            "Clusters that nobody needs stay empty and change next to nothing: of the numbers whose criterion is "
            "within 0.01% of the best the smallest is taken. "
            "Where the best K is the largest or the smallest tried, it pays to look further. A criterion that has "
            "chosen is a little too kind to what it chose: documents held out from the choice too would tell.",
            figures["selection"],
        )
    ]
