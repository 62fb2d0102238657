"""What Kedro-Viz shows of a node of the clustering pipeline when it is chosen."""

from kedro.pipeline.preview_contract import MermaidPreview

from latents.pipelines.shared import diagram


def fit() -> MermaidPreview:
    """Draw how EM is led to an optimum."""
    return diagram(
        r"""
        flowchart TD
            start["$$\text{responsibilities } \gamma_{dk} \text{ drawn near } 1 / K$$"]
            start -- "$$\text{annealing}$$" --> E1
            start -- "$$\text{no annealing}$$" --> E2
            subgraph shortened["$$\text{documents shortened to } c \text{ words}$$"]
                E1["$$\gamma_{dk} \propto \big(\pi_k \prod_w \mu_{kw}^{T_{dw}}\big)^{\min(1,\ c / n_d)}$$"]
                E1 --> M1["$$\pi,\ \mu, \text{ then a larger } c$$"] --> E1
            end
            M1 -- "$$\text{almost all whole}$$" --> E2
            subgraph whole["$$\text{EM on whole documents}$$"]
                E2["$$\gamma_{dk} \propto \pi_k \prod_w \mu_{kw}^{T_{dw}}$$"]
                M2["$$\pi_k = N_k / D, \quad \mu_{kw} \propto \sum_d \gamma_{dk} T_{dw} + \text{smoothing}$$"]
                E2 --> M2 --> E2
            end
            M2 -- "$$\text{bound rises by less than tol}$$" --> model["$$\pi,\ \mu$$"]
        """
    )
