"""What every engine does."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from latents.estimators.common.blocks import Blocks

if TYPE_CHECKING:
    from latents.estimators import ConditionalVAE


class Engine(ABC):
    """Carries out what estimators ask for; to be closed, as a context manager does.

    Attributes
    ----------
    is_elsewhere : bool
        Whether data are sent to where the work is.
    """

    is_elsewhere: ClassVar[bool] = False

    @abstractmethod
    def blocks(self, data: Any) -> Blocks[Any]:
        """Return data in blocks, as estimators take them.

        Parameters
        ----------
        data : sequence of blocks
            Such as ``CountBlocks``. What works elsewhere sends it there as it is: it should name files rather than
            hold what is in them.
        """

    @abstractmethod
    def train(self, model: "ConditionalVAE", X: Any, y: Any, **given: Any) -> "ConditionalVAE":
        """Return a fitted model.

        Parameters
        ----------
        model : ConditionalVAE
            The parameters.
        X, y, **given
            As for ``ConditionalVAE.fit``.
        """

    def close(self) -> None:  # noqa: B027  (most have nothing to give back)
        """Give back what the engine holds."""

    @staticmethod
    def check_numbers(**numbers: int | None) -> None:
        """Refuse numbers of threads or workers that there cannot be.

        Raises
        ------
        ValueError
        """
        for name, number in numbers.items():
            if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
                raise ValueError(f"{name}={number!r}; allowed are whole numbers of at least 1")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
