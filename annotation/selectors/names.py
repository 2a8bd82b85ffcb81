"""Which models wrote what an annotator judged, once nobody can be swayed by it any more."""

from __future__ import annotations

from django.db.models import F, Q

from annotation.feedback import SIDES
from annotation.models import Annotation, Assignment, ComparisonCompletion, Demand
from annotation.services.assignment import HOLDING


def names_shown(answer: Annotation) -> list[tuple[str, str]]:
    """Each side of one's own answer as it was shown, with the name of its model, or "" where none is known.

    Empty unless the project shows names and the batch is over. Up to three queries, none where the project does not.
    """
    if not are_names_open(answer):
        return []
    names = dict(
        ComparisonCompletion.objects.filter(comparison_id=answer.comparison_id).values_list(
            "position", "completion__model__name"
        )
    )
    shown = [names[position] or "" for position in answer.shown_order or ()]
    return list(zip(SIDES, shown, strict=False)) if any(shown) else []


def are_names_open(answer: Annotation) -> bool:
    """Whether the project shows names and nothing of the answer's batch (its import) is open, held back or lent.

    What is held back may be opened again, so the batch is not over before a curator settles it or wants no more of it.
    """
    if not answer.project.show_names:
        return False
    batch = {"comparison__project": answer.project_id, "comparison__source_import": answer.comparison.source_import_id}
    waits = Demand.objects.filter(Q(leased__gt=0) | Q(done__lt=F("wanted"), closed=False), **batch)
    lent = Assignment.objects.filter(state__in=HOLDING, **batch)
    return not (waits.exists() or lent.exists())
