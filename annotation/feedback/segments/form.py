"""How segments are drawn: one row for marking; the time line and a row for each segment are the script's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from annotation.feedback.drawing import Drawn, Row, Shown, cannot_judge
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
