"""Pairs: comparisons of two completions of one prompt, all of them texts that are here.

Judges, scores, routing and versions take only those.
"""

from __future__ import annotations

from collections.abc import Collection

from annotation.models import Annotation, Comparison, Project

# What a version's rows can be, and the condition on comparisons for each.
PAIRS, COMPLETIONS = "pairs", "completions"
UNITS = (PAIRS, COMPLETIONS)
# What statements over `annotation_comparison c` add to their condition.
IS_PAIR = "c.size = 2 AND c.one_prompt"
IS_SINGLE = "c.size = 1 AND c.one_prompt"
IS_UNIT = {PAIRS: IS_PAIR, COMPLETIONS: IS_SINGLE}
# What labels made from rankings, ratings and yes or no are known by: `r` is the revision.
FROM_SETS = ("plackett_luce", "ratings")
IS_DERIVED = "(r.outcome IN ('yes', 'no') OR r.method IN ('plackett_luce', 'ratings'))"
LEFT_OUT = "left_out_not_pairs"


def left_out_of(project: Project | int) -> dict[str, int]:
    """How many comparisons are no pairs, as a count that a job or a plan adds to its own; empty where all are.

    A set whose pairs are comparisons of their own is not left out, and a single completion taken from one neither.
    """
    apart = Comparison.objects.filter(project=project, derived=None, derivations=None)
    others = apart.exclude(size=2, one_prompt=True).count()
    return {LEFT_OUT: others} if others else {}


def other_sizes_of(project: Project | int, *, used: Collection[int] = ()) -> dict[str, int]:
    """How many answered comparisons of one or of several completions gave no label; `used` are those that did."""
    answered = Annotation.objects.filter(project=project, state=Annotation.State.CURRENT).exclude(comparison__size=2)
    others = len(set(answered.values_list("comparison_id", flat=True)) - set(used))
    return {"left_out_other_sizes": others} if others else {}
