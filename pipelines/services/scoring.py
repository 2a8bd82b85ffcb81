"""Scores of comparisons by a model: planned in slices, each comparison once a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from annotation.models import LanguageModel, Project, User
from pipelines.engine.params import params_hash
from pipelines.errors import InputRefused
from pipelines.extra import ml_reachable
from pipelines.models import Job, Score
from pipelines.queue import ML, PLAN_ATTEMPTS, Leased, job_start, work_finishing, work_plan
from pipelines.scoring import SCORERS
from pipelines.selectors.texts import WorkKey, lengths_without_score, pairs_of
from pipelines.services.model_work import follow, model_load, slices_of
from pipelines.services.models import model_get

if TYPE_CHECKING:
    from pipelines.engine.models import LoadedModel
    from pipelines.engine.tokens import TokenConfig

SLICE = "score.slice"
MAX_LENGTH = 1024


def score_start(
    *,
    project: Project,
    method: str,
    model: str,
    max_length: int = MAX_LENGTH,
    created_by: User | None = None,
) -> Job:
    """A job that scores what has no score of this method, model and length yet."""
    if method not in SCORERS:
        raise InputRefused(f"There is no method {method!r}; known are {', '.join(SCORERS)}.")
    if max_length < 2:
        raise InputRefused(f"The longest sequence must have at least 2 tokens; got {max_length}.")
    found = model_get(name=model)
    ml_reachable()
    params = {
        "method": method,
        "model": found.name,
        "fingerprint": found.fingerprint,
        "max_length": max_length,
    }
    return job_start(
        project=project,
        kind="score",
        params=params,
        queue=ML,
        created_by=created_by,
        max_attempts=PLAN_ATTEMPTS,
    )


def score_plan(item: Leased) -> None:
    """Handler of `score`: cut what is to be scored into slices."""
    model, loaded = model_load(item.params["model"], item.params["fingerprint"])
    key, _ = _key(item, model, loaded)
    lengths = lengths_without_score(item.project_id, key)
    slices = slices_of(
        lengths,
        key=f"job-{item.job_id}",
        params=item.params,
        parameters=model.parameters or 0,
        device=loaded.device.type,
    )
    with work_finishing(item):
        work_plan(slices, queue=ML, project_id=item.project_id, kind=SLICE, job_id=item.job_id)
        item.counts.update(planned=len(lengths), scored=0, failed=0)


def score_slice(item: Leased) -> None:
    """Handler of `score.slice`."""
    from pipelines.engine.passes import PairText

    model, loaded = model_load(item.params["model"], item.params["fingerprint"])
    key, config = _key(item, model, loaded)
    rows = pairs_of(item.project_id, item.params["ids"])
    pairs = [PairText(row.comparison_id, row.prompt, row.first, row.second) for row in rows]
    run = SCORERS[key.method].load_engine()
    found = run(loaded, pairs, config=config, progress=lambda done: follow(item, done))
    scores = [
        Score(
            project_id=item.project_id,
            comparison_id=pair.key,
            values=pair.stored(),
            dtype=loaded.dtype,
            method=key.method,
            method_version=key.version,
            fingerprint=key.fingerprint,
            params_hash=key.params_hash,
        )
        for pair in found
    ]
    failed = sum(pair.values is None for pair in found)
    with work_finishing(item):
        Score.objects.bulk_create(scores, ignore_conflicts=True, batch_size=1000)
        item.counts.update(scored=len(found) - failed, failed=failed)


def _key(item: Leased, model: LanguageModel, loaded: LoadedModel) -> tuple[WorkKey, TokenConfig]:
    """The key, and how sequences are cut: as the training to come will cut them."""
    from pipelines.engine.tokens import TokenConfig

    method = item.params["method"]
    config = TokenConfig(max_length=item.params["max_length"])
    digest = params_hash({**config.params(), "dtype": loaded.dtype})
    return WorkKey(method, SCORERS[method].version, model.fingerprint, digest), config
