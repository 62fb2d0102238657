"""Work in this process."""

from typing import TYPE_CHECKING, Any

from latents.engines.interface import Engine
from latents.estimators.common.blocks import Blocks, LocalBlocks
from latents.estimators.common.threads import n_blas_threads

if TYPE_CHECKING:
    from latents.estimators import ConditionalVAE


class LocalEngine(Engine):
    """Works on blocks in this process.

    Parameters
    ----------
    n_threads : int, optional
        So many blocks are worked on side by side; where it is not given, as many as there are threads.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.check_numbers(n_threads=n_threads)
        self.n_threads = n_blas_threads() if n_threads is None else n_threads

    def blocks(self, data: Any) -> Blocks[Any]:
        """Return data in blocks, as estimators take them."""
        return LocalBlocks(data, self.n_threads)

    def train(self, model: "ConditionalVAE", X: Any, y: Any, **given: Any) -> "ConditionalVAE":
        """Return the model, fitted."""
        return model.fit(X, y, **given)
