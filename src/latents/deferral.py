"""Libraries that another library imports at its head, and that are loaded when they are first used."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Deferred(ModuleType):
    """Stands in for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            sys.modules.pop(self.__name__, None)
        return getattr(import_module(self.__name__), name)


@contextmanager
def _standing_in(modules: dict[str, ModuleType]) -> Iterator[None]:
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def deferred(*names: str) -> AbstractContextManager[None]:
    """Let imports of some modules wait, for the length of the block, until something of them is asked for.

    After the block they are what they were: not loaded, unless they were used, and ``import`` loads them. Whoever
    imported one in the block keeps a stand-in, which looks everything up in the module itself.

    Parameters
    ----------
    names : str
        The modules. Those that are loaded already stay.
    """
    return _standing_in({name: _Deferred(name) for name in names if name not in sys.modules})


def ipython_unasked() -> AbstractContextManager[None]:
    """Answer for IPython, for the length of the block, that no session of it runs here, if it is not loaded.

    MLflow asks it, and would load it for that, with its terminal, completion and debugger.
    """
    ipython = ModuleType("IPython")
    ipython.__spec__ = ModuleSpec("IPython", None)
    vars(ipython)["get_ipython"] = lambda: None
    # Matplotlib asks, in another thread meanwhile; from this version on it leaves IPython alone.
    vars(ipython)["version_info"] = (8, 24)
    return _standing_in({} if "IPython" in sys.modules else {"IPython": ipython})
