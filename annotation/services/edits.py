"""Edits as preferences: the text that somebody wrote is a completion of its own, preferred over the one it repairs.

Everything here runs in the transaction of the answer itself. What is derived points at the edit's annotation, and goes
when that is undone or corrected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from annotation.content import comparison_key, places_ordered, text_sha256
from annotation.feedback.edit.answer import edited
from annotation.models import (
    Annotation,
    Comparison,
    ComparisonCompletion,
    Completion,
    Text,
)
from annotation.outbox import outbox_add


def edits_derive(*, annotation_id: int, questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> int:
    """Keep the edits among these stored answers as preferences; returns how many are new. No query where there is none."""
    found = [edit for question in questions if (edit := edited(question, answers.get(question["key"]))) is not None]
    if not found:
        return 0
    annotation = Annotation.objects.select_related("comparison").get(pk=annotation_id)
    # In one order everywhere: two people whose answers hold the same two texts would wait for each other.
    return sum(_derive(annotation, position, text) for position, text in sorted(found, key=lambda edit: edit[1]))


def edits_withdraw(*, annotation_id: int) -> None:
    """Withdraw what was derived from an answer that no longer stands."""
    for row in Annotation.objects.filter(derived_from=annotation_id, state=Annotation.State.CURRENT):
        Annotation.objects.filter(pk=row.pk).update(state=Annotation.State.WITHDRAWN)
        Annotation.objects.create(
            project_id=row.project_id,
            comparison_id=row.comparison_id,
            rater_id=row.rater_id,
            state=Annotation.State.RETRACTION,
            answers={},
            retracts=row,
        )
        outbox_add(project_id=row.project_id, kind="annotation.withdrawn", subject_id=row.pk)


def _derive(annotation: Annotation, position: int, written: str) -> bool:
    place = ComparisonCompletion.objects.select_related("completion__text", "completion__prompt__text").get(
        comparison_id=annotation.comparison_id, position=position
    )
    source = place.completion
    new = _completion(source, written, annotation.rater_id)
    comparison, first = _comparison(annotation, source, new)
    outcome = "first" if first == new.pk else "second"
    row, is_new = Annotation.objects.get_or_create(
        derived_from=annotation,
        comparison=comparison,
        defaults={
            "project_id": annotation.project_id,
            "rater_id": annotation.rater_id,
            "outcome": outcome,
            "answers": {"preference": {"outcome": outcome, "vote": None}},
            "source_import_id": annotation.source_import_id,
            "source_line": annotation.source_line,
            "source_place": annotation.source_place,
        },
    )
    if is_new:
        outbox_add(project_id=row.project_id, kind="annotation.submitted", subject_id=row.pk)
    return is_new


def _completion(source: Completion, written: str, author_id: int) -> Completion:
    """The edited text as a completion of the same prompt; one that is there already keeps its maker."""
    body = written if source.text.form != Text.Form.MESSAGES else _last_replaced(source.text.body, written)
    sha256 = text_sha256(source.text.form, body.encode())
    text, _ = Text.objects.get_or_create(sha256=sha256, defaults={"form": source.text.form, "body": body})
    made, _ = Completion.objects.get_or_create(
        prompt_id=source.prompt_id, text=text, defaults={"author_id": author_id}
    )
    return made


def _last_replaced(body: str, written: str) -> str:
    """Canonical JSON of messages with another last content."""
    messages = orjson.loads(body)
    return orjson.dumps([*messages[:-1], {**messages[-1], "content": written}]).decode()


def _is_only_text(text: Text) -> bool:
    """Whether it is all words: no name in the place of a text, no media, no tools."""
    if text.form != Text.Form.MESSAGES:
        return text.form == Text.Form.PLAIN
    messages = orjson.loads(text.body)
    return all(one.keys() <= {"role", "content"} and isinstance(one["content"], str) for one in messages)


def _comparison(annotation: Annotation, source: Completion, new: Completion) -> tuple[Comparison, int]:
    """The comparison of both, open to nobody if it is new; and the id of its first completion."""
    prompt, context = source.prompt, annotation.comparison.context
    both = [source, new]
    order = places_ordered([(bytes(prompt.text_id), bytes(one.text_id)) for one in both])
    placed = [both[index] for index in order]
    comparison, is_new = Comparison.objects.get_or_create(
        project_id=annotation.project_id,
        key=comparison_key(bytes(prompt.text_id), [bytes(one.text_id) for one in placed], context),
        defaults={
            "prompt": prompt,
            "context": context,
            "size": 2,
            "one_prompt": all(_is_only_text(text) for text in (prompt.text, source.text, new.text)),
            "source_import_id": annotation.source_import_id,
            "source_line": annotation.source_line,
        },
    )
    if is_new:
        ComparisonCompletion.objects.bulk_create(
            ComparisonCompletion(comparison=comparison, position=position, completion=one)
            for position, one in enumerate(placed)
        )
    return comparison, placed[0].pk
