"""What was answered, as what it says; and the comparisons of its pairs and single completions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from django.db import transaction

from annotation.content import comparison_key
from annotation.models import Comparison, ComparisonCompletion
from pipelines.models import Derivation
from pipelines.pairs.answers import Order, PairRule, Speaking, labels_of, order_of, ratings_of
from pipelines.selectors.answered import Answered, Places, places_of

BATCH = 2_000
Group = tuple[int, str]


class Read:
    """The answers, as what they say; `sources` are the comparisons that say something."""

    def __init__(self, forms: Mapping[int, Speaking], answered: Sequence[Answered], rule: PairRule | None) -> None:
        self.places = places_of(sorted({one.comparison for one in answered}))
        self.person = {one.rater: one.by_person for one in answered}
        self.orders: list[tuple[int, int, Order]] = []
        self.ratings: list[tuple[int, int, list[float | None]]] = []
        self.labels: list[tuple[int, int, list[bool | None]]] = []
        for one in answered:
            self._add(forms[one.form], one, rule or PairRule())
        self.pairs = {c for c, *_ in self.orders} | {c for c, *_ in self.ratings if self.size(c) > 1}
        self.singles = {c for c, *_ in self.labels}
        self.sources = self.pairs | self.singles

    def size(self, comparison: int) -> int:
        return len(self.places[comparison].completions)

    def _add(self, form: Speaking, one: Answered, rule: PairRule) -> None:
        size = self.size(one.comparison)
        # An order of two is a vote, and is aggregated as one.
        if form.order is not None and size > 2 and (order := order_of(form.order, one.answers, size)) is not None:
            self.orders.append((one.comparison, one.rater, order))
        if form.rating is not None:
            values = ratings_of(form.rating, one.answers, rule)
            if any(value is not None for value in values):
                self.ratings.append((one.comparison, one.rater, values))
        if form.label is not None:
            said = labels_of(form.label, one.answers, size)
            if any(label is not None for label in said):
                self.labels.append((one.comparison, one.rater, said))


class Units:
    """The comparisons of pairs and of single completions of the sources; those not there yet are made."""

    def __init__(self, project_id: int, read: Read) -> None:
        self.project_id = project_id
        wanted: dict[bytes, tuple[int, tuple[int, ...]]] = {}
        pairs: list[tuple[int, bytes]] = []
        self.key_of: dict[tuple[Group, tuple[int, ...]], bytes] = {}
        for size, sources in ((2, read.pairs), (1, read.singles)):
            for source in sorted(sources):
                places = read.places[source]
                for chosen in combinations(range(len(places.completions)), size):
                    key = comparison_key(places.prompt_hash, [places.hashes[at] for at in chosen], places.context)
                    self.key_of[places.group, tuple(places.completions[at] for at in chosen)] = key
                    wanted.setdefault(key, (source, chosen))
                    if len(places.completions) > size:
                        pairs.append((source, key))
        self.ids = self._ids(wanted)
        if missing := {key: told for key, told in wanted.items() if key not in self.ids}:
            self._make(missing, read.places)
            self.ids |= self._ids(missing)
        self._lead_back(pairs)

    def unit(self, group: Group, completions: Iterable[int]) -> int:
        """The comparison of these completions, given in stored order."""
        return self.ids[self.key_of[group, tuple(completions)]]

    def _ids(self, keys: Iterable[bytes]) -> dict[bytes, int]:
        found = Comparison.objects.filter(project_id=self.project_id, key__in=list(keys)).values_list("key", "pk")
        return {bytes(key): pk for key, pk in found}

    @transaction.atomic
    def _make(self, missing: Mapping[bytes, tuple[int, tuple[int, ...]]], places: Mapping[int, Places]) -> None:
        # Keys in one order everywhere: two refits that make the same pairs would wait for each other.
        ordered = sorted(missing)
        Comparison.objects.bulk_create(
            [
                Comparison(
                    project_id=self.project_id, prompt_id=places[source].prompt, key=key, context=places[source].context,
                    size=len(chosen), warnings=list(places[source].warnings),
                    source_import_id=places[source].source_import, source_line=places[source].source_line,
                )
                for key in ordered
                for source, chosen in [missing[key]]
            ],
            batch_size=BATCH,
            ignore_conflicts=True,
        )  # fmt: skip
        ids = self._ids(ordered)
        ComparisonCompletion.objects.bulk_create(
            [
                ComparisonCompletion(comparison_id=ids[key], position=position, completion_id=places[source].completions[at])
                for key in ordered
                for source, chosen in [missing[key]]
                for position, at in enumerate(chosen)
            ],
            batch_size=BATCH,
            ignore_conflicts=True,
        )

    def _lead_back(self, pairs: Sequence[tuple[int, bytes]]) -> None:
        known = set(
            Derivation.objects.filter(source__in={source for source, _ in pairs}).values_list("comparison_id", "source_id")
        )
        rows = {(self.ids[key], source) for source, key in pairs} - known
        Derivation.objects.bulk_create(
            [Derivation(comparison_id=unit, source_id=source) for unit, source in sorted(rows)],
            batch_size=BATCH,
            ignore_conflicts=True,
        )
