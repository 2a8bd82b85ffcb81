"""Simulated annotators err as they are meant to, and repeat."""

from random import Random

from launcher.demo.world.annotators import Annotator, cast, vote_of
from launcher.demo.world.grammar import answer_draw, prompt_draw, true_reward


def accuracy_and_left(habit: str, comparisons: int = 3000) -> tuple[float, float]:
    """Share of votes with the sign of the true gap, and share of votes for the side shown first."""
    random, annotator = Random(5), Annotator("x", habit)
    right = left = counted = 0
    for index in range(comparisons):
        prompt = prompt_draw(random)
        a, b = answer_draw(prompt, random), answer_draw(prompt, random)
        gap = true_reward(prompt, a) - true_reward(prompt, b)
        vote = vote_of(annotator, 0, str(index), prompt, a, b)
        if abs(gap) <= 0.05 or vote == 0:
            continue
        counted += 1
        right += (vote < 0) == (gap > 0)
        left += vote < 0
    return right / counted, left / counted


def test_good_annotators_are_mostly_right() -> None:
    right, left = accuracy_and_left("good")
    assert 0.86 <= right <= 0.93 and 0.46 <= left <= 0.54


def test_hasty_annotators_are_right_less_often() -> None:
    assert 0.68 <= accuracy_and_left("hasty")[0] <= 0.80


def test_side_biased_annotators_favour_one_side() -> None:
    right, left = accuracy_and_left("side_biased")
    assert 0.72 <= right <= 0.84 and left > 0.6


def test_spammers_know_nothing() -> None:
    assert 0.46 <= accuracy_and_left("spammer")[0] <= 0.54


def test_a_vote_depends_on_what_names_it_alone() -> None:
    shown = ("larger 20 or 9 ?", "20 .", "9 .")
    for annotator in cast():
        votes = {vote_of(annotator, 3, "17", *shown) for _ in range(3)}
        assert len(votes) == 1 and votes <= set(range(-3, 4))


def test_the_cast_has_one_spammer_and_distinct_names() -> None:
    names = [annotator.name for annotator in cast()]
    assert len(names) == len(set(names)) == 8
    assert [annotator.habit for annotator in cast()].count("spammer") == 1
