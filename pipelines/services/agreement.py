"""How far people agree with each other, and each judge with them: in all, by batch, context, time, group and aspect.

Each kind of answer is told by the measure that its level allows: outcomes are nominal, strengths ordinal, rankings have
Kendall's W.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotation.agreement import (
    Level,
    agreement,
    cohen_kappa,
    concordance,
    cross_agreement_interval,
    fleiss_agreement,
    percent_agreement_interval,
)
from annotation.models import Project
from pipelines.models import AggregationRun
from pipelines.queue import Leased
from pipelines.selectors.agreement import INCONSISTENT, Said, batch_names, context_name, group_raters, said_of
from pipelines.selectors.answered import answered_of, forms_speaking
from pipelines.selectors.disagreement import aspect_agreements
from pipelines.selectors.raters import wilson
from pipelines.services.analyses import Found
from pipelines.services.derivation_reading import Read

MOST_BATCHES, MOST_STRETCHES, LEAST_IN_STRETCH = 12, 8, 200
MOST_RATERS = 12
SEED = 0
RESAMPLES = 400
PEOPLE = 0


def agreement_found(item: Leased) -> Found:
    """The analysis `agreement`."""
    project = Project.objects.get(pk=item.project_id)
    run = AggregationRun.objects.filter(project=project).order_by("-number").first()
    said = said_of(project.pk)
    item.check()
    scopes = []
    for by, title, chosen in _scopes(project.pk, said):
        scopes.append({"by": by, "title": title} | _scope(said, chosen))
        item.check()
    result = {
        "scopes": scopes,
        "answers": _answers(project.pk),
        "aspects": [{"title": one.title, **asdict(one.found)} for one in aspect_agreements(project=project)],
        "raters": _raters(said),
    }
    return Found(result, int((~said.judge).sum()), run)


def _scopes(project_id: int, said: Said) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    """What agreement is told for: a kind of part, its name, and the answers in it. Judges stand in every part."""
    everything = np.ones(said.comparison.size, dtype=bool)
    yield "all", "All", everything
    batches, counts = np.unique(said.batch[~said.judge], return_counts=True)
    if batches.size > 1:
        names = batch_names(project_id)
        for batch in batches[np.argsort(-counts, kind="stable")][:MOST_BATCHES].tolist():
            yield "batch", f"{names[batch]}:{batch}" if batch else "made here:", said.batch == batch
    contexts, counts = np.unique(said.context[~said.judge], return_counts=True)
    for context in contexts[np.argsort(-counts, kind="stable")][:MOST_BATCHES].tolist() if contexts.size > 1 else ():
        yield "context", context_name(project_id, context) or "no context", said.context == context
    people = np.sort(said.at[~said.judge])
    parts = min(MOST_STRETCHES, people.size // LEAST_IN_STRETCH)
    for part in np.array_split(people, parts) if parts > 1 else ():
        inside = (said.at >= part[0]) & (said.at <= part[-1])
        yield "time", str(int(np.searchsorted(people, part[-1], side="right"))), inside | said.judge
    for name, raters in group_raters(project_id).items():
        yield "group", name, np.isin(said.rater, raters) | said.judge


def _scope(said: Said, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """People with people, and each judge with people beside the people's own ceiling on the same comparisons."""
    people = chosen & ~said.judge
    units, unit = np.unique(said.comparison, return_inverse=True)
    value = said.label.astype(np.float64)
    own, label = unit[people], value[people]
    alpha = agreement(own, label, "nominal", seed=SEED)
    pairs = percent_agreement_interval(own, label, seed=SEED)
    return {
        "comparisons": int(np.unique(own).size),
        "votes": int(people.sum()),
        "ties": float((said.label[people] == 2).mean()) if people.any() else None,
        "alpha": asdict(alpha),
        "strength": _strength(unit[people], said.vote[people], said.scale[people]),
        "fleiss": None if (fleiss := fleiss_agreement(own, label, seed=SEED)) is None else asdict(fleiss),
        "people": None if pairs is None else dict(zip(("share", "low", "high", "pairs"), pairs, strict=True)),
        "judges": [
            {"rater": judge} | _judge(said, chosen, unit, value, judge)
            for judge in np.unique(said.rater[said.judge]).tolist()
        ],
    }


def _strength(
    unit: NDArray[np.int64], vote: NDArray[np.int64], scale: NDArray[np.int64]
) -> dict[str, Any] | None:
    """Alpha of strengths as an order and as quantities, on the scale of most votes; None where none has a strength."""
    if not (scale > 0).any():
        return None
    most = int(np.bincount(scale[scale > 0]).argmax())
    on, value = unit[scale == most], vote[scale == most].astype(np.float64)
    levels: tuple[Level, ...] = ("ordinal", "interval")
    return {"scale": most, "votes": int(on.size)} | {
        level: asdict(agreement(on, value, level, seed=SEED, n_resamples=RESAMPLES)) for level in levels
    }


def _answers(project_id: int) -> list[dict[str, Any]]:
    """What was said of more than first and second: rankings, ratings, and yes or no to single completions."""
    forms = forms_speaking(project_id)
    answered = answered_of(project_id, forms) if forms else []
    if any(one.by_person for one in answered):
        answered = [one for one in answered if one.by_person]
    read = Read(forms, answered, None)
    found = []
    ranked: dict[int, list[list[float]]] = {}
    for comparison, _, order in read.orders:
        ranked.setdefault(comparison, []).append([float(order.place(at)) for at in range(read.size(comparison))])
    if (alike := concordance([np.array(rows) for rows in ranked.values()], seed=SEED)) is not None:
        found.append({"kind": "orders", **asdict(alike)})
    kinds: tuple[tuple[str, Sequence[tuple[int, int, Sequence[float | None]]], Level], ...] = (
        ("ratings", read.ratings, "interval"),
        ("labels", read.labels, "nominal"),
    )
    for kind, rows, level in kinds:
        said = [(c, at, float(v)) for c, _, values in rows for at, v in enumerate(values) if v is not None]
        if said:
            *places, value = (np.array(column) for column in zip(*said, strict=True))
            _, unit = np.unique(np.stack(places), axis=1, return_inverse=True)
            alpha = agreement(unit.ravel().astype(np.int64), value, level, seed=SEED, n_resamples=RESAMPLES)
            found.append({"kind": kind, **asdict(alpha)})
    return found


def _judge(
    said: Said, chosen: NDArray[np.bool_], unit: NDArray[np.int64], value: NDArray[np.float64], judge: int
) -> dict[str, Any]:
    """One judge beside people."""
    its = said.judge & (said.rater == judge)
    kept = chosen & (~said.judge | its)
    group = np.where(its, 1, PEOPLE)[kept]
    found = cross_agreement_interval(unit[kept], value[kept], group, PEOPLE, 1, seed=SEED)
    if found is None:
        return {"comparisons": 0}
    both = np.isin(unit, unit[kept & ~said.judge]) & its
    return {
        "comparisons": found.units,
        "votes": found.found.pairs,
        "inconsistent": float((said.label[both] == INCONSISTENT).mean()),
        "share": found.found.between,
        "low": found.between_low,
        "high": found.between_high,
        "ceiling": found.found.ceiling,
        "ceiling_low": found.ceiling_low,
        "ceiling_high": found.ceiling_high,
        "ceiling_pairs": found.found.ceiling_pairs,
        "below": found.below,
        "below_low": found.below_low,
        "below_high": found.below_high,
    }


def _raters(said: Said) -> dict[str, Any]:
    """Share of equal answers of each two raters on the comparisons that both judged: those who voted most, and judges."""
    ids, counts = np.unique(said.rater, return_counts=True)
    judges = np.unique(said.rater[said.judge])
    people = ids[~np.isin(ids, judges)][np.argsort(-counts[~np.isin(ids, judges)], kind="stable")][:MOST_RATERS]
    chosen = np.concatenate([people, judges[:MOST_RATERS]])
    own = [(said.comparison[said.rater == one], said.label[said.rater == one]) for one in chosen]
    cells: list[list[dict[str, float | None] | None]] = []
    kappas: list[tuple[float, int]] = []
    for row, (items, labels) in enumerate(own):
        line: list[dict[str, float | None] | None] = []
        for column, (others, other_labels) in enumerate(own):
            _, here, there = np.intersect1d(items, others, assume_unique=True, return_indices=True)
            if row == column or not here.size:
                line.append(None)
                continue
            share = float((labels[here] == other_labels[there]).mean())
            low, high = wilson(share, here.size)
            kappa = cohen_kappa(labels[here], other_labels[there])
            line.append({"share": share, "low": low, "high": high, "n": int(here.size), "kappa": kappa})
            if row < column < people.size and kappa is not None:
                kappas.append((kappa, int(here.size)))
        cells.append(line)
    total = sum(n for _, n in kappas)
    cohen = {"kappa": sum(k * n for k, n in kappas) / total, "pairs": len(kappas), "n": total} if total else None
    return {"cohen": cohen, "ids": chosen.tolist(), "judges": judges[:MOST_RATERS].tolist(), "cells": cells}
