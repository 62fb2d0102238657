"""What Kedro-Viz shows of a node of the PCA pipeline when it is chosen."""

from kedro.pipeline.preview_contract import MermaidPreview

from latents.pipelines.shared import diagram


def fit() -> MermaidPreview:
    """Draw what is kept of a row, what all rows share, and the error that is left."""
    return diagram(
        r"""
        flowchart TD
            rows["$$\text{training rows } x_n$$"]
            rows --> S["$$S = \frac{1}{N} \sum_n (x_n - \text{mean})(x_n - \text{mean})^\top$$"]
            S --> basis["$$S \mu_i = \lambda_i \mu_i, \quad \lambda_1 \ge \lambda_2 \ge \dots$$"]
            basis --> kept["$$z_{ni} = x_n^\top \mu_i, \quad i \le d$$"]
            basis --> shared["$$b_i = \text{mean}^\top \mu_i, \quad i > d$$"]
            kept --> rebuilt["$$\tilde{x}_n = \sum_{i \le d} z_{ni} \mu_i + \sum_{i > d} b_i \mu_i$$"]
            shared --> rebuilt
            rebuilt --> J["$$J(d) = \frac{1}{N} \sum_n |x_n - \tilde{x}_n|^2 = \sum_{i > d} \lambda_i$$"]
        """
    )
