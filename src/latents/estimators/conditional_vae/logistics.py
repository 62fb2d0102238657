r"""A logistic distribution cut into the 256 grey values k / 255 of 8 bits: log masses, in nats, and means.

With mean m and scale s, a draw of the logistic distribution is taken for the grey value nearest to it. Half a step
being h = 1/510, and \sigma the logistic function, the masses are differences of its distribution function,

.. math::

    P(k) = \sigma(a) - \sigma(b), \qquad a = \frac{k / 255 + h - m}{s}, \quad b = \frac{k / 255 - h - m}{s},

where black has all that lies below, b = -\infty, and white all that lies above, a = \infty: they add up to one.
"""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

_LAST = 255
_HALF_STEP = 1 / (2 * _LAST)


def levels_of(x: Tensor) -> Tensor:
    """Return the numbers 0, ..., 255 of the grey values that pixels in [0, 1] are nearest to."""
    return torch.round(_LAST * x)


def log_mass(level: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    r"""Return log P(k) of the levels k = 0, ..., 255; the three broadcast.

    \sigma(a) - \sigma(b) = \sigma(a) \sigma(-b) (1 - exp(b - a)), whose logarithm loses no digits: not where both
    are nearly one, nor where both are nearly nought.
    """
    per_scale = torch.exp(-log_scale)
    distance, half = (level / _LAST - mean) * per_scale, _HALF_STEP * per_scale
    below, above = logsigmoid(half + distance), logsigmoid(half - distance)
    between = below + above + torch.log(-torch.expm1(-2 * half))
    return torch.where(level == 0, below, torch.where(level == _LAST, above, between))


def clipped_mean(mean: Tensor, log_scale: Tensor) -> Tensor:
    r"""Return the mean of a draw that is taken for 0 where it lies below, and for 1 where it lies above.

    It is the integral of P(draw > t) over t from 0 to 1, s [log(1 + exp(m / s)) - log(1 + exp((m - 1) / s))]. That
    of the grey values is the same integral by the midpoint rule, and lies within half a step, 1/510, of it.
    """
    scale = torch.exp(log_scale)
    return (scale * (softplus(mean / scale) - softplus((mean - 1) / scale))).clamp(0, 1)
