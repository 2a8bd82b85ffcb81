"""Labels of pairs and of single completions from answers that order, rate or label the completions of a comparison.

Each pair of completions that was ranked or rated, and each completion that got a yes or no, is a comparison of its own
(open to nobody, `Derivation` leads back to its sources), so that scores, filters, versions and exports treat all
preferences alike. Votes given on a pair itself decide before rankings, rankings before ratings, those before a model.
Orders of one prompt and context are told together; ratings, and yes and no, over the whole project.

`derivation_reading.py` reads the answers and makes the comparisons, `derivation_kinds.py` tells the labels of each kind, and
here they are joined.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.models import Comparison
from pipelines.labels import AGGREGATORS, ANSWER_MODELS
from pipelines.labels.preference import preferences
from pipelines.labels.votes import TIE
from pipelines.models import AggregationRun
from pipelines.pairs.answers import PairRule, rule_check
from pipelines.selectors.answered import answered_of, derived_from, forms_speaking, sources_together
from pipelines.services.derivation_kinds import (
    DerivedLabel,
    RaterSaid,
    labels_fitted,
    labels_held,
    ranked_labels,
    rated_labels,
    rating_fitted,
    rating_held,
    yes_no_labels,
)
from pipelines.services.derivation_reading import Read, Units
from pipelines.services.preference_rows import NO, YES, Labels, Maker


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


# Entry points


def derive_all(*, project_id: int, method: str, rule: PairRule, voted: NDArray[np.int64]) -> Derived:
    """A full refit. `voted`: comparisons with votes of their own; `method`: for yes and no."""
    forms = forms_speaking(project_id)
    for form in forms.values():
        if form.rating is not None:
            rule_check(form.rating, rule)
    if not forms:
        return Derived()
    read = Read(forms, answered_of(project_id, forms), rule)
    units = Units(project_id, read)
    ranked, agreed = ranked_labels(read, units)
    rated, rating_raters, rating_params = rated_labels(read, units, rule, rating_fitted)
    labelled, label_raters, label_params = yes_no_labels(read, units, labels_fitted(method))
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
    Units(project_id, Read(forms, answered_of(project_id, forms, comparison_ids), None))
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
    read = Read(forms, answered_of(project_id, forms, sorted(sources)), rule)
    units = Units(project_id, read)
    ranked, _ = ranked_labels(read, units)
    rated, _, _ = rated_labels(read, units, rule, rating_held(run))
    labelled, _, _ = yes_no_labels(read, units, labels_held(run))
    # The whole group is weighed together, and then only what was asked for is stored.
    found = _first_of(ranked, rated, labelled, voted=set(voted.tolist()))
    return _labels([label for label in found if label.comparison in wanted])


# Joining


def _first_of(*kinds: list[DerivedLabel], voted: set[int]) -> list[DerivedLabel]:
    """One label a comparison, the first kind that has one; none where votes of its own decide. Weighs them."""
    chosen: dict[int, DerivedLabel] = {}
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


def _labels(found: Sequence[DerivedLabel]) -> Labels | None:
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
    read: Read,
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


def _counts(read: Read, labels: Labels | None) -> dict[str, int]:
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
