"""Simulated annotators of known reliability, who err in known ways.

A vote depends on the seed, the annotator and the comparison alone, so a run repeats whoever comes first.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from launcher.demo.world.grammar import style_of, style_value, true_reward

LAPSE = 0.03
STEPS = ((0.35, 0), (1.2, 1), (2.8, 2))
STRONGEST = 3


@dataclass(frozen=True)
class Draws:
    """Three uniform numbers in [0, 1) of one vote, each for its own purpose."""

    side: float
    mood: float
    lapse: float


@dataclass(frozen=True)
class View:
    """What an annotator sees of a comparison: differences of A to B."""

    gap: float
    style: float
    words: int


def draws_of(seed: int, annotator: str, comparison: str) -> Draws:
    """The numbers of one vote, from a hash of what names it; `comparison` is any stable name.

    >>> draws_of(0, "ada", "17") == draws_of(0, "ada", "17") != draws_of(0, "ben", "17")
    True
    """
    digest = hashlib.sha256(f"{seed}|{annotator}|{comparison}".encode()).digest()
    return Draws(*(int.from_bytes(digest[at : at + 8], "big") / 2.0**64 for at in (0, 8, 16)))


def view_of(prompt: str, a: str, b: str) -> View:
    """The comparison as it is shown, A first."""
    return View(
        gap=true_reward(prompt, a) - true_reward(prompt, b),
        style=style_value(a) - style_value(b),
        words=style_of(a).words - style_of(b).words,
    )


def _good(view: View, draws: Draws) -> float:
    return 2.5 * view.gap * (-1 if draws.lapse < LAPSE else 1)


def _hasty(view: View, draws: Draws) -> float:
    """Nearly half of the votes see the manner only."""
    return 2.0 * view.style + 0.15 * view.words if draws.mood < 0.45 else 1.5 * view.gap


def _side_biased(view: View, draws: Draws) -> float:
    return 1.2 * view.gap + 1.5


def _spammer(view: View, draws: Draws) -> float:
    return 0.0


VALUES: dict[str, Callable[[View, Draws], float]] = {
    "good": _good,
    "hasty": _hasty,
    "side_biased": _side_biased,
    "spammer": _spammer,
}


@dataclass(frozen=True)
class Annotator:
    """One simulated person; `habit` is a key of VALUES and is never told to the platform."""

    name: str
    habit: str


def cast(good: int = 4, hasty: int = 2, side_biased: int = 1, spammer: int = 1) -> list[Annotator]:
    """The annotators of the demo, in the order in which they take turns."""
    counts = {"good": good, "hasty": hasty, "side_biased": side_biased, "spammer": spammer}
    return [
        Annotator(f"{habit.replace('_', '-')}-{number + 1}", habit)
        for habit, count in counts.items()
        for number in range(count)
    ]


def vote_of(annotator: Annotator, seed: int, comparison: str, prompt: str, a: str, b: str) -> int:
    """The vote as cast on the page, -3..3: negative says A is better, 0 a tie, larger is clearer.

    The side is drawn with probability sigmoid of the annotator's value for A; how clearly they say so
    follows the size of that value, and a spammer's is drawn too.
    """
    draws = draws_of(seed, annotator.name, comparison)
    view = view_of(prompt, a, b)
    value = VALUES[annotator.habit](view, draws)
    side = -1 if draws.side < 1.0 / (1.0 + math.exp(-value)) else 1
    if annotator.habit == "spammer":
        return side * (1 + int(draws.mood * STRONGEST))
    if view.gap == 0.0 and annotator.habit == "good":
        return 0
    return side * next((step for limit, step in STEPS if step and abs(value) < limit), STRONGEST)
