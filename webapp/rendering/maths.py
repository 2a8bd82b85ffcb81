"""LaTeX to MathML. What cannot be turned stays as its source, marked; never half a formula.

`latex2mathml` runs in Python: text that is nested too deep is an exception, where a compiled converter took the process
down (docs/decisions/0006). Its output is not trusted: `markdown.py` passes it through the list of elements and
attributes below, as it does everything else.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from functools import lru_cache
from time import thread_time

from latex2mathml.converter import convert

from webapp.rendering.controls import visible

MOST_CHARACTERS = 2_000
MOST_SECONDS = 0.5  # of this thread, for all formulas of a text: what other processes do changes no page
MOST_BRACES = 40

ELEMENTS = frozenset(
    "math mrow mi mn mo mtext mspace mfrac msqrt mroot msub msup msubsup munder mover munderover mmultiscripts mprescripts "
    "none mtable mtr mtd mstyle mpadded mphantom menclose".split()
)
# Attributes of any of them, with what their values may be.
_LENGTH = re.compile(r"[+-]?\d{0,2}(\.\d{1,6})?(em|ex|pt|px|mm|cm|mu|in|%)?")
_WORD = re.compile(r"[a-z-]{1,24}( [a-z-]{1,24}){0,40}|\d")
ATTRIBUTES: dict[str, re.Pattern[str]] = {
    **dict.fromkeys(
        "accent accentunder columnalign columnlines display displaystyle fence form largeop linebreak mathvariant "
        "movablelimits notation rowlines scriptlevel separator stretchy symmetric".split(),
        _WORD,
    ),
    **dict.fromkeys("depth height linethickness lspace maxsize minsize rspace voffset width".split(), _LENGTH),
    "tabindex": re.compile("0"),
}
# A longer one in a line may be wider than a phone: it scrolls, so keys have to reach it.
_SHORT = 24
# Definitions can grow without end; the others reach for addresses, styles or text that would be read as HTML.
_REFUSED = re.compile(
    r"\\(?:(?:re|provide)?newcommand|(?:re)?newenvironment|[gex]?def|let|DeclareMathOperator|href|url|style|class|"
    r"includegraphics|require|input|include)(?![a-zA-Z])"
)
_TAG = re.compile(r"</?([a-z]+)")
_UNKNOWN = re.compile(r">\s*\\[^<]*<")


class Formulas:
    """Formulas of one text; together they may take `MOST_SECONDS`, the rest stays as source."""

    def __init__(self) -> None:
        self.left = MOST_SECONDS

    def html(self, source: str, *, is_block: bool, shown: str) -> str:
        """MathML, or `shown` (the source with its delimiters) marked as not turned."""
        start = thread_time()
        found = _mathml(source, is_block) if self.left > 0 else None
        self.left -= thread_time() - start
        if found is not None and not is_block and len(source) > _SHORT:
            found = found.replace("<math", '<math tabindex="0"', 1)
        return found if found is not None else f'<code class="tex">{visible(shown)}</code>'


# The same few formulas come again and again, in one text and in its neighbours.
@lru_cache(maxsize=2_048)
def _mathml(source: str, is_block: bool) -> str | None:
    if not source.strip() or len(source) > MOST_CHARACTERS or _braces(source) > MOST_BRACES:
        return None
    if _REFUSED.search(source) or "<" in visible(source) or "<!" in source:
        return None
    try:
        found: str = convert(source, display="block" if is_block else "inline")
    except Exception:  # noqa: BLE001 - any of the converter's many errors means the same: not turned
        return None
    return _written(found) if _is_whole(found) and not _UNKNOWN.search(found) else None


# Names of functions, which TeX parts from what stands beside them; the converter does not.
_FUNCTION = re.compile(
    r"<mi>(?:log|ln|lg|exp|(?:arc)?(?:sin|cos|tan)h?|cot|sec|csc|max|min|sup|inf|lim|det|dim|ker|gcd|deg|arg)</mi>"
)


def _written(found: str) -> str | None:
    """The same with names of functions apart, and each root as the sign and a line over its inside: a browser without a
    font for mathematics draws `msqrt` and `mroot` without the sign, and b² - 4ac under a root then reads as b² - 4ac."""
    if "<msqrt" not in found and "<mroot" not in found and not _FUNCTION.search(found):
        return found
    try:
        # Ours, not the text's: `_is_whole` has let no declaration through, and without one nothing expands.
        bare = re.sub(r' xmlns="[^"]*"', "", found, count=1)
        formula = ElementTree.fromstring(bare)  # noqa: S314 - no declaration, nothing expands
    except ElementTree.ParseError:
        return None
    for element in list(formula.iter()):
        if element.tag in _ROWS:
            _functions_part(element)
        if element.tag in {"msqrt", "mroot"}:
            _root_write(element)
    return ElementTree.tostring(formula, encoding="unicode")


# What holds any number of elements in a row; in others a space would take the place of an argument.
_ROWS = {"math", "mrow", "mtd", "mstyle", "mpadded"}


def _functions_part(row: ElementTree.Element) -> None:
    """A thin space between a function and a neighbour that is no sign."""
    for child in list(row):
        name = child if child.tag == "mi" else next(iter(child), child)
        if not _FUNCTION.fullmatch(f"<{name.tag}>{name.text}</{name.tag}>"):
            continue
        at = list(row).index(child)
        for place, beside in ((at + 1, row[at + 1 : at + 2]), (at, row[max(at - 1, 0) : at])):
            if beside and beside[0].tag not in {"mo", "mspace"}:
                row.insert(place, ElementTree.Element("mspace", {"width": "0.167em"}))


def _root_write(element: ElementTree.Element) -> None:
    inside = list(element)
    index = inside.pop() if element.tag == "mroot" else None
    element.clear()
    element.tag = "mrow"
    if index is not None:
        degree = ElementTree.SubElement(element, "msup")
        ElementTree.SubElement(degree, "mrow")
        degree.append(index)
    ElementTree.SubElement(element, "mo").text = "√"
    ElementTree.SubElement(element, "mrow", {"class": "radicand"}).extend(inside)


def _is_whole(found: str) -> bool:
    """Whether every sign that HTML reads as markup is the converter's: it copies the inside of \\text unescaped."""
    names = _TAG.findall(found)
    return found.count("<math") == 1 and len(names) == found.count("<") and ELEMENTS.issuperset(names)


def _braces(source: str) -> int:
    """How deep its groups are nested."""
    depth = deepest = 0
    for sign in re.findall(r"\\.|[{}]|\\left|\\begin", source, re.DOTALL):
        depth += (sign == "{") - (sign == "}")
        deepest = max(deepest, depth)
    return deepest
