"""What one answer says about the completions of its comparison: an order, a rating of each, or a yes or no for each.

A form says it by one question: the one marked `overall`, else the first that orders, else the first that rates each
completion. Yes and no stand beside that: they label single completions and never become a pair, since two likes given
apart from each other compare nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.errors import InputRefused

Question = Mapping[str, Any]
MOST_ASPECTS = 20


@dataclass(frozen=True, order=True)
class Order:
    """Completions in order: `groups` of their numbers, best first, a group of several being a tie; or, of a set that is
    `between` them, only the `best` and the `worst` (groups of one at the ends, then)."""

    groups: tuple[tuple[int, ...], ...]
    between: tuple[int, ...] = ()

    @property
    def items(self) -> list[int]:
        return [item for group in self.groups for item in group] + list(self.between)

    def place(self, item: int) -> int:
        """0 for the first group and so on; what lies between best and worst has the places between theirs."""
        if item in self.between:
            return 1
        found = next(number for number, group in enumerate(self.groups) if item in group)
        return 2 * found if self.between else found

    def said(self, one: int, other: int) -> int | None:
        """-1 where `one` is before `other`, 1 after, 0 in a tie, None where the answer does not say."""
        if one in self.between and other in self.between:
            return None
        first, second = self.place(one), self.place(other)
        return (first > second) - (first < second)

    def renamed(self, names: Sequence[int]) -> Order:
        """With item i called names[i]; groups sorted, so that equal orders are equal."""
        groups = tuple(tuple(sorted(names[item] for item in group)) for group in self.groups)
        return Order(groups, tuple(sorted(names[item] for item in self.between)))


@dataclass(frozen=True)
class PairRule:
    """How ratings become pairs.

    Attributes:
        aspects: weight of each aspect, 0 or more; empty: every aspect of the question weighs the same.
        gap: least difference of the weighted means that makes one better, as a share of the scale, 0 to 1; closer ones
            tie.
    """

    aspects: Mapping[str, float] = field(default_factory=dict)
    gap: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.gap < 1:
            raise InputRefused(f"The least gap between ratings is a share of their scale, 0 to 1; got {self.gap}.")
        if any(not 0 <= weight < 1e6 for weight in self.aspects.values()) or len(self.aspects) > MOST_ASPECTS:
            raise InputRefused("An aspect's weight is 0 or more, for at most 20 aspects.")
        if self.aspects and not any(self.aspects.values()):
            raise InputRefused("At least one aspect needs a weight above 0.")

    @property
    def fields(self) -> dict[str, Any]:
        """As a refit stores it."""
        return {"aspects": dict(self.aspects), "gap": self.gap}


def rule_parse(aspects: Sequence[str], gap: float) -> PairRule:
    """A rule from 'ASPECT=WEIGHT' texts.

    Example:
        >>> rule_parse(["helpfulness=2", "verbosity=0"], 0.1).aspects
        {'helpfulness': 2.0, 'verbosity': 0.0}
    """
    weights = {}
    for text in aspects:
        key, sign, weight = text.partition("=")
        try:
            weights[key.strip()] = float(weight)
        except ValueError:
            sign = ""
        if not sign or not key.strip():
            raise InputRefused(f"An aspect is given as ASPECT=WEIGHT, for example helpfulness=2; got {text!r}.")
    return PairRule(weights, gap)


@dataclass(frozen=True)
class Speaking:
    """The questions of a form that order or rate the completions of a comparison, or say yes or no to each."""

    order: Question | None = None
    rating: Question | None = None
    label: Question | None = None

    def __bool__(self) -> bool:
        return bool(self.order or self.rating or self.label)


def speaking(questions: Sequence[Question]) -> Speaking:
    """Which questions of a form speak of more than first and second."""
    ranked = sorted(questions, key=lambda question: not question.get("overall"))
    order = next((q for q in ranked if _orders(q)), None)
    rating = next((q for q in ranked if q["type"] == "rating" and q["subject"] == "completion"), None)
    if order is not None and rating is not None:
        order, rating = (None, rating) if rating.get("overall") and not order.get("overall") else (order, None)
    label = next((q for q in ranked if q["type"] == "binary" and not q.get("principles")), None)
    return Speaking(order, rating, label)


def _orders(question: Question) -> bool:
    return question["type"] == "listwise" or (question["type"] == "stepwise" and question.get("mode") == "siblings")


def order_of(question: Question, answers: Mapping[str, Any], size: int) -> Order | None:
    """The order that an answer puts the completions in, by stored position; None where it says none.

    Example:
        >>> order_of({"key": "q"}, {"q": {"ranks": [2, 1, 2]}}, 3).groups
        ((1,), (0, 2))
    """
    answer = answers.get(question["key"])
    if answer is None or answer.get("outcome"):
        return None
    if "ranks" in answer:
        ranks = answer["ranks"]
        places = sorted(set(ranks))
        return Order(tuple(tuple(i for i in range(size) if ranks[i] == place) for place in places))
    best, worst = answer["best"], answer["worst"]
    return Order(((best,), (worst,)), tuple(i for i in range(size) if i not in {best, worst}))


def ratings_of(question: Question, answers: Mapping[str, Any], rule: PairRule) -> list[float | None]:
    """The weighted mean rating of each completion, as a share of the scale; None for those without one.

    Raises:
        InputRefused: the rule names an aspect that the question does not have, or none that it weighs.

    Example:
        >>> question = {"key": "q", "low": 1, "high": 5, "aspects": [{"key": "a"}, {"key": "b"}]}
        >>> ratings_of(question, {"q": {"completions": [{"values": {"a": 5, "b": 3}}, None]}}, PairRule({"a": 3, "b": 1}))
        [0.875, None]
    """
    weights = rule.aspects or {part["key"]: 1.0 for part in question["aspects"]}
    rule_check(question, rule)
    low, span, total = question["low"], question["high"] - question["low"], sum(weights.values())
    given = (answers.get(question["key"]) or {}).get("completions") or []
    return [
        None
        if one is None or "values" not in one
        else sum(weight * (one["values"][key] - low) for key, weight in weights.items()) / (total * span)
        for one in given
    ]


def rule_check(question: Question, rule: PairRule) -> None:
    """Refuse a rule that names aspects which a rating question does not have."""
    known = [part["key"] for part in question["aspects"]]
    if unknown := sorted(set(rule.aspects) - set(known)):
        raise InputRefused(f"The ratings have the aspects {', '.join(known)}; got a weight for {', '.join(unknown)}.")


def labels_of(question: Question, answers: Mapping[str, Any], size: int) -> list[bool | None]:
    """Yes or no for each completion; None where the answer is missing, cannot judge or does not apply."""
    answer = answers.get(question["key"]) or {}
    if question["subject"] == "completion":
        given = answer.get("completions") or [None] * size
    else:
        given = [answer] if size == 1 else [None] * size
    said = [(one or {}).get("label") for one in given]
    return [label == "yes" if label in {"yes", "no"} else None for label in said]
