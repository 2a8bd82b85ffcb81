"""The queue against a plain model, on real transactions: any order of everything that can happen to it.

Alone, each answer of the services is predicted: which comparisons are lent and in which order, what is counted, late,
surplus or refused, and every counter. From four threads the same steps are drawn at random; what must then hold are the
invariants, that no acknowledged vote is lost, and that what is open can still be had.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection, connections
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from annotation.errors import (
    AlreadyAnswered,
    AnnotationError,
    Conflict,
    KeptAsSurplus,
    KeyReused,
    NotFound,
    Refused,
)
from annotation.models import Annotation, Assignment, Comparison, Demand, Offer, Participation, Project, User
from annotation.services import assignment as queue
from annotation.services import demand, offers
from annotation.services.corrections import annotation_correct, annotation_undo
from tests import cast
from tests.annotation.queue_invariants import broken_invariants

PEOPLE, COMPARISONS, WANTED = 4, 6, 2


@dataclass
class World:
    """A project with its people, and the steps that can be taken in it. Arguments are indices into both."""

    project: Project = field(default_factory=cast.project)

    def __post_init__(self) -> None:
        self.ids = [c.pk for c in cast.comparisons(self.project, COMPARISONS, wanted=WANTED)]
        self.people = [cast.person(f"P{i}", self.project, "annotator") for i in range(PEOPLE)]
        for user in self.people:
            queue.participation_ensure(project_id=self.project.pk, user_id=user.pk)

    def user(self, who: int) -> User:
        return self.people[who]

    def next(self, who: int, k: int) -> list[queue.AssignmentRow]:
        return queue.assignment_next(project_id=self.project.pk, user_id=self.user(who).pk, prefetch=k)

    def submit(self, who: int, assignment: int, key: UUID, answers: dict[str, object]) -> queue.Submitted:
        return queue.assignment_submit(
            assignment_id=assignment, user_id=self.user(who).pk, submit_key=key, answers=answers
        )

    def skip(self, who: int, assignment: int, reason: str) -> None:
        queue.assignment_skip(assignment_id=assignment, user_id=self.user(who).pk, reason=reason)

    def flag(self, who: int, assignment: int) -> None:
        queue.comparison_flag(assignment_id=assignment, user_id=self.user(who).pk, reason="Cut off.")

    def heartbeat(self, who: int, leases: list[tuple[int, int]]) -> list[int]:
        held = queue.assignment_heartbeat(project_id=self.project.pk, user_id=self.user(who).pk, leases=leases)
        return list(held)

    def expire(self, assignment: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE annotation_assignment SET lease_until = now() - interval '1 h' WHERE id = %s AND state = 'leased'",
                [assignment],
            )

    def sweep(self) -> int:
        return queue.assignment_sweep()

    def release(self, assignment: int) -> None:
        queue.assignment_release(assignment_id=assignment, project_id=self.project.pk, reason="a curator")

    def undo(self, who: int, annotation: int) -> queue.AssignmentRow | None:
        return annotation_undo(annotation_id=annotation, user_id=self.user(who).pk)

    def correct(self, who: int, annotation: int, answers: dict[str, object]) -> queue.Submitted:
        return annotation_correct(
            annotation_id=annotation, user_id=self.user(who).pk, submit_key=uuid4(), answers=answers
        )

    def want(self, which: int, wanted: int, now: bool) -> None:
        demand.comparison_wanted_set(
            project=self.project, comparison_ids=[self.ids[which]], wanted=wanted, now=now
        )

    def want_all(self, wanted: int, now: bool) -> None:
        demand.queue_wanted_set(project=self.project, wanted=wanted, now=now)

    def hold(self, which: int) -> None:
        demand.comparison_hold(project_id=self.project.pk, comparison_id=self.ids[which])

    def settle(self, which: int) -> None:
        demand.comparison_settle(project_id=self.project.pk, comparison_id=self.ids[which])

    def delete(self, which: int) -> None:
        demand.comparison_delete(project_id=self.project.pk, comparison_id=self.ids[which])

    def offer(self, who: int, which: list[int]) -> Offer:
        return offers.offer_create(
            project=self.project, user_id=self.user(who).pk, comparison_ids=[self.ids[i] for i in which]
        )

    def reserve(self, group: int, which: list[int]) -> Offer:
        return offers.offer_create(
            project=self.project, group_id=group, comparison_ids=[self.ids[i] for i in which]
        )

    def take_back(self, offer: int) -> None:
        offers.offer_release(project_id=self.project.pk, offer_id=offer)

    def state(self, who: int, state: Participation.State) -> None:
        queue.participation_state_set(project_id=self.project.pk, user_id=self.user(who).pk, state=state)


def answers_of(strength: int | None) -> dict[str, object]:
    return cast.CANNOT_JUDGE if strength is None else cast.vote(strength)


def choose(data: st.DataObject, things: list[Any]) -> Any:
    """One of them, drawn by its place: ids and keys differ from run to run."""
    return things[data.draw(st.integers(0, 63)) % len(things)]


STRENGTHS = st.one_of(st.integers(-3, 3), st.none())
Key = tuple[int, int]


class Queue(RuleBasedStateMachine):
    """The model: two plain dicts, of comparisons and of (person, comparison)."""

    def __init__(self) -> None:
        super().__init__()
        # What a failed example left behind must not fail the next.
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE annotation_project CASCADE")
        self.world = World()
        self.group = offers.group_set(
            project=self.world.project, name="g", user_ids=[self.world.user(0).pk, self.world.user(1).pk]
        ).pk
        self.comparisons: dict[int, dict[str, Any]] = {
            i: {"wanted": WANTED, "held": False, "kept": False, "front": False, "reserved": None,
                "flags": set(), "broken": set(), "given_back": set()}
            for i in range(COMPARISONS)
        }  # fmt: skip
        self.rows: dict[Key, dict[str, Any]] = {}
        self.live_offers: dict[int, int | None] = {}
        self.active = set(range(PEOPLE))
        self.latest: dict[int, list[Key]] = {who: [] for who in range(PEOPLE)}
        self.keys: dict[UUID, tuple[Key, int | None, int]] = {}

    # What the model derives

    def count(self, i: int, *states: str) -> int:
        return sum(1 for (_, c), row in self.rows.items() if c == i and row["state"] in states)

    def done(self, i: int) -> int:
        return sum(
            1 for (_, c), row in self.rows.items() if c == i and row["answer"] and row["strength"] is not None
        )

    def total(self, i: int) -> int:
        return self.done(i) + self.count(i, "leased", "offered")

    def has_room(self, i: int) -> bool:
        return self.total(i) < self.comparisons[i]["wanted"]

    def is_open(self, i: int) -> bool:
        return self.has_room(i) and not self.comparisons[i]["held"]

    def may_have(self, who: int, i: int) -> bool:
        """What is set aside goes to the group alone."""
        return self.is_open(i) and (who in (0, 1) or self.comparisons[i]["reserved"] is None)

    @contextmanager
    def change(self, *, bulk: bool = False) -> Iterator[None]:
        """One step of the model; what opens in it goes to the front, unless many change at once."""
        before = {i: self.is_open(i) for i in self.comparisons}
        yield
        for i, was_open in before.items():
            if i in self.comparisons and not was_open and self.is_open(i) and not bulk:
                self.comparisons[i]["front"] = True

    def judge_hold(self, i: int) -> None:
        c = self.comparisons[i]
        if not c["kept"]:
            c["held"] = len(c["flags"] | c["broken"]) >= 3 or len(c["given_back"]) >= 3

    def order(self, i: int) -> tuple[int, int]:
        return (-1 if self.comparisons[i]["front"] else 0, i)

    def expected_next(self, who: int, k: int) -> list[Key]:
        """What is lent, in order: held leases, offered, lost ones, the group's, the queue's."""
        mine = {c: row for (w, c), row in self.rows.items() if w == who}
        by_id = sorted(mine, key=lambda c: mine[c]["id"])
        held = [c for c in by_id if mine[c]["state"] == "leased"]
        if len(held) >= k:
            return [(who, c) for c in held[:k]]
        offered = [c for c in by_id if mine[c]["state"] == "offered" and not self.comparisons[c]["held"]]
        lost = [c for c in by_id if mine[c]["state"] == "expired" and mine[c]["expired"] < 3 and self.may_have(who, c)]
        rest = (offered + lost)[: k - len(held)]
        fresh = [i for i in self.comparisons if i not in mine and self.is_open(i)]
        groups = sorted({self.comparisons[i]["reserved"] for i in fresh} - {None}) if who in (0, 1) else []
        one = [i for i in fresh if groups and self.comparisons[i]["reserved"] == groups[0]]
        everybody = [i for i in fresh if self.comparisons[i]["reserved"] is None]
        for pool in (one, everybody):
            rest += sorted(pool, key=self.order)[: k - len(held) - len(rest)]
        return [(who, c) for c in held + rest]

    def give(self, key: Key, id_: int, state: str, offer: int | None = None) -> None:
        kept = self.rows.get(key) or {"expired": 0, "answer": None, "strength": None, "offer": offer}
        self.rows[key] = {**kept, "id": id_, "state": state}

    # Rules

    who = st.integers(0, PEOPLE - 1)
    which = st.integers(0, COMPARISONS - 1)

    @rule(who=who, k=st.integers(1, 3))
    def next(self, who: int, k: int) -> None:
        if who not in self.active:
            with pytest.raises(Refused):
                self.world.next(who, k)
            return
        expected = self.expected_next(who, k)
        lent = self.world.next(who, k)
        index = {id_: i for i, id_ in enumerate(self.world.ids)}
        # Resumed ones come back in the order of the update, which says nothing.
        assert sorted(index[row.comparison_id] for row in lent) == sorted(c for _, c in expected)
        for row in lent:
            self.give((who, index[row.comparison_id]), row.id, "leased")
            self.rows[who, index[row.comparison_id]]["token"] = row.token

    def _pick(self, data: st.DataObject, *states: str) -> Key | None:
        keys = sorted(key for key, row in self.rows.items() if not states or row["state"] in states)
        return choose(data, keys) if keys else None

    @rule(data=st.data(), strength=STRENGTHS)
    def submit(self, data: st.DataObject, strength: int | None) -> None:
        """Of a live lease, or late, or answered already: any assignment that the person ever had."""
        if (key := self._pick(data)) is None:
            return
        (who, i), row, submit_key = key, self.rows[key], uuid4()

        def call() -> queue.Submitted:
            return self.world.submit(who, row["id"], submit_key, answers_of(strength))

        if who not in self.active:
            with pytest.raises(Refused):
                call()
        elif row["state"] == "submitted":
            with pytest.raises(AlreadyAnswered):
                call()
        elif row["state"] in ("leased", "offered") or strength is None or self.has_room(i):
            late = row["state"] not in ("leased", "offered")
            done = call()
            assert (done.late, done.replay) == (late, False)
            with self.change():
                row.update(state="submitted", answer=done.annotation_id, strength=strength)
                if strength is None:
                    self.comparisons[i]["given_back"].add(key)
                    self.judge_hold(i)
            self.latest[who].append(key)
            self.keys[submit_key] = (key, strength, done.annotation_id)
        else:
            with pytest.raises(KeptAsSurplus):
                call()
            row.update(state="released")

    @rule(data=st.data(), same=st.booleans())
    def submit_an_old_key(self, data: st.DataObject, same: bool) -> None:
        if not self.keys:
            return
        submit_key = choose(data, list(self.keys))
        (who, i), strength, annotation = self.keys[submit_key]
        if who not in self.active or (row := self.rows.get((who, i))) is None:
            return
        said = answers_of(strength if same else 3 if strength != 3 else 2)
        try:
            again = self.world.submit(who, row["id"], submit_key, said)
            assert same and (again.annotation_id, again.replay) == (annotation, True)
        except KeyReused:
            assert not same
        except Conflict:
            assert Annotation.objects.get(pk=annotation).state == "withdrawn"

    @rule(data=st.data(), reason=st.sampled_from(["too_long", "broken"]))
    def skip(self, data: st.DataObject, reason: str) -> None:
        if (key := self._pick(data)) is None or key[0] not in self.active:
            return
        (who, i), row = key, self.rows[key]
        if row["state"] not in ("leased", "offered", "skipped"):
            with pytest.raises(Conflict):
                self.world.skip(who, row["id"], reason)
            return
        self.world.skip(who, row["id"], reason)
        if row["state"] == "skipped":
            return
        with self.change():
            row["state"] = "skipped"
            if reason == "broken":
                self.comparisons[i]["broken"].add(who)
            self.judge_hold(i)

    @rule(data=st.data())
    def flag(self, data: st.DataObject) -> None:
        if (key := self._pick(data)) is None or key[0] not in self.active:
            return
        self.world.flag(key[0], self.rows[key]["id"])
        with self.change():
            self.comparisons[key[1]]["flags"].add(key[0])
            self.judge_hold(key[1])

    @rule(data=st.data(), stale=st.booleans())
    def heartbeat(self, data: st.DataObject, stale: bool) -> None:
        if (key := self._pick(data, "leased")) is not None:
            row = self.rows[key]
            assert self.world.heartbeat(key[0], [(row["id"], row["token"] - stale)]) == [row["id"]] * (not stale)

    @rule(data=st.data())
    def expire_and_sweep(self, data: st.DataObject) -> None:
        if (key := self._pick(data, "leased")) is None:
            return
        row = self.rows[key]
        self.world.expire(row["id"])
        assert self.world.sweep() == 1
        with self.change():
            row["expired"] += 1
            is_kept = row["expired"] < 3 and self.live_offers.get(row["offer"] or 0, None) == key[0]
            row["state"] = "offered" if is_kept else "expired"

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if (key := self._pick(data)) is None:
            return
        if self.rows[key]["state"] not in ("leased", "offered"):
            with pytest.raises(Conflict):
                self.world.release(self.rows[key]["id"])
            return
        self.world.release(self.rows[key]["id"])
        with self.change():
            self.rows[key]["state"] = "released"

    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        if (key := self._pick(data, "submitted")) is None or key[0] not in self.active:
            return
        (who, i), row = key, self.rows[key]
        current = [k for k in self.latest[who] if self.rows.get(k, {}).get("answer")]
        newest = max(current, key=lambda k: self.rows[k]["answer"])
        if newest != key:
            with pytest.raises(Conflict):
                self.world.undo(who, row["answer"])
            return
        gave_back = row["strength"] is None
        again = self.world.undo(who, row["answer"])
        with self.change():
            row.update(answer=None, strength=None)
            if gave_back:
                self.comparisons[i]["given_back"].discard(key)
                self.judge_hold(i)
            if gave_back and not self.is_open(i):
                row["state"] = "released"
            else:
                row["state"] = "leased"
        assert (again is None) == (row["state"] == "released")
        if again is not None:
            row["token"] = again.token

    @rule(data=st.data(), strength=STRENGTHS)
    def correct(self, data: st.DataObject, strength: int | None) -> None:
        if (key := self._pick(data, "submitted")) is None or key[0] not in self.active:
            return
        (who, i), row = key, self.rows[key]
        if row["strength"] is None and strength is not None and not self.has_room(i):
            with pytest.raises(KeptAsSurplus):
                self.world.correct(who, row["answer"], answers_of(strength))
            return
        done = self.world.correct(who, row["answer"], answers_of(strength))
        if strength == row["strength"]:
            assert done.annotation_id == row["answer"], "the same answer again stores nothing"
            return
        with self.change():
            row.update(answer=done.annotation_id, strength=strength)
            given_back = self.comparisons[i]["given_back"]
            given_back.discard(key)
            if strength is None:
                given_back.add(key)
            self.judge_hold(i)

    @rule(which=which, wanted=st.integers(0, 4), now=st.booleans())
    def raise_or_lower(self, which: int, wanted: int, now: bool) -> None:
        self.world.want(which, wanted, now)
        if which in self.comparisons:
            with self.change():
                self._lower(which, wanted, now)

    @rule(wanted=st.integers(1, 4), now=st.booleans())
    def raise_or_lower_all(self, wanted: int, now: bool) -> None:
        self.world.want_all(wanted, now)
        with self.change(bulk=True):
            for i in self.comparisons:
                self._lower(i, wanted, now)

    def _lower(self, i: int, wanted: int, now: bool) -> None:
        self.comparisons[i]["wanted"] = wanted
        held = [row for (_, c), row in self.rows.items() if c == i and row["state"] in ("leased", "offered")]
        for row in sorted(held, key=lambda row: (row["state"] == "leased", -row["id"])):
            if now and self.total(i) > wanted:
                row["state"] = "released"

    @rule(which=which)
    def hold(self, which: int) -> None:
        if which in self.comparisons:
            self.world.hold(which)
            self.comparisons[which].update(held=True, kept=True)

    @rule(which=which)
    def settle(self, which: int) -> None:
        if which in self.comparisons:
            self.world.settle(which)
            with self.change():
                self.comparisons[which].update(
                    held=False, kept=False, flags=set(), broken=set(), given_back=set()
                )

    @rule(which=which)
    def delete(self, which: int) -> None:
        if which not in self.comparisons:
            with pytest.raises(NotFound):
                self.world.delete(which)
            return
        comparison = self.world.ids[which]
        if self.count(which, "leased", "offered") or Annotation.objects.filter(comparison_id=comparison).exists():
            with pytest.raises(Conflict):
                self.world.delete(which)
            return
        self.world.delete(which)
        del self.comparisons[which]
        self.rows = {key: row for key, row in self.rows.items() if key[1] != which}

    @rule(who=who, which=st.sets(which, min_size=1, max_size=2))
    def offer(self, who: int, which: set[int]) -> None:
        free = [
            i for i in sorted(which)
            if i in self.comparisons and self.is_open(i) and self.comparisons[i]["reserved"] is None
            and (who, i) not in self.rows
        ]  # fmt: skip
        if who not in self.active or not free:
            with pytest.raises(AnnotationError):
                self.world.offer(who, sorted(which))
            return
        made = self.world.offer(who, sorted(which))
        assert made.offered == len(free)
        self.live_offers[made.pk] = who
        index = {id_: i for i, id_ in enumerate(self.world.ids)}
        for row in Assignment.objects.filter(offer=made):
            self.give((who, index[row.comparison_id]), row.pk, "offered", made.pk)

    @rule(which=st.sets(which, min_size=1, max_size=3))
    def reserve(self, which: set[int]) -> None:
        free = [i for i in sorted(which) if i in self.comparisons and self.is_open(i)]
        free = [i for i in free if self.comparisons[i]["reserved"] is None]
        if not free:
            with pytest.raises(Conflict):
                self.world.reserve(self.group, sorted(which))
            return
        made = self.world.reserve(self.group, sorted(which))
        assert made.offered == len(free)
        self.live_offers[made.pk] = None
        for i in free:
            self.comparisons[i]["reserved"] = made.pk

    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        if not self.live_offers:
            return
        offer = choose(data, list(self.live_offers))
        self.world.take_back(offer)
        del self.live_offers[offer]
        with self.change(bulk=True):
            for row in self.rows.values():
                if row["offer"] == offer and row["state"] == "offered":
                    row["state"] = "released"
            for c in self.comparisons.values():
                c["reserved"] = None if c["reserved"] == offer else c["reserved"]

    @rule(who=who, state=st.sampled_from(list(Participation.State)))
    def join_or_leave(self, who: int, state: Participation.State) -> None:
        self.world.state(who, state)
        if state == Participation.State.ACTIVE:
            self.active.add(who)
            return
        self.active.discard(who)
        with self.change():
            for (w, _), row in self.rows.items():
                if w == who and row["state"] in ("leased", "offered"):
                    row["state"] = "released"

    # Invariants

    @invariant()
    def the_database_is_consistent(self) -> None:
        assert broken_invariants() == {}

    @invariant()
    def every_counter_is_the_models(self) -> None:
        known = Demand.objects.filter(project=self.world.project).order_by("pk")
        found = [(d.pk, d.wanted, d.done, d.leased, d.held_back, d.is_open) for d in known]
        assert found == [
            (self.world.ids[i], c["wanted"], self.done(i), self.count(i, "leased", "offered"), c["held"], self.is_open(i))
            for i, c in sorted(self.comparisons.items())
        ]

    @invariant()
    def every_acknowledged_vote_is_current(self) -> None:
        current = Annotation.objects.filter(project=self.world.project, state="current").values_list("id", flat=True)
        assert set(current) == {row["answer"] for row in self.rows.values() if row["answer"]}

    def teardown(self) -> None:
        """Everything open is lent to whoever may have it, in the order of the queue."""
        for who in sorted(self.active):
            self.next(who, COMPARISONS + 1)


def _run(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Queue,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.django_db(transaction=True)
def test_the_queue_behaves_like_the_model():
    _run(8, 25)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_queue_behaves_like_the_model_for_long():
    _run(25, 40)


# Four threads


class Crowd:
    """Steps drawn at random, from many threads at once, in one world; and what the services acknowledged."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lock = Lock()
        self.acknowledged: dict[UUID, int] = {}
        self.group = offers.group_set(
            project=world.project, name="g", user_ids=[world.user(0).pk, world.user(1).pk]
        ).pk

    def act(self, seed: int, steps: int) -> None:
        rng = random.Random(seed)
        names = [name for name, weight in self.STEPS.items() for _ in range(weight)]
        for _ in range(steps):
            with suppress(AnnotationError, Assignment.DoesNotExist, Annotation.DoesNotExist):
                getattr(self, rng.choice(names))(rng)
        connections.close_all()

    STEPS = {
        "vote": 12, "late_vote": 3, "skip": 2, "flag": 1, "expire": 2, "release": 1, "undo": 2, "correct": 2, "want": 3,
        "want_all": 1, "hold": 1, "settle": 3, "delete": 1, "offer": 2, "reserve": 1, "take_back": 2, "leave": 1, "join": 3,
    }  # fmt: skip

    def _who(self, rng: random.Random) -> int:
        return rng.randrange(PEOPLE)

    def _which(self, rng: random.Random) -> int:
        return rng.randrange(len(self.world.ids))

    def _some(self, rng: random.Random, query: Any) -> Any:
        found = list(query.order_by("id")[:50])
        return rng.choice(found) if found else None

    def _assignment(self, rng: random.Random, who: int) -> Assignment | None:
        return self._some(rng, Assignment.objects.filter(participation__annotator=self.world.user(who)))

    def _answer(self, rng: random.Random, who: int) -> Annotation | None:
        mine = Annotation.objects.filter(rater__participation__annotator=self.world.user(who), state="current")
        return mine.order_by("-id").first() if rng.random() < 0.7 else self._some(rng, mine)

    def _submit(self, rng: random.Random, who: int, assignment: int) -> None:
        key, said = uuid4(), answers_of(rng.choice([-3, -1, 0, 2, None]))
        done = self.world.submit(who, assignment, key, said)
        with self.lock:
            self.acknowledged[key] = done.annotation_id
        if rng.random() < 0.3:
            assert self.world.submit(who, assignment, key, said).annotation_id == done.annotation_id

    def vote(self, rng: random.Random) -> None:
        who = self._who(rng)
        lent = self.world.next(who, rng.choice([1, 2, 3]))
        if lent:
            self.world.heartbeat(who, [(row.id, row.token) for row in lent])
            self._submit(rng, who, rng.choice(lent).id)

    def late_vote(self, rng: random.Random) -> None:
        who = self._who(rng)
        if assignment := self._assignment(rng, who):
            self._submit(rng, who, assignment.pk)

    def skip(self, rng: random.Random) -> None:
        who = self._who(rng)
        if assignment := self._assignment(rng, who):
            self.world.skip(who, assignment.pk, rng.choice(["broken", "too_long"]))

    def flag(self, rng: random.Random) -> None:
        who = self._who(rng)
        if assignment := self._assignment(rng, who):
            self.world.flag(who, assignment.pk)

    def expire(self, rng: random.Random) -> None:
        if lease := self._some(rng, Assignment.objects.filter(state="leased")):
            self.world.expire(lease.pk)
        self.world.sweep()

    def release(self, rng: random.Random) -> None:
        if held := self._some(rng, Assignment.objects.filter(state__in=["leased", "offered"])):
            self.world.release(held.pk)

    def undo(self, rng: random.Random) -> None:
        who = self._who(rng)
        if answer := self._answer(rng, who):
            self.world.undo(who, answer.pk)

    def correct(self, rng: random.Random) -> None:
        who = self._who(rng)
        if answer := self._answer(rng, who):
            self.world.correct(who, answer.pk, answers_of(rng.choice([-2, 3, None])))

    def want(self, rng: random.Random) -> None:
        self.world.want(self._which(rng), rng.randint(0, 4), rng.random() < 0.5)

    def want_all(self, rng: random.Random) -> None:
        self.world.want_all(rng.randint(1, 4), rng.random() < 0.5)

    def hold(self, rng: random.Random) -> None:
        self.world.hold(self._which(rng))

    def settle(self, rng: random.Random) -> None:
        self.world.settle(self._which(rng))

    def delete(self, rng: random.Random) -> None:
        self.world.delete(self._which(rng))

    def offer(self, rng: random.Random) -> None:
        self.world.offer(self._who(rng), [self._which(rng), self._which(rng)])

    def reserve(self, rng: random.Random) -> None:
        self.world.reserve(self.group, [self._which(rng), self._which(rng)])

    def take_back(self, rng: random.Random) -> None:
        if offer := self._some(rng, Offer.objects.filter(released_at=None)):
            self.world.take_back(offer.pk)

    def leave(self, rng: random.Random) -> None:
        self.world.state(self._who(rng), rng.choice([Participation.State.LEFT, Participation.State.PAUSED]))

    def join(self, rng: random.Random) -> None:
        self.world.state(self._who(rng), Participation.State.ACTIVE)

    def check(self) -> None:
        assert broken_invariants() == {}
        stored = dict(Annotation.objects.exclude(submit_key=None).values_list("submit_key", "id"))
        assert self.acknowledged.items() <= stored.items()

    def finish(self) -> None:
        """Everybody is back, nothing is held back: each open comparison can be had by whoever never met it."""
        for which in range(len(self.world.ids)):
            with suppress(AnnotationError):
                self.world.settle(which)
        for who in range(PEOPLE):
            self.world.state(who, Participation.State.ACTIVE)
            while self.world.next(who, 3):
                self.vote_all(who)
        for who, user in enumerate(self.world.people):
            met = set(Assignment.objects.filter(participation__annotator=user).values_list("comparison_id", flat=True))
            left = Demand.objects.filter(project=self.world.project, is_open=True)
            if who > 1:
                left = left.filter(reserved_for=0)
            assert set(left.values_list("comparison_id", flat=True)) - met == set()

    def vote_all(self, who: int) -> None:
        for row in self.world.next(who, 3):
            self.world.submit(who, row.id, uuid4(), cast.vote(1))


def _crowd(rounds: int, steps: int) -> None:
    crowd = Crowd(World())
    for number in range(rounds):
        with ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(crowd.act, 4 * number + i, steps) for i in range(4)]:
                done.result()
        crowd.check()
    assert len(crowd.acknowledged) > rounds
    crowd.finish()
    crowd.check()
    assert Comparison.objects.filter(project=crowd.world.project).exists()


@pytest.mark.django_db(transaction=True)
def test_four_threads_keep_the_invariants():
    _crowd(rounds=2, steps=40)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_four_threads_keep_the_invariants_for_long():
    for _ in range(3):
        _crowd(rounds=3, steps=80)
