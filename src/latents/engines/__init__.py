"""Where the sums that estimators ask for are carried out: in this process, or on a Ray cluster.

An engine makes of data in blocks what estimators take, ``Blocks``; these know no engine. Whichever it is, what is
learned is the same to the last bit (``latents.estimators.common.blocks``).
"""

from latents.engines.interface import Engine
from latents.engines.local import LocalEngine
from latents.engines.on_ray import RayEngine

__all__ = ["Engine", "LocalEngine", "RayEngine"]
