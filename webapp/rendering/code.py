"""Code in four roles: keywords, strings, numbers, functions; comments are quieter text. Pure.

One pass over the code, with a pattern in which no character is looked at twice: texts of models are hostile, and the
lexers of Pygments took seconds for a page of brackets (docs/decisions/0006). The roles help an eye to find its way;
they need not be a compiler's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from webapp.rendering.controls import visible

_C = (
    "abstract as async await auto base bool boolean break byte case catch chan char class const constexpr "
    "continue debugger default defer delete do double else enum explicit export extends extern false "
    "final finally float fn for foreach friend from func function go goto guard if impl implements import "
    "in infer inline instanceof int interface internal is keyof let long loop match mod move mut mutable "
    "namespace new nil null nullptr object of operator override package private protected pub public "
    "range readonly ref register return sealed select self short signed sizeof static string struct super "
    "switch synchronized template this throw throws trait true try type typealias typedef typename typeof "
    "union unsafe unsigned use using val var virtual void volatile when where while with yield"
)
_PYTHON = (
    "False None True and as assert async await break case class continue def del elif else except finally "
    "for from global if import in is lambda match nonlocal not or pass raise return self try while with "
    "yield"
)
_SCRIPT = (
    "BEGIN END alias and begin break case class def defined defp defmodule do done echo elif else elsif "
    "end ensure esac eval exec exit export false fi for foreach function if in let local module my nil "
    "not or our print redo rescue retry return self shift source sub super then true undef unless until "
    "use when while yield"
)
_DATA = "false no null off on true yes"
_SQL = (
    "add all alter and any as asc begin between by case check column commit constraint create cross "
    "database default delete desc distinct drop else end except exists false foreign from full group "
    "having if in index inner insert intersect into is join key left like limit not null offset on or "
    "order outer over partition primary references returning right rollback select set table then true "
    "union unique update using values view when where with"
)
_HASKELL = (
    "case class data default deriving do else end for function if import in infix instance let local "
    "module newtype nil not of or repeat return then true false type until where while"
)
_MATHS = (
    "break case catch continue else elseif end false for function global if otherwise persistent return "
    "switch true try while"
)


@dataclass(frozen=True)
class Family:
    """Languages that look alike. `comments`: patterns; `keywords`: words, compared in lower case if `folded`."""

    languages: str
    keywords: str
    comments: tuple[str, ...]
    folded: bool = False


_LINE, _BLOCK, _HASH, _DASHES = r"//[^\n]*+", r"/\*(?:[^*]|\*(?!/))*+(?:\*/)?+", r"#[^\n]*+", r"--[^\n]*+"
FAMILIES = (
    Family(
        "c h cpp c++ csharp c# cs css dart go golang graphql java javascript js jsx json json5 jsonc kotlin kt objc "
        "objective-c php rust rs scala scss swift typescript ts tsx",
        _C,
        (_LINE, _BLOCK),
    ),
    Family("python py python3 pycon", _PYTHON, (_HASH,)),
    Family(
        "bash sh shell zsh console elixir julia make makefile perl powershell ps1 r ruby rb dockerfile docker",
        _SCRIPT,
        (_HASH,),
    ),
    Family("yaml yml toml ini", _DATA, (_HASH, r";[^\n]*+")),
    Family("sql", _SQL, (_DASHES, _BLOCK), folded=True),
    Family("haskell hs lua", _HASKELL, (_DASHES,)),
    Family("latex tex matlab erlang", _MATHS, (r"%[^\n]*+",)),
)
_WORD = "word"
# A string ends with its line at the latest, but for those in three quotes or between backticks.
_STRINGS = (
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?+',
    r"'''(?:[^'\\]|\\.|'(?!''))*+(?:''')?+",
    r'"(?:[^"\\\n]|\\.)*+"?+',
    r"'(?:[^'\\\n]|\\.)*+'?+",
    r"`(?:[^`\\]|\\.)*+`?+",
)
_MARKUP = re.compile(
    r"(?P<hc><!--(?:[^-]|-(?!->))*+(?:-->)?+)|(?P<hk></?+[\w:-]++|/?+>)"
    r"|(?P<hs>\"[^\"<>\n]*+\"|'[^'<>\n]*+')|(?P<word>[\w:-]++)"
)
MARKUP = frozenset("html xml svg vue".split())
_ROLES = ("hc", "hs", "hn", _WORD)


@dataclass(frozen=True)
class _Scanner:
    pattern: re.Pattern[str]
    keywords: frozenset[str]
    folded: bool


@cache
def _scanners() -> dict[str, _Scanner]:
    """By language."""
    found = {}
    for family in FAMILIES:
        groups = ("|".join(family.comments), "|".join(_STRINGS), r"\b\d[\w.]*+", r"[^\W\d]\w*+")
        pattern = "|".join(f"(?P<{name}>{group})" for name, group in zip(_ROLES, groups, strict=True))
        scanner = _Scanner(re.compile(pattern, re.DOTALL), frozenset(family.keywords.split()), family.folded)
        found |= dict.fromkeys(family.languages.split(), scanner)
    return found


def languages() -> list[str]:
    """The names of languages that are coloured."""
    return sorted({*_scanners(), *MARKUP})


def code_html(code: str, language: str) -> str:
    """Escaped code with spans for its roles; without them if the language is not known.

    Example:
        >>> code_html("return 1", "js")
        '<span class="hk">return</span> <span class="hn">1</span>'
    """
    name = language.lower()
    scanner = _scanners().get(name)
    if scanner is None and name not in MARKUP:
        return visible(code)
    pattern = _MARKUP if scanner is None else scanner.pattern
    parts: list[str] = []
    at = 0
    for match in pattern.finditer(code):
        role = match.lastgroup or ""
        if role == _WORD:
            role = _word_role(scanner, match.group(), code[match.end() : match.end() + 1])
        if role:
            parts += [visible(code[at : match.start()]), f'<span class="{role}">{visible(match.group())}</span>']
            at = match.end()
    return "".join(parts) + visible(code[at:])


def _word_role(scanner: _Scanner | None, word: str, after: str) -> str:
    """Of a word by what follows it; in markup only names of attributes have a role."""
    if scanner is None:
        return "hf" if after == "=" else ""
    if (word.lower() if scanner.folded else word) in scanner.keywords:
        return "hk"
    return "hf" if after == "(" else ""
