"""Labels of pairs from rankings and from ratings, and of single completions from yes and no."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.labels import AGGREGATORS, JOINT
from pipelines.labels.binary import binary_fit
from pipelines.labels.online import posterior_given_raters, stranger_confusion
from pipelines.labels.preference import preferences
from pipelines.labels.ratings import rating_fit, rating_given_raters
from pipelines.labels.votefile.answers import GRADED
from pipelines.labels.votes import TIE, Votes
from pipelines.models import AggregationRun, RaterEstimate
from pipelines.pairs.answers import Order, PairRule
from pipelines.pairs.orders import PairSaid, pairs_said
from pipelines.pairs.rated import rated_pairs
from pipelines.services.derivation_reading import Group, Read, Units

RANKED, RATED, LABELLED = "plackett_luce", "ratings", "yes_no"
Lines = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class RaterSaid:
    """What a refit knows of a rater who ordered, rated or labelled."""

    answers: int
    reliability: float | None = None
    low: float | None = None
    high: float | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass
class DerivedLabel:
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


# Rankings


def ranked_labels(read: Read, units: Units) -> tuple[list[DerivedLabel], dict[int, list[int]]]:
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


def _ranked_label(comparison: int, pair: PairSaid, raters: Sequence[int], person: Mapping[int, bool]) -> DerivedLabel:
    direction = int(preferences(np.array([pair.posterior])).direction[0])
    return DerivedLabel(
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


def rated_labels(
    read: Read, units: Units, rule: PairRule, model: RatingModel
) -> tuple[list[DerivedLabel], dict[int, dict[str, float]], dict[str, float]]:
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
    labels = _pairs_rated(both, items, value, error, rule, units, read.person)
    if lines is None:
        return labels, {}, {}
    names = ("offset", "scale", "noise")
    known = {
        rater: {name: float(line[at]) for name, line in zip(names, lines, strict=True)} for at, rater in enumerate(raters)
    }
    return labels, known, {name: float(line.mean()) for name, line in zip(names, lines, strict=True)}


def _pairs_rated(
    both: Mapping[tuple[Group, int, int], list[tuple[int, float]]],
    items: Mapping[tuple[Group, int], int],
    value: NDArray[np.float64],
    error: NDArray[np.float64],
    rule: PairRule,
    units: Units,
    person: Mapping[int, bool],
) -> list[DerivedLabel]:
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
            DerivedLabel(
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


def rating_fitted(
    item: NDArray[np.int64], rater: NDArray[np.int64], rating: NDArray[np.float64], n_items: int, raters: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64], Lines]:
    fit = rating_fit(item, rater, rating, n_items, len(raters))
    return fit.value, fit.value_error, (fit.offset, fit.scale, fit.noise)


def rating_held(run: AggregationRun | None) -> RatingModel:
    """Raters as the run saw them; a fit of what is here where it saw none."""
    average = ((run.params.get("derived") or {}).get("ratings") or {}) if run is not None else {}
    if not average:
        return rating_fitted
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


def yes_no_labels(
    read: Read, units: Units, model: LabelModel
) -> tuple[list[DerivedLabel], dict[int, RaterSaid], dict[str, Any]]:
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
        DerivedLabel(
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


def labels_fitted(method: str) -> LabelModel:
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


def labels_held(run: AggregationRun | None) -> LabelModel:
    """Raters' confusions as the run saw them; majority where it has none."""
    params = ((run.params.get("derived") or {}).get("labels") or {}) if run is not None else {}
    known = {rater: said["confusion"] for rater, said in _details_of(run, "labels").items() if said.get("confusion")}
    if not params or not known:
        return labels_fitted("majority")

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
