"""What Kedro-Viz shows of a node of the cvae pipeline when it is chosen."""

from kedro.pipeline.preview_contract import MermaidPreview

from latents.pipelines.shared import diagram


def fit() -> MermaidPreview:
    """Draw what the lower bound is made of."""
    return diagram(
        r"""
        flowchart TD
            x["$$\text{image } x$$"] --> encoder["$$q(z \mid x, y)$$"]
            y["$$\text{class } y$$"] --> encoder
            y --> prior["$$p(z \mid y)$$"]
            y --> decoder["$$p(x \mid z, y)$$"]
            encoder -- "$$\text{a draw } z$$" --> decoder
            decoder --> likelihood["$$\mathrm{E}_q \log p(x \mid z, y)$$"]
            encoder --> divergence["$$\mathrm{KL}(q(z \mid x, y) \,\|\, p(z \mid y))$$"]
            prior --> divergence
            likelihood --> bound["$$\mathcal{L}(x, y) = \mathrm{E} - \mathrm{KL} \le \log p(x \mid y)$$"]
            divergence --> bound
        """
    )
