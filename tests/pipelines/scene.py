"""Votes and predictions put straight into the tables, for tests that begin where annotating ends."""

from __future__ import annotations

from annotation.models import Annotation, Comparison, LanguageModel, Project, Rater
from annotation.outbox import outbox_add
from pipelines.models import Prediction


def rater(project: Project, name: str, kind: str = "person") -> Rater:
    return Rater.objects.get_or_create(project=project, kind=kind, name=name)[0]


def judge(project: Project, name: str = "judge") -> Rater:
    model, _ = LanguageModel.objects.get_or_create(
        name=name, defaults={"kind": "local", "location": name, "fingerprint": "f" * 64}
    )
    return Rater.objects.get_or_create(project=project, kind="model", name=name, defaults={"model": model})[0]


def annotate(
    comparison: Comparison,
    rater: Rater,
    outcome: str,
    vote: int | None = None,
    shown: list[int] | None = None,
) -> Annotation:
    """A current annotation, with the outbox row that the services write."""
    made = Annotation.objects.create(
        project=comparison.project,
        comparison=comparison,
        rater=rater,
        outcome=outcome,
        vote=vote,
        vote_scale=None if vote is None else 3,
        shown_order=shown,
        answers={},
    )
    outbox_add(project_id=comparison.project_id, kind="annotation.submitted", subject_id=made.pk)
    return made


def withdraw(annotation: Annotation) -> None:
    """As the service does: the row's state changes and a row that points at it is added."""
    Annotation.objects.filter(pk=annotation.pk).update(state="withdrawn")
    Annotation.objects.create(
        project=annotation.project,
        comparison=annotation.comparison,
        rater=annotation.rater,
        state="retraction",
        answers={},
        retracts=annotation,
    )
    outbox_add(project_id=annotation.project_id, kind="annotation.withdrawn", subject_id=annotation.pk)


def predict(
    comparison: Comparison, rater: Rater, p_first: float | None, outcome: str | None = None
) -> Prediction:
    side = outcome or ("first" if p_first is not None and p_first > 0.5 else "second")
    return Prediction.objects.create(
        project=comparison.project,
        comparison=comparison,
        rater=rater,
        outcome=side,
        p_first=p_first,
        method="verdict",
        method_version="1",
        fingerprint="f" * 64,
        params_hash=str(Prediction.objects.count()),
    )
