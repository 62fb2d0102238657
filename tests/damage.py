"""Ways in which a file can be damaged, as strategies of hypothesis."""

import copy
import json

from hypothesis import strategies as st

ODD = [None, True, 7, -1, 10**30, 1.5, float("nan"), float("inf"), "text", "", [], [[1]], {}, {"a": 1}]
ODD += [{"tuple": 3}, {"strings": [1], "dtype": "str"}, {"strings": "ab", "dtype": "complex"}]


@st.composite
def damaged_bytes(draw, content):
    """Flip a bit, or cut."""
    place = draw(st.integers(0, len(content) - 1))
    if draw(st.booleans()):
        return content[:place]
    changed = bytearray(content)
    changed[place] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


@st.composite
def damaged_json(draw, value):
    """Drop, retype, nest or add one name or item, at any depth."""
    changed = copy.deepcopy(value)
    at = changed
    while True:
        names = sorted(at) if isinstance(at, dict) else list(range(len(at)))
        name = draw(st.sampled_from(names)) if names else None
        if name is None or not isinstance(at[name], dict | list) or draw(st.booleans()):
            break
        at = at[name]
    what = draw(st.sampled_from(["drop", "retype", "nest", "add"]))
    if what == "add" or name is None:
        if isinstance(at, dict):
            at[draw(st.sampled_from(["surplus", "surplus_", "fit", "_x_", "\ud800"]))] = 1
        else:
            at.append(draw(st.sampled_from(ODD)))
    elif what == "drop":
        del at[name]
    elif what == "retype":
        at[name] = draw(st.sampled_from(ODD))
    else:
        at[name] = [at[name]] if draw(st.booleans()) else {"tuple": [at[name]]}
    return changed


def nested(text, name, depth=200_000):
    """Put a list of great depth in the place of the value of a name, which is a number."""
    value = json.loads(text)
    assert isinstance(value[name], int)
    deep = "[" * depth + "]" * depth
    return json.dumps({**value, name: "HERE"}).replace('"HERE"', deep)


def repeated(text, name):
    """Give a name at the top a second time."""
    value = json.loads(text)
    return json.dumps(value)[:-1] + f", {json.dumps(name)}: {json.dumps(value[name])}}}"
