"""Countable properties of a completion's text: what may sway a judgement beside its content. Pure.

Structure is read from the Markdown tree, not by patterns over the source. Words of politeness, hedging and refusal are
short lists of English, and the dictionary and the syllables are of English too; on texts in other languages these say
nothing and are then nearly constant.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import pyphen
from markdown_it import MarkdownIt
from markdown_it.token import Token
from spellchecker import SpellChecker

VERSION = "2"
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
SENTENCE_END = re.compile(r"[.!?。！？]+(?=\s|$)")
REFERENCE = re.compile(r"https?://|\[\d{1,3}\]|\bdoi:|\baccording to\b", re.IGNORECASE)
LONGEST_WORD = 60
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
HEDGES = frozenset(
    "maybe perhaps possibly probably likely might could seems appears generally usually often sometimes roughly"
    " approximately arguably presumably potentially unclear uncertain".split()
)
POLITE = frozenset("please thanks thank sorry apologize apologies glad happy welcome appreciate kindly".split())
REFUSALS = (
    "i can't", "i cannot", "i can’t", "i'm unable", "i am unable", "i won't", "i’m unable", "as an ai",
    "i'm not able", "i am not able", "i'm sorry, but", "i’m sorry, but",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """One text, read once."""

    text: str
    words: Sequence[str]
    tokens: Sequence[Token]
    prose: Sequence[str]
    prompt_words: frozenset[str]


@dataclass(frozen=True)
class Property:
    """`measure`: a number 0 or more of one text; `label` says what more of it means."""

    key: str
    label: str
    measure: Callable[[Facts], float]


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table")


def facts_of(text: str, prompt: str) -> Facts:
    """Words, Markdown tree, words outside code as they are written, and the prompt's words of four letters or more."""
    words = [word.lower() for word in WORD.findall(text)]
    asked = frozenset(word.lower() for word in WORD.findall(prompt) if len(word) > 3)
    tokens = _flat(_parser().parse(text))
    prose = [word for token in tokens if token.type == "text" for word in WORD.findall(token.content)]
    return Facts(text, words, tokens, prose, asked)


def _flat(tokens: Iterable[Token]) -> list[Token]:
    return [one for token in tokens for one in (token, *(token.children or []))]


def _of_type(*names: str) -> Callable[[Facts], float]:
    return lambda facts: float(sum(token.type in names for token in facts.tokens))


def _share_of(listed: frozenset[str]) -> Callable[[Facts], float]:
    return lambda facts: sum(word in listed for word in facts.words) / max(len(facts.words), 1)


def _refuses(facts: Facts) -> float:
    start = facts.text[:400].lower()
    return float(any(phrase in start for phrase in REFUSALS))


def _overlap(facts: Facts) -> float:
    return len(facts.prompt_words & set(facts.words)) / max(len(facts.prompt_words), 1)


def _sentence_length(facts: Facts) -> float:
    return len(facts.words) / max(len(SENTENCE_END.findall(facts.text)), 1)


@cache
def _dictionary() -> SpellChecker:
    return SpellChecker(language="en")


@cache
def _hyphens() -> pyphen.Pyphen:
    return pyphen.Pyphen(lang="en_US", left=1, right=1)


@lru_cache(maxsize=100_000)
def _syllables(word: str) -> int:
    return len(_hyphens().positions(word[:LONGEST_WORD])) + 1


def _unknown(facts: Facts) -> float:
    """The share of words that the dictionary lacks: misspelt, foreign, British or new. Names and acronyms do not count."""
    plain = [word for word in facts.prose if word.isascii() and word.isalpha() and word.islower() and len(word) > 2]
    return sum(word not in _dictionary() for word in plain) / max(len(plain), 1)


def _grade(facts: Facts) -> float:
    """Flesch and Kincaid's grade, 0 or more; a syllable is what hyphenation makes one."""
    syllables = sum(map(_syllables, facts.words)) / max(len(facts.words), 1)
    return max(0.39 * _sentence_length(facts) + 11.8 * syllables - 15.59, 0.0)


PROPERTIES: dict[str, Property] = {
    entry.key: entry
    for entry in (
        Property("words", "Longer", lambda facts: float(len(facts.words))),
        Property("lists", "More list items", _of_type("list_item_open")),
        Property("headings", "More headings", _of_type("heading_open")),
        Property("emphasis", "More bold and italic", _of_type("strong_open", "em_open")),
        Property("code", "More code", _of_type("fence", "code_block", "code_inline")),
        Property("tables", "More tables", _of_type("table_open")),
        Property("references", "More references", lambda f: float(len(REFERENCE.findall(f.text)))),
        Property("numbers", "More numbers", lambda f: float(len(NUMBER.findall(f.text)))),
        Property("hedges", "Hedges more", _share_of(HEDGES)),
        Property("politeness", "More polite words", _share_of(POLITE)),
        Property("refusal", "Refuses", _refuses),
        Property("overlap", "Takes up more of the prompt’s words", _overlap),
        Property("sentence_length", "Longer sentences", _sentence_length),
        Property("word_length", "Longer words", lambda f: sum(map(len, f.words)) / max(len(f.words), 1)),
        Property("grade", "Harder to read (Flesch-Kincaid)", _grade),
        Property("unknown_words", "More words that a dictionary of US English lacks", _unknown),
        Property("exclamations", "More exclamation marks", lambda f: float(f.text.count("!"))),
        Property("questions", "Asks back", lambda f: float(f.text.rstrip().endswith(("?", "？")))),
    )
}


def properties_of(text: str, prompt: str) -> dict[str, float]:
    """Every property of one text.

    Example:
        >>> found = properties_of("Perhaps:\\n\\n- **one**\\n- two [1]", "Name two")
        >>> found["lists"], found["emphasis"], found["references"], found["words"]
        (2.0, 1.0, 1.0, 4.0)
    """
    facts = facts_of(text, prompt)
    return {key: entry.measure(facts) for key, entry in PROPERTIES.items()}
