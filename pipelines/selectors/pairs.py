"""Pairs: comparisons of two completions of one prompt, all of them texts that are here.

Judges, scores, routing and versions take only those.
"""

from __future__ import annotations

from annotation.models import Annotation, Comparison, Project

# What statements over `annotation_comparison c` add to their condition.
IS_PAIR = "c.size = 2 AND c.one_prompt"
LEFT_OUT = "left_out_not_pairs"


def left_out_of(project: Project | int) -> dict[str, int]:
    """How many comparisons are no pairs, as a count that a job or a plan adds to its own; empty where all are."""
    others = Comparison.objects.filter(project=project).exclude(size=2, one_prompt=True).count()
    return {LEFT_OUT: others} if others else {}


def other_sizes_of(project: Project | int) -> dict[str, int]:
    """How many answered comparisons have one or several completions: aggregation is about two. Empty where none has."""
    answered = Annotation.objects.filter(project=project, state=Annotation.State.CURRENT).exclude(comparison__size=2)
    others = answered.values("comparison").distinct().count()
    return {"left_out_other_sizes": others} if others else {}
