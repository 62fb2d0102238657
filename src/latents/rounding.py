"""How numbers are written for people: with as many digits as mean something, by what the number is.

Files (``metrics.json``, tables) and MLflow keep all digits.
"""

import math

MINUS = "\N{MINUS SIGN}"


def number(value: float, digits: int = 3) -> str:
    """Write an error, a perplexity or any measured number: `digits` significant digits, a true minus.

    Whole digits all stand, thousands apart; very large and very small magnitudes turn scientific.

    >>> number(187.433), number(0.63124), number(18846), number(0.0000123)
    ('187', '0.631', '18,846', '1.23e−05')
    """
    if not math.isfinite(value) or (float(value).is_integer() and abs(value) < 1e12):
        return whole(value)
    magnitude = math.floor(math.log10(abs(float(f"{value:.{digits - 1}e}"))))  # 9.996 is 10.0
    if magnitude < -4 or magnitude >= 9:
        return f"{value:.{digits}g}".replace("-", MINUS)
    return _fixed(value, max(digits - 1 - magnitude, 0))


def whole(value: float) -> str:
    """Write a count, or a sum of many nats: without decimals.

    >>> whole(18846), whole(-553951.1079)
    ('18,846', '−553,951')
    """
    return _fixed(value, 0)


def nats(value: float) -> str:
    """Write nats of an image, a document or a word: two decimals.

    >>> nats(-92.0617)
    '−92.06'
    """
    return _fixed(value, 2)


def score(value: float) -> str:
    """Write an agreement that ends at 1, such as NMI: two decimals.

    >>> score(0.68168)
    '0.68'
    """
    return _fixed(value, 2)


def share(value: float) -> str:
    """Write a share of a whole: percent to one decimal.

    >>> share(0.548996)
    '54.9%'
    """
    percent = _fixed(100 * value, 1)
    return f"{percent}%" if math.isfinite(value) else percent


def seconds(value: float) -> str:
    """Write a time: two digits, with its unit; what is below a hundredth of a second is no more than that.

    >>> seconds(0.07645), seconds(13.735), seconds(971.3), seconds(0.0004)
    ('0.076 s', '14 s', '16 min', '< 0.01 s')
    """
    if value < 0.01:
        return "< 0.01 s"
    unit, length = next((name, length) for name, length in _UNITS if value < 99.5 * length or name == "h")
    return f"{number(value / length, 2)} {unit}"


_UNITS = (("s", 1), ("min", 60), ("h", 3600))


def _fixed(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: f"{MINUS}∞"}.get(value, "not a number")
    # What rounds to nothing has no sign.
    return f"{round(float(value), decimals) + 0.0:,.{decimals}f}".replace("-", MINUS)
