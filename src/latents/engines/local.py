"""Work in this process."""

from typing import Any

from latents.engines.interface import Engine
from latents.estimators.common.blocks import Blocks, LocalBlocks
from latents.estimators.common.threads import n_blas_threads


class LocalEngine(Engine):
    """Works on blocks in this process.

    Parameters
    ----------
    n_threads : int, optional
        So many blocks are worked on side by side; where it is not given, as many as there are threads.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n_threads = n_blas_threads() if n_threads is None else n_threads

    def blocks(self, data: Any) -> Blocks[Any]:
        """Return data in blocks, as estimators take them."""
        return LocalBlocks(data, self.n_threads)
