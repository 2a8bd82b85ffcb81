"""The queue against a plain model: any order of joins, votes, skips, expiries, undos, raises and lowers."""

from __future__ import annotations

from uuid import uuid4

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotation.errors import AnnotationError, KeptAsSurplus
from annotation.models import Demand
from annotation.services.assignment import (
    AssignmentRow,
    assignment_next,
    assignment_release,
    assignment_skip,
    assignment_submit,
    assignment_sweep,
    comparison_wanted_set,
)
from annotation.services.corrections import annotation_correct, annotation_undo
from tests import cast
from tests.annotation.queue_invariants import broken_invariants

PEOPLE, COMPARISONS = 4, 5


class Queue(RuleBasedStateMachine):
    """The model: which votes each person was told are in, and which comparisons each person has met."""

    def __init__(self) -> None:
        super().__init__()
        self.example = transaction.atomic()
        self.example.__enter__()
        self.project = cast.project()
        self.made = cast.comparisons(self.project, COMPARISONS, wanted=2)
        self.people = [cast.person(f"P{i}", self.project, "annotator") for i in range(PEOPLE)]
        self.answered: dict[tuple[int, int], int] = {}
        self.refused_for_ever: set[tuple[int, int]] = set()
        self.leases: dict[int, dict[int, AssignmentRow]] = {i: {} for i in range(PEOPLE)}

    who = st.integers(0, PEOPLE - 1)

    @rule(who=who, k=st.integers(1, 3))
    def next(self, who: int, k: int) -> None:
        rows = assignment_next(project_id=self.project.pk, user_id=self.people[who].pk, prefetch=k)
        assert len({row.comparison_id for row in rows}) == len(rows) <= k
        for row in rows:
            assert (who, row.comparison_id) not in self.answered
            assert (who, row.comparison_id) not in self.refused_for_ever
            self.leases[who][row.comparison_id] = row

    @precondition(lambda self: any(self.leases.values()))
    @rule(data=st.data(), strength=st.integers(-3, 3), cannot=st.booleans())
    def submit(self, data: st.DataObject, strength: int, cannot: bool) -> None:
        who, comparison = self._pick(data)
        row = self.leases[who].pop(comparison)
        answers = cast.CANNOT_JUDGE if cannot else cast.vote(strength)
        try:
            done = assignment_submit(
                assignment_id=row.id, user_id=self.people[who].pk, submit_key=uuid4(), answers=answers
            )
            self.answered[who, comparison] = done.annotation_id
        except KeptAsSurplus:
            self.refused_for_ever.add((who, comparison))

    @precondition(lambda self: any(self.leases.values()))
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        who, comparison = self._pick(data)
        row = self.leases[who].pop(comparison)
        try:
            assignment_skip(assignment_id=row.id, user_id=self.people[who].pk, reason="too_long")
            self.refused_for_ever.add((who, comparison))
        except AnnotationError:
            self.leases[who][comparison] = row

    @precondition(lambda self: any(self.leases.values()))
    @rule(data=st.data())
    def expire_and_sweep(self, data: st.DataObject) -> None:
        who, comparison = self._pick(data)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE annotation_assignment SET lease_until = now() - interval '1 h' WHERE id = %s AND state = 'leased'",
                [self.leases[who][comparison].id],
            )
        assignment_sweep()

    @precondition(lambda self: any(self.leases.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        who, comparison = self._pick(data)
        try:
            assignment_release(
                assignment_id=self.leases[who][comparison].id, project_id=self.project.pk, reason="curator"
            )
        except AnnotationError:
            return

    @precondition(lambda self: self.answered)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        who, comparison = data.draw(st.sampled_from(sorted(self.answered)))
        try:
            row = annotation_undo(annotation_id=self.answered[who, comparison], user_id=self.people[who].pk)
        except AnnotationError:
            return
        del self.answered[who, comparison]
        if row is None:
            self.refused_for_ever.add((who, comparison))
        else:
            self.leases[who][comparison] = row

    @precondition(lambda self: self.answered)
    @rule(data=st.data(), strength=st.integers(-3, 3), cannot=st.booleans())
    def correct(self, data: st.DataObject, strength: int, cannot: bool) -> None:
        who, comparison = data.draw(st.sampled_from(sorted(self.answered)))
        answers = cast.CANNOT_JUDGE if cannot else cast.vote(strength)
        try:
            done = annotation_correct(
                annotation_id=self.answered[who, comparison],
                user_id=self.people[who].pk,
                submit_key=uuid4(),
                answers=answers,
            )
            self.answered[who, comparison] = done.annotation_id
        except KeptAsSurplus:
            return

    @rule(which=st.integers(0, COMPARISONS - 1), wanted=st.integers(0, 4))
    def raise_or_lower(self, which: int, wanted: int) -> None:
        comparison_wanted_set(project=self.project, comparison_ids=[self.made[which].pk], wanted=wanted)

    @invariant()
    def the_counts_are_exact(self) -> None:
        assert broken_invariants() == {}

    @invariant()
    def every_acknowledged_vote_is_current(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT id FROM annotation_annotation WHERE state = 'current'")
            assert {row[0] for row in cursor.fetchall()} == set(self.answered.values())

    def teardown(self) -> None:
        try:
            self._everything_open_is_reachable()
        finally:
            transaction.set_rollback(True)
            self.example.__exit__(None, None, None)

    def _everything_open_is_reachable(self) -> None:
        """What is open and was not met by a person is lent to that person."""
        for who, user in enumerate(self.people):
            rows = assignment_next(project_id=self.project.pk, user_id=user.pk, prefetch=COMPARISONS)
            met = {c for w, c in [*self.answered, *self.refused_for_ever] if w == who}
            got = {row.comparison_id for row in rows} | set(self.leases[who])
            open_ones = set(Demand.objects.filter(is_open=True).values_list("comparison_id", flat=True))
            assert open_ones - met - got == set()

    def _pick(self, data: st.DataObject) -> tuple[int, int]:
        held = sorted((who, comparison) for who, rows in self.leases.items() for comparison in rows)
        return data.draw(st.sampled_from(held))


@pytest.mark.slow
@pytest.mark.django_db
def test_the_queue_behaves_like_the_model():
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=12,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
