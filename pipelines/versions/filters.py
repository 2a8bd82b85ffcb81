"""Filters: 'KEY OP VALUE' rules that keep preferences, each recorded with what it dropped. Pure.

A filter keeps the rows for which the rule holds. Rows without such a number (no votes, no score) are left alone and
counted. Filters that look at a model drop from train only, unless the rule ends in `in all`: what a model finds hard
must not vanish from what it is tested on. A key that reads a model's scores takes its name after a colon:

    flip < 0.3    origin = person    ches_ln_share:base <= 0.9    judge_confidence >= 0.8 in all
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.scoring.ranks import highest_share
from pipelines.versions.errors import FilterRefused

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class ScoreColumns:
    """What one model says about the candidates, each (n,); NaN where it says nothing.

    `longer`: tokens of chosen minus those of rejected, 0 without a score.
    """

    model: str
    fingerprint: str
    ches: FloatArray
    ches_ln: FloatArray
    edit_distance: FloatArray
    longer: FloatArray


@dataclass(frozen=True)
class Candidates:
    """The preferences that could be frozen, ordered by content; arrays (n,), NaN where a row has no such number.

    Attributes:
        flip, p_tie, confidence, agreement: 0 to 1. strength: toward chosen, -1 to 1. votes: count.
        origin: person, model or source.
        is_train: whether the row's split is train.
        chosen_length, rejected_length: characters.
        warnings: keys joined by a space, '' for none.
        scores: by model name.
        places_apart, places_span: of pairs made from rankings or ratings, see `pipelines.pairs.orders.places_apart`; None
            where nobody asks.
    """

    flip: FloatArray
    p_tie: FloatArray
    confidence: FloatArray
    agreement: FloatArray
    strength: FloatArray
    votes: FloatArray
    origin: NDArray[np.str_]
    is_train: BoolArray
    chosen_length: FloatArray
    rejected_length: FloatArray
    warnings: NDArray[np.str_]
    scores: Mapping[str, ScoreColumns] = field(default_factory=dict)
    places_apart: FloatArray | None = None
    places_span: FloatArray | None = None

    def __len__(self) -> int:
        return int(self.flip.size)


@dataclass(frozen=True)
class FilterKey:
    """One line of the table. `key` is stored in recipes and never renamed.

    `kind`: number, share (rank among the scored, 0 to 1) or text. `column`: the values, from candidates and, where
    `of_model`, one model's scores. `looks_at_model`: drops from train only unless told otherwise.
    """

    key: str
    label: str
    kind: Literal["number", "share", "text"]
    column: Callable[[Candidates, ScoreColumns | None], NDArray[np.generic]]
    looks_at_model: bool = False
    of_model: bool = False


def _scored(name: str) -> Callable[[Candidates, ScoreColumns | None], FloatArray]:
    def column(_: Candidates, scores: ScoreColumns | None) -> FloatArray:
        if scores is None:
            raise FilterRefused("This filter needs a model's scores.")
        values: FloatArray = getattr(scores, name)
        return values

    return column


def _places(name: str) -> Callable[[Candidates, ScoreColumns | None], FloatArray]:
    def column(candidates: Candidates, _: ScoreColumns | None) -> FloatArray:
        values: FloatArray | None = getattr(candidates, name)
        return np.full(len(candidates), np.nan) if values is None else values

    return column


FILTERS: dict[str, FilterKey] = {
    entry.key: entry
    for entry in (
        FilterKey("flip", "flip probability", "number", lambda c, _: c.flip),
        FilterKey("p_tie", "probability of a tie", "number", lambda c, _: c.p_tie),
        FilterKey("confidence", "probability of the direction", "number", lambda c, _: c.confidence),
        FilterKey(
            "judge_confidence",
            "confidence of labels that a model gave, calibrated where a pilot was",
            "number",
            lambda c, _: np.where(c.origin == "model", c.confidence, np.nan),
            looks_at_model=True,
        ),
        FilterKey("agreement", "share of votes for the direction", "number", lambda c, _: c.agreement),
        FilterKey("votes", "annotations under the label", "number", lambda c, _: c.votes),
        FilterKey("strength", "how clearly chosen is better, -1 to 1", "number", lambda c, _: c.strength),
        FilterKey("origin", "who decided: person, model or source", "text", lambda c, _: c.origin),
        FilterKey("warning", "identity_leak, control_characters", "text", lambda c, _: c.warnings),
        FilterKey("chosen_length", "characters of chosen", "number", lambda c, _: c.chosen_length),
        FilterKey("rejected_length", "characters of rejected", "number", lambda c, _: c.rejected_length),
        FilterKey(
            "length_difference",
            "characters of chosen minus rejected",
            "number",
            lambda c, _: c.chosen_length - c.rejected_length,
        ),
        FilterKey(
            "places_apart",
            "places between the two in a ranking, 1 for neighbours",
            "number",
            _places("places_apart"),
        ),
        FilterKey(
            "places_span",
            "the same as a share of the ranking, 1 for best and worst",
            "number",
            _places("places_span"),
        ),
        FilterKey("ches", "CHES score", "number", _scored("ches"), looks_at_model=True, of_model=True),
        FilterKey(
            "ches_ln",
            "CHES score, length-normalised",
            "number",
            _scored("ches_ln"),
            looks_at_model=True,
            of_model=True,
        ),
        FilterKey(
            "ches_share",
            "place among the CHES scores, 1 the riskiest",
            "share",
            _scored("ches"),
            looks_at_model=True,
            of_model=True,
        ),
        FilterKey(
            "ches_ln_share",
            "place among the length-normalised CHES scores, 1 the riskiest",
            "share",
            _scored("ches_ln"),
            looks_at_model=True,
            of_model=True,
        ),
        FilterKey(
            "edit_distance",
            "normalised edit distance of the token ids",
            "number",
            _scored("edit_distance"),
            of_model=True,
        ),
    )
}  # fmt: skip
PLACE_KEYS = frozenset({"places_apart", "places_span"})
# How many pairs a ranking may give to a version, as the filter that says so.
PAIR_CHOICES = {"all": "", "adjacent": "places_apart <= 1", "best-worst": "places_span >= 1"}
LENGTH_KEYS = frozenset({"chosen_length", "rejected_length", "length_difference"})
_OPERATORS: dict[str, Callable[[NDArray[np.generic], float], BoolArray]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq
}  # fmt: skip
_RULE = re.compile(
    r"\s*(?P<key>[a-z_]+)(?::(?P<model>\S+))?\s*(?P<op><=|>=|!=|<|>|=)\s*(?P<value>\S+?)(?:\s+in\s+(?P<where>\w+))?\s*"
)


@dataclass(frozen=True)
class Rule:
    """One parsed filter. `model`: the named one, or ''. `train_only`: rows of the other splits are left alone."""

    key: FilterKey
    model: str
    op: str
    value: float | str
    train_only: bool

    @property
    def text(self) -> str:
        """The rule, written the same way whatever its spaces were."""
        name = f"{self.key.key}:{self.model}" if self.model else self.key.key
        value = self.value if isinstance(self.value, str) else number_text(self.value)
        default = self.train_only == self.key.looks_at_model
        return f"{name} {self.op} {value}" + (
            "" if default else " in train" if self.train_only else " in all"
        )


@dataclass(frozen=True)
class Verdict:
    """`keeps`: (n,) True where the row stays. `without`: rows that have no such number and stay for that reason."""

    keeps: BoolArray
    without: int


def number_text(value: float) -> str:
    """A number as recipes write it: short, and read back as exactly the same."""
    return repr(float(value)).removesuffix(".0")


def rule_parse(text: str) -> Rule:
    """Read 'KEY OP VALUE'.

    Raises:
        FilterRefused: it cannot be read, or key, operator and value do not go together.

    Example:
        >>> rule_parse("flip<0.30").text, rule_parse("ches_ln_share:base <= 0.9 in all").text
        ('flip < 0.3', 'ches_ln_share:base <= 0.9 in all')
    """
    match = _RULE.fullmatch(text)
    if match is None:
        raise FilterRefused(
            f"A filter is written 'KEY OP VALUE', for example 'flip < 0.3'; got {text[:80]!r}."
        )
    name, op, where = match["key"], match["op"], match["where"]
    if name not in FILTERS:
        raise FilterRefused(f"There is no filter {name!r}; known are {', '.join(FILTERS)}.")
    key = FILTERS[name]
    if match["model"] and not key.of_model:
        raise FilterRefused(
            f"The filter {name} does not read a model's scores; leave out ':{match['model']}'."
        )
    if where not in {None, "all", "train"}:
        raise FilterRefused(f"A filter ends in 'in all' or 'in train'; got 'in {where}'.")
    train_only = key.looks_at_model if where is None else where == "train"
    return Rule(key, match["model"] or "", op, _value(key, op, match["value"]), train_only)


def _value(key: FilterKey, op: str, text: str) -> float | str:
    if key.kind == "text":
        if op not in {"=", "!="}:
            raise FilterRefused(f"The filter {key.key} takes = or !=; got {op}.")
        return text
    try:
        value = float(text)
    except ValueError:
        raise FilterRefused(f"The filter {key.key} takes a number; got {text[:40]!r}.") from None
    if not np.isfinite(value):
        raise FilterRefused(f"The filter {key.key} takes a finite number; got {text}.")
    if key.kind == "share" and (op != "<=" or not 0 <= value <= 1):
        raise FilterRefused(
            f"The filter {key.key} takes <= and a share of 0 to 1 that stays; got {op} {text}."
        )
    return value


def rule_apply(rule: Rule, candidates: Candidates, scores: ScoreColumns | None = None) -> Verdict:
    """Which candidates the rule keeps. `scores`: of the rule's model, where it reads one."""
    column = rule.key.column(candidates, scores)
    if rule.key.kind == "text":
        has = np.array([str(rule.value) in text.split() for text in column.tolist()], dtype=bool)
        found, known = (has if rule.op == "=" else ~has), np.ones(len(candidates), dtype=bool)
    else:
        numbers = column.astype(np.float64)
        known = ~np.isnan(numbers)
        found = np.ones(len(candidates), dtype=bool)
        found[known] = _holds(rule, numbers[known])
    keeps = found | ~known
    if rule.train_only:
        keeps = keeps | ~candidates.is_train
    return Verdict(keeps, int(np.count_nonzero(~known)))


def _holds(rule: Rule, numbers: FloatArray) -> BoolArray:
    if rule.key.kind == "share":
        kept: BoolArray = ~highest_share(numbers, 1.0 - float(rule.value))
        return kept
    return _OPERATORS[rule.op](numbers, float(rule.value))
