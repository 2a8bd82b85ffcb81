"""Scores of comparisons by a model, planned in slices, each comparison once a key. Needs the extra."""

from __future__ import annotations

from annotation.models import LanguageModel
from pipelines.engine.models import LoadedModel
from pipelines.engine.params import params_hash
from pipelines.engine.passes import PairText
from pipelines.engine.tokens import TokenConfig
from pipelines.models import Score
from pipelines.queue import ML, Leased, work_finishing, work_plan
from pipelines.scoring import SCORERS
from pipelines.selectors.pairs import left_out_of
from pipelines.selectors.texts import WorkKey, lengths_without_score, pairs_of
from pipelines.services.model_work import follow, model_load, slices_of

SLICE = "score.slice"


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
        item.counts.update(planned=len(lengths), scored=0, failed=0, **left_out_of(item.project_id))


def score_slice(item: Leased) -> None:
    """Handler of `score.slice`."""
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
    method = item.params["method"]
    config = TokenConfig(max_length=item.params["max_length"])
    digest = params_hash({**config.params(), "dtype": loaded.dtype})
    return WorkKey(method, SCORERS[method].version, model.fingerprint, digest), config
