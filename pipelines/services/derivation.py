"""Labels of pairs and of single completions from answers that order, rate or label the completions of a comparison.

Each pair of completions that was ranked or rated, and each completion that got a yes or no, is a comparison of its own
(open to nobody, `Derivation` leads back to its sources), so that scores, filters, versions and exports treat all
preferences alike. Votes given on a pair itself decide before rankings, rankings before ratings, those before a model.
Orders of one prompt and context are told together; ratings, and yes and no, over the whole project.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from annotation.content import comparison_key
from annotation.models import Comparison, ComparisonCompletion
from pipelines.labels import AGGREGATORS, ANSWER_MODELS, JOINT
from pipelines.labels.binary import binary_fit
from pipelines.labels.online import posterior_given_raters, stranger_confusion
from pipelines.labels.preference import preferences
from pipelines.labels.ratings import rating_fit, rating_given_raters
from pipelines.labels.votefile.answers import GRADED
from pipelines.labels.votes import TIE, Votes
from pipelines.models import AggregationRun, Derivation, RaterEstimate
from pipelines.pairs.answers import Order, PairRule, Speaking, labels_of, order_of, ratings_of, rule_check
from pipelines.pairs.orders import PairSaid, pairs_said
from pipelines.pairs.rated import rated_pairs
from pipelines.selectors.answered import (
    Answered,
    Places,
    answered_of,
    derived_from,
    forms_speaking,
    places_of,
    sources_together,
)
from pipelines.services.preference_rows import NO, YES, Labels, Maker

RANKED, RATED, LABELLED = "plackett_luce", "ratings", "yes_no"
BATCH = 2_000
Group = tuple[int, str]
Lines = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class RaterSaid:
    """What a refit knows of a rater who ordered, rated or labelled."""

    answers: int
    reliability: float | None = None
    low: float | None = None
    high: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Derived:
    """`labels`: sorted by comparison, None where nothing was said. `sources`: comparisons whose answers are used.
    `params`: what an online step needs of a refit besides its raters."""

    labels: Labels | None = None
    sources: frozenset[int] = frozenset()
    raters: dict[int, RaterSaid] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def comparisons(self) -> NDArray[np.int64]:
        return np.zeros(0, dtype=np.int64) if self.labels is None else self.labels.comparison


@dataclass
class _Label:
    """One derived label on its way into `Labels`."""

    comparison: int
    posterior: tuple[float, float, float]
    votes: int
    agreeing: float
    by_person: bool
    method: str
    is_single: bool = False
    strength: float = np.nan
    strength_se: float = np.nan
    weight: float = 1.0


# Entry points


def derive_all(*, project_id: int, method: str, rule: PairRule, voted: NDArray[np.int64]) -> Derived:
    """A full refit. `voted`: comparisons with votes of their own; `method`: for yes and no."""
    forms = forms_speaking(project_id)
    for form in forms.values():
        if form.rating is not None:
            rule_check(form.rating, rule)
    if not forms:
        return Derived()
    read = _Read(forms, answered_of(project_id, forms), rule)
    units = _Units(project_id, read)
    ranked, agreed = _ranked(read, units)
    rated, rating_raters, rating_params = _rated(read, units, rule, _rating_fitted)
    labelled, label_raters, label_params = _labelled(read, units, _labels_fitted(method))
    labels = _labels(_first_of(ranked, rated, labelled, voted=set(voted.tolist())))
    return Derived(
        labels=labels,
        sources=frozenset(read.sources),
        raters=_raters_joined(read, agreed, rating_raters, label_raters),
        counts=_counts(read, labels),
        params={"rule": rule.fields, "ratings": rating_params, "labels": label_params},
    )


def derive_touched(*, project_id: int, comparison_ids: Sequence[int]) -> set[int]:
    """Every comparison whose label may change when answers on these do: themselves, and what is derived with them.

    Makes the pairs of what was ranked, rated or labelled for the first time.
    """
    forms = forms_speaking(project_id)
    if not forms:
        return set(comparison_ids)
    _Units(project_id, _Read(forms, answered_of(project_id, forms, comparison_ids), None))
    return set(comparison_ids) | derived_from(sources_together(comparison_ids))


def derive_between(
    *, project_id: int, comparison_ids: Iterable[int], run: AggregationRun | None, voted: NDArray[np.int64]
) -> Labels | None:
    """Labels of some comparisons between refits, with raters as the last refit saw them. Strangers are average."""
    forms, wanted = forms_speaking(project_id), set(comparison_ids)
    if not forms or not wanted:
        return None
    rule = rule_of(run)
    sources = sources_together(sorted(wanted)) | wanted
    read = _Read(forms, answered_of(project_id, forms, sorted(sources)), rule)
    units = _Units(project_id, read)
    ranked, _ = _ranked(read, units)
    rated, _, _ = _rated(read, units, rule, _rating_held(run))
    labelled, _, _ = _labelled(read, units, _labels_held(run))
    # The whole group is weighed together, and then only what was asked for is stored.
    found = _first_of(ranked, rated, labelled, voted=set(voted.tolist()))
    return _labels([label for label in found if label.comparison in wanted])


# Reading


class _Read:
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


class _Units:
    """The comparisons of pairs and of single completions of the sources; those not there yet are made."""

    def __init__(self, project_id: int, read: _Read) -> None:
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


# Rankings


def _ranked(read: _Read, units: _Units) -> tuple[list[_Label], dict[int, list[int]]]:
    """Labels from orders, told by prompt and context; and how many pairs each rater ordered, and as the others did."""
    groups: dict[Group, list[tuple[int, int, Order]]] = defaultdict(list)
    for comparison, rater, order in read.orders:
        groups[read.places[comparison].group].append((comparison, rater, order))
    labels, agreed = [], defaultdict[int, list[int]](lambda: [0, 0])
    for group, said in groups.items():
        # Stored order within every comparison is by hash, so it is one order over the whole group too.
        hashes = {
            c: h for one, *_ in said for c, h in zip(read.places[one].completions, read.places[one].hashes, strict=True)
        }
        items = sorted(hashes, key=lambda completion: hashes[completion])
        number = {completion: at for at, completion in enumerate(items)}
        orders = [
            (rater, order.renamed([number[completion] for completion in read.places[comparison].completions]))
            for comparison, rater, order in said
        ]
        told = pairs_said([order for _, order in orders], len(items))
        for (one, other), pair in told.items():
            raters = [rater for rater, order in orders if {one, other} <= set(order.items)]
            labels.append(_ranked_label(units.unit(group, (items[one], items[other])), pair, raters, read.person))
        _agreement_add(agreed, orders, told)
    return labels, agreed


def _ranked_label(comparison: int, pair: PairSaid, raters: Sequence[int], person: Mapping[int, bool]) -> _Label:
    direction = int(preferences(np.array([pair.posterior])).direction[0])
    return _Label(
        comparison,
        pair.posterior,
        votes=sum(pair.said),
        agreeing=pair.said[direction],
        by_person=any(person[rater] for rater in raters),
        method=RANKED,
    )


def _agreement_add(
    agreed: dict[int, list[int]], orders: Sequence[tuple[int, Order]], told: Mapping[tuple[int, int], PairSaid]
) -> None:
    """Count, by rater, pairs that were ordered and also by somebody else, and how often as the others' majority."""
    for rater, order in orders:
        items = set(order.items)
        for (one, other), pair in told.items():
            own = order.said(one, other) if {one, other} <= items else None
            if not own:
                continue
            lead = pair.said[0] - pair.said[1] + own
            if lead:
                agreed[rater][0] += 1
                agreed[rater][1] += (lead > 0) == (own < 0)


# Ratings

RatingModel = Callable[
    [NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], int, list[int]],
    tuple[NDArray[np.float64], NDArray[np.float64], Lines | None],
]


def _rated(
    read: _Read, units: _Units, rule: PairRule, model: RatingModel
) -> tuple[list[_Label], dict[int, dict[str, float]], dict[str, float]]:
    """Labels from ratings of the completions of a comparison, each completion's value told over the whole project."""
    if not read.ratings:
        return [], {}, {}
    rows = [
        ((read.places[comparison].group, completion), rater, value)
        for comparison, rater, values in read.ratings
        for completion, value in zip(read.places[comparison].completions, values, strict=True)
        if value is not None
    ]
    items = {item: at for at, item in enumerate(dict.fromkeys(item for item, *_ in rows))}
    raters = sorted({rater for _, rater, _ in rows})
    value, error, lines = model(
        np.array([items[item] for item, *_ in rows], dtype=np.int64),
        np.searchsorted(raters, [rater for _, rater, _ in rows]).astype(np.int64),
        np.array([rating for *_, rating in rows], dtype=np.float64),
        len(items),
        raters,
    )
    both: dict[tuple[Group, int, int], list[tuple[int, float]]] = defaultdict(list)
    for comparison, rater, values in read.ratings:
        places = read.places[comparison]
        for one, other in combinations(range(len(values)), 2):
            first, second = values[one], values[other]
            if first is not None and second is not None:
                key = (places.group, places.completions[one], places.completions[other])
                both[key].append((rater, second - first))
    labels = _rated_labels(both, items, value, error, rule, units, read.person)
    if lines is None:
        return labels, {}, {}
    names = ("offset", "scale", "noise")
    known = {
        rater: {name: float(line[at]) for name, line in zip(names, lines, strict=True)} for at, rater in enumerate(raters)
    }
    return labels, known, {name: float(line.mean()) for name, line in zip(names, lines, strict=True)}


def _rated_labels(
    both: Mapping[tuple[Group, int, int], list[tuple[int, float]]],
    items: Mapping[tuple[Group, int], int],
    value: NDArray[np.float64],
    error: NDArray[np.float64],
    rule: PairRule,
    units: _Units,
    person: Mapping[int, bool],
) -> list[_Label]:
    if not both:
        return []
    first = np.array([items[group, one] for group, one, _ in both], dtype=np.int64)
    second = np.array([items[group, other] for group, _, other in both], dtype=np.int64)
    raters = np.array([len(said) for said in both.values()], dtype=np.float64)
    found = rated_pairs(value[first], error[first], value[second], error[second], raters, gap=rule.gap)
    directions = preferences(found.posterior).direction
    labels = []
    for at, ((group, one, other), said) in enumerate(both.items()):
        own = Counter(TIE if abs(away) <= rule.gap else int(away > 0) for _, away in said)
        labels.append(
            _Label(
                units.unit(group, (one, other)),
                _three(found.posterior[at]),
                votes=len(said),
                agreeing=own[int(directions[at])],
                by_person=any(person[rater] for rater, _ in said),
                method=RATED,
                strength=float(np.clip(found.strength[at], -1.0, 1.0)),
                strength_se=float(found.strength_se[at]),
            )
        )
    return labels


def _three(row: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(row[0]), float(row[1]), float(row[2])


def _rating_fitted(
    item: NDArray[np.int64], rater: NDArray[np.int64], rating: NDArray[np.float64], n_items: int, raters: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], Lines]:
    fit = rating_fit(item, rater, rating, n_items, len(raters))
    return fit.value, fit.value_error, (fit.offset, fit.scale, fit.noise)


def _rating_held(run: AggregationRun | None) -> RatingModel:
    """Raters as the run saw them; a fit of what is here where it saw none."""
    average = ((run.params.get("derived") or {}).get("ratings") or {}) if run is not None else {}
    if not average:
        return _rating_fitted
    known = _details_of(run, "ratings")

    def model(
        item: NDArray[np.int64], rater: NDArray[np.int64], rating: NDArray[np.float64], n_items: int, raters: list[int]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], None]:
        lines = [[known.get(one, average)[name] for one in raters] for name in ("offset", "scale", "noise")]
        offset, scale, noise = (np.array(line, dtype=np.float64) for line in lines)
        value, error = rating_given_raters(item, rater, rating, n_items, (offset, scale, noise))
        return value, error, None

    return model


# Yes and no

LabelModel = Callable[[Votes, list[int]], tuple[NDArray[np.float64], str, dict[int, RaterSaid], dict[str, Any]]]


def _labelled(
    read: _Read, units: _Units, model: LabelModel
) -> tuple[list[_Label], dict[int, RaterSaid], dict[str, Any]]:
    """Labels of single completions from yes and no."""
    rows = [
        (units.unit(read.places[comparison].group, (completion,)), rater, said)
        for comparison, rater, labels in read.labels
        for completion, said in zip(read.places[comparison].completions, labels, strict=True)
        if said is not None
    ]
    if not rows:
        return [], {}, {}
    items, raters = sorted({item for item, *_ in rows}), sorted({rater for _, rater, _ in rows})
    votes = Votes(
        np.searchsorted(items, [row[0] for row in rows]).astype(np.int64),
        np.searchsorted(raters, [row[1] for row in rows]).astype(np.int64),
        np.array([row[2] for row in rows], dtype=np.int64),
        n_items=len(items),
        n_raters=len(raters),
        n_labels=2,
    )
    p_yes, method, said_of, params = model(votes, raters)
    yes, counts = votes.label_counts()[:, 1], votes.item_counts()
    people = {item for item, rater, _ in rows if read.person[rater]}
    labels = [
        _Label(
            item,
            (float(p_yes[at]), 1.0 - float(p_yes[at]), 0.0),
            votes=int(counts[at]),
            agreeing=float(yes[at] if p_yes[at] > 0.5 else counts[at] - yes[at]),
            by_person=item in people,
            method=method,
            is_single=True,
        )
        for at, item in enumerate(items)
    ]
    return labels, said_of, params


def _labels_fitted(method: str) -> LabelModel:
    """The project's method on two labels; for the graded model, its form with a threshold for each rater."""

    def thresholds(
        votes: Votes, raters: list[int]
    ) -> tuple[NDArray[np.float64], str, dict[int, RaterSaid], dict[str, Any]]:
        fit, counts = binary_fit(votes), votes.rater_counts()
        said = {
            rater: RaterSaid(
                int(counts[at]),
                details={"labels": {"threshold": float(fit.threshold[at]), "care": float(fit.discrimination[at])}},
            )
            for at, rater in enumerate(raters)
        }
        return fit.p_yes, LABELLED, said, {}

    def aggregated(
        votes: Votes, raters: list[int]
    ) -> tuple[NDArray[np.float64], str, dict[int, RaterSaid], dict[str, Any]]:
        fit, counts = AGGREGATORS[method].load()(votes), votes.rater_counts()
        said = {}
        for at, rater in enumerate(raters):
            confusion = None if fit.confusion is None else fit.confusion[at].tolist()
            low, high = (float(bound) for bound in fit.rater_interval[at])
            said[rater] = RaterSaid(
                int(counts[at]), float(fit.rater_accuracy[at]), low, high, {"labels": {"confusion": confusion}}
            )
        return fit.posterior[:, 1], fit.method, said, {"prior": fit.class_prior.tolist(), "method": fit.method}

    return thresholds if method in (GRADED, JOINT) else aggregated


def _labels_held(run: AggregationRun | None) -> LabelModel:
    """Raters' confusions as the run saw them; majority where it has none."""
    params = ((run.params.get("derived") or {}).get("labels") or {}) if run is not None else {}
    known = {rater: said["confusion"] for rater, said in _details_of(run, "labels").items() if said.get("confusion")}
    if not params or not known:
        return _labels_fitted("majority")

    def model(votes: Votes, raters: list[int]) -> tuple[NDArray[np.float64], str, dict[int, RaterSaid], dict[str, Any]]:
        stranger = stranger_confusion(2)
        confusion = np.stack([np.array(known[rater]) if rater in known else stranger for rater in raters])
        posterior = posterior_given_raters(votes, np.array(params["prior"]), confusion)
        return posterior[:, 1], str(params["method"]), {}, {}

    return model


def _details_of(run: AggregationRun | None, name: str) -> dict[int, dict[str, Any]]:
    if run is None:
        return {}
    found = RaterEstimate.objects.filter(run=run).values_list("rater_id", f"details__{name}")
    return {rater: details for rater, details in found if details is not None}


# Joining


def _first_of(*kinds: list[_Label], voted: set[int]) -> list[_Label]:
    """One label a comparison, the first kind that has one; none where votes of its own decide. Weighs them."""
    chosen: dict[int, _Label] = {}
    for labels in kinds:
        for label in labels:
            if label.comparison not in voted:
                chosen.setdefault(label.comparison, label)
    found = sorted(chosen.values(), key=lambda label: label.comparison)
    if not found:
        return []
    groups = {
        pk: (prompt, context)
        for pk, prompt, context in Comparison.objects.filter(
            pk__in=[label.comparison for label in found if not label.is_single]
        ).values_list("pk", "prompt_id", "context")
    }
    directed = preferences(np.array([label.posterior for label in found])).direction != TIE
    sizes = Counter(
        groups[label.comparison] for label, has in zip(found, directed, strict=True) if has and not label.is_single
    )
    for label in found:
        if not label.is_single:
            label.weight = 1.0 / max(1, sizes[groups[label.comparison]])
    return found


def _labels(found: Sequence[_Label]) -> Labels | None:
    if not found:
        return None
    posterior = np.array([label.posterior for label in found])
    told = preferences(posterior)
    single = np.array([label.is_single for label in found])
    direction = np.where(single & (told.direction != TIE), told.direction + YES, told.direction).astype(np.int8)
    votes = np.array([label.votes for label in found], dtype=np.int64)
    unknown = np.full(len(found), np.nan)
    made = [
        Maker("person" if label.by_person else "source", label.method, _version(label.method)) for label in found
    ]
    makers = tuple(dict.fromkeys(made))
    return Labels(
        comparison=np.array([label.comparison for label in found], dtype=np.int64),
        posterior=posterior,
        direction=direction,
        flip_probability=told.flip_probability,
        soft_label=told.soft_label,
        strength=np.array([label.strength for label in found]),
        agreement=np.array([label.agreeing for label in found]) / votes,
        votes=votes,
        predictions=np.zeros(len(found), dtype=np.int64),
        strength_se=np.array([label.strength_se for label in found]),
        ambiguity=unknown,
        ignorance=unknown,
        weight=np.array([label.weight for label in found]),
        maker=np.array([makers.index(maker) for maker in made], dtype=np.int64),
        makers=makers,
    )


def _version(method: str) -> str:
    return ANSWER_MODELS[method].version if method in ANSWER_MODELS else AGGREGATORS[method].version


def _raters_joined(
    read: _Read,
    agreed: Mapping[int, list[int]],
    ratings: Mapping[int, dict[str, float]],
    labels: Mapping[int, RaterSaid],
) -> dict[int, RaterSaid]:
    answers = Counter(rater for rater, _ in {(r, c) for c, r, _ in [*read.orders, *read.ratings, *read.labels]})
    found = {}
    for rater, count in answers.items():
        own = labels.get(rater, RaterSaid(0))
        details = dict(own.details)
        reliability = own.reliability
        if pairs := agreed.get(rater, [0, 0])[0]:
            details["rankings"] = {"pairs": pairs, "agreeing": agreed[rater][1]}
            reliability = agreed[rater][1] / pairs if reliability is None else reliability
        if rater in ratings:
            details["ratings"] = ratings[rater]
        found[rater] = RaterSaid(count, reliability, own.low, own.high, details)
    return found


def _counts(read: _Read, labels: Labels | None) -> dict[str, int]:
    direction = np.zeros(0, dtype=np.int8) if labels is None else labels.direction
    single = np.zeros(0, dtype=bool) if labels is None else np.isin(direction, (YES, NO))
    counts = {
        "rankings": len(read.orders),
        "ratings": len(read.ratings),
        "yes_no_answers": len(read.labels),
        "derived_preferences": int(np.count_nonzero((direction < TIE) & ~single)) if labels is not None else 0,
        "labelled_completions": int(np.count_nonzero(single)),
    }
    return {name: count for name, count in counts.items() if count}


def rule_of(run: AggregationRun | None) -> PairRule:
    """The rule of the newest run, which goes on until another is asked for."""
    stored = (run.params.get("derived") or {}).get("rule") if run is not None else None
    return PairRule(**stored) if stored else PairRule()
