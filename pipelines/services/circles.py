"""Do preferences go in circles? The analysis of models and of completions that stand in several comparisons."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.labels.circles import Circles, circles, table_of, winners
from pipelines.labels.pairs import connections
from pipelines.models import AggregationRun
from pipelines.queue import Leased
from pipelines.selectors.recurrence import Recurrence, model_names, recurrence_of
from pipelines.services.analyses import Found

MOST_MODELS = 24
SHOWN_CYCLES, SHOWN_PROMPTS = 25, 10
SEED, DRAWS_A_PROMPT = 0, 50


def circles_found(item: Leased) -> Found:
    """The analysis `circles`."""
    run = AggregationRun.objects.filter(project_id=item.project_id).order_by("-number").first()
    known = recurrence_of(item.project_id)
    item.check()
    models = _models(known)
    item.check()
    return Found({"models": models, "completions": _completions(known)}, int(known.counts.sum()), run)


def _models(known: Recurrence) -> dict[str, Any]:
    """Models as items: all comparisons of two different ones."""
    apart = (
        (known.first_model > 0) & (known.second_model > 0) & (known.first_model != known.second_model)
    )
    pairs = np.stack([known.first_model[apart], known.second_model[apart]], axis=1)
    counts = known.counts[apart]
    if pairs.size == 0:
        return {"reason": "No voted comparison is of two different models that the files name."}
    ids, kept = _most_compared(pairs)
    pairs, counts = pairs[kept], counts[kept]
    if ids.size < 3:
        return {"reason": f"{ids.size} models were compared with each other; 3 are the least for a circle."}
    first, second = np.searchsorted(ids, pairs[:, 0]), np.searchsorted(ids, pairs[:, 1])
    table = table_of(first, second, counts, ids.size)
    found = winners(first, second, counts, ids.size, seed=SEED)
    names = model_names(ids.tolist())
    votes = np.zeros((ids.size, ids.size))
    votes[table.i, table.j] = votes[table.j, table.i] = table.wins_i + table.wins_j + table.ties
    return {
        "ids": ids.tolist(),
        "names": [names[id_] for id_ in ids.tolist()],
        "comparisons": int(kept.sum()),
        "left_out": int(apart.sum() - kept.sum()),
        "votes": votes.tolist(),
        "circles": _shown(circles(table, seed=SEED), ids),
        **{key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in asdict(found).items()},
    }


def _most_compared(pairs: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The models in the largest connected part, the 24 with most comparisons of it, and which comparisons are of two."""
    ids, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(pairs.shape)
    names, counts = np.unique(place, return_counts=True)
    chosen = np.zeros(ids.size, dtype=bool)
    chosen[names[np.argsort(-counts, kind="stable")][:MOST_MODELS]] = True
    kept = chosen[place].all(axis=1)
    ones = np.tile([1.0, 0.0, 0.0], (int(kept.sum()), 1))
    component, _ = connections(table_of(place[kept, 0], place[kept, 1], ones, ids.size))
    # Of the models that nothing chose each is a part of its own, and none of them is the largest.
    largest = np.bincount(component[place[kept, 0]]).argmax()
    kept &= component[place[:, 0]] == largest
    return np.unique(pairs[kept]), kept


def _completions(known: Recurrence) -> dict[str, Any]:
    """Completions as items, within their prompts; prompts with three comparisons or more can hold a triad."""
    prompts, count = np.unique(known.prompt[known.prompt >= 0], return_counts=True)
    several = np.isin(known.prompt, prompts[count >= 3])
    if not several.any():
        return {"reason": "No prompt has three voted comparisons; a circle needs three completions, each two compared."}
    pairs = np.stack([known.first[several], known.second[several]], axis=1)
    ids, place = np.unique(pairs, return_inverse=True)
    place = place.reshape(pairs.shape)
    prompt_of = np.zeros(ids.size, dtype=np.int64)
    prompt_of[place[:, 0]] = prompt_of[place[:, 1]] = known.prompt[several]
    table = table_of(place[:, 0], place[:, 1], known.counts[several], ids.size)
    found = circles(table, seed=SEED)
    if not found.observed:
        return {"reason": "No three completions of one prompt were all compared with each other."}
    listed = list(dict.fromkeys(prompt_of[found.cycles[:, 0]].tolist()))[:SHOWN_PROMPTS]
    return {
        "comparisons": int(several.sum()),
        "prompts": int(np.unique(known.prompt[several]).size),
        "prompts_with_circles": int(np.unique(prompt_of[found.cycles]).size) if found.cyclic else 0,
        "circles": _shown(found, ids),
        "listed": [_prompt(known, prompt) for prompt in listed],
    }


def _prompt(known: Recurrence, prompt: int) -> dict[str, Any]:
    """One prompt whose completions go in a circle: who wins by one score, and who by none."""
    own = known.prompt == prompt
    pairs = np.stack([known.first[own], known.second[own]], axis=1)
    ids, kept = _most_compared(pairs)
    first, second = (np.searchsorted(ids, pairs[kept, side]) for side in (0, 1))
    counts = known.counts[own][kept]
    found = winners(first, second, counts, ids.size, seed=SEED, draws=DRAWS_A_PROMPT)
    around = circles(table_of(first, second, counts, ids.size), seed=SEED, draws=1)
    keys = ("scores", "scores_low", "scores_high", "mixture", "mixture_low", "mixture_high", "copeland")
    return {
        "prompt": prompt,
        "ids": ids.tolist(),
        "votes": int(counts.sum()),
        "cycles": ids[around.cycles[:SHOWN_CYCLES]].tolist(),
        "weakest": around.weakest[:SHOWN_CYCLES].tolist(),
        "unique": found.unique,
        **{key: getattr(found, key).tolist() for key in keys},
    }


def _shown(found: Circles, ids: NDArray[np.int64]) -> dict[str, Any]:
    """The counts, and the firmest circles by ids."""
    return asdict(found) | {
        "decided": found.decided,
        "cycles": ids[found.cycles[:SHOWN_CYCLES]].tolist(),
        "weakest": found.weakest[:SHOWN_CYCLES].tolist(),
    }
