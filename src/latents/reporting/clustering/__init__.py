"""Charts of a mixture of multinomials: how the fit went, what the clusters say, how the documents fall."""

from latents.reporting.clustering.fit import bound_per_iteration
from latents.reporting.clustering.groups import cluster_sizes, label_by_cluster, matched_clusters
from latents.reporting.clustering.map import document_map
from latents.reporting.clustering.topics import RANKINGS, topic_words

__all__ = [
    "RANKINGS",
    "bound_per_iteration",
    "cluster_sizes",
    "document_map",
    "label_by_cluster",
    "matched_clusters",
    "topic_words",
]
