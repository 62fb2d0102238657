"""What YAML takes for something else than the text that was meant."""

_WRITTEN = {True: "yes, on and true", False: "no, off and false", None: "null and ~"}


def unquoted(value: object) -> str:
    """Return what to say of a value where a text should be: how YAML comes to it. Of a text that is nothing."""
    if value is None or isinstance(value, bool):
        return f"{value!r} is what YAML makes of {_WRITTEN[value]} without quotes; put the word in quotes"
    if isinstance(value, int | float):
        return f"{value!r} is a number, and YAML has more than one way to write it; put the word in quotes"
    return ""
