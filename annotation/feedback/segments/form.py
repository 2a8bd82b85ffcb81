"""How segments are drawn: one row for marking; the time line and a row for each segment are the script's work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from django.utils.translation import gettext as _

from annotation.feedback.drawing import Drawn, Row, Shown, cannot_judge, marks_said
from annotation.feedback.pairwise.answer import choice_to_form
from annotation.feedback.pairwise.form import step_choice, tie_choice
from annotation.feedback.segments.answer import MOST_SEGMENTS


def question_drawn(
    question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
) -> Drawn:
    field, steps = f"{name}.marks", int(question["steps"])
    row = Row(field, "", "segments", needed=bool(question.get("required")), jump="m", value=fields.get(field, ""))
    choices = [step_choice(question, value, steps, False, "") for value in range(1, steps + 1)]
    data = {
        "choices": [asdict(choice) for choice in (choices if steps % 2 else [*choices, tie_choice("")])],
        "most": int(question.get("most", MOST_SEGMENTS)),
        "comment": bool(question.get("comment", True)),
    }
    return Drawn([row], cannot_judge(question, name, fields), data)


def answer_said(
    question: Mapping[str, Any], answer: Mapping[str, Any], option_order: Sequence[int]
) -> list[str]:
    """Each segment's seconds and choice."""
    return marks_said(
        [f"{one['start']:g}–{one['end']:g} s: {_choice_word(question, one, option_order)}" for one in answer["segments"]],
        _("They differ nowhere"),
    )


def _choice_word(question: Mapping[str, Any], segment: Mapping[str, Any], option_order: Sequence[int]) -> str:
    step = choice_to_form(question, segment, option_order)
    return (tie_choice("") if step == "tie" else step_choice(question, int(step), int(question["steps"]), False, "")).word
