"""What every engine does."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any, Self

from latents.estimators.common.blocks import Blocks


class Engine(ABC):
    """Carries out what estimators ask for; to be closed, as a context manager does."""

    @abstractmethod
    def blocks(self, data: Any) -> Blocks[Any]:
        """Return data in blocks, as estimators take them.

        Parameters
        ----------
        data : sequence of blocks
            Such as ``CountBlocks``. What works elsewhere sends it there as it is: it should name files rather than
            hold what is in them.
        """

    def close(self) -> None:  # noqa: B027  (most have nothing to give back)
        """Give back what the engine holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
