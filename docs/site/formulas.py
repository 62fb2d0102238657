"""Formulas as MathML, which browsers draw without script or network; LaTeX that is none ends the build."""

from typing import Any

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.util import logging

logger = logging.getLogger(__name__)

CONVERTER = LatexToMathML()


def _mathml(node: nodes.Node, *, displayed: bool) -> str:
    try:
        return CONVERTER.convert_with_local_state(node.astext(), displaystyle=displayed)
    except LatexError as error:
        logger.warning("%s: %s", node.astext(), error, location=node)
        return ""


def draw_inline(translator: Any, node: nodes.Node) -> None:
    """Write a formula within a line."""
    translator.body.append(_mathml(node, displayed=False))
    raise nodes.SkipNode


def draw_block(translator: Any, node: nodes.Node) -> None:
    """Write a formula by itself, which scrolls where the window is narrow."""
    translator.body.append(f'<div class="formula">{_mathml(node, displayed=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Let the pages be drawn by these."""
    app.add_html_math_renderer("mathml", (draw_inline, None), (draw_block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
