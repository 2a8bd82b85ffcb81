"""A model judges comparisons, planned in slices, in both orders, each comparison once a key. Needs the extra."""

from __future__ import annotations

from collections import Counter
from typing import Any

from annotation.models import LanguageModel, Rater
from pipelines.engine.models import LoadedModel
from pipelines.engine.params import params_hash
from pipelines.engine.passes import PairText
from pipelines.judges import JUDGES
from pipelines.judges.causal import judge_params
from pipelines.judges.template import JudgeTemplate, template_from_settings
from pipelines.models import Prediction
from pipelines.queue import ML, Leased, work_finishing, work_plan
from pipelines.selectors.pairs import left_out_of
from pipelines.selectors.texts import WorkKey, lengths_without_prediction, pairs_of
from pipelines.services.model_work import follow, model_load, slices_of

METHOD = "causal_labels"
SLICE = "judge.slice"


def judge_plan(item: Leased) -> None:
    """Handler of `judge`: cut what is to be judged into slices."""
    model, loaded = model_load(item.params["model"], item.params["fingerprint"])
    template = _template(model, loaded)
    key = _key(model, loaded, template)
    rater = judge_rater(project_id=item.project_id, model=model)
    lengths = lengths_without_prediction(item.project_id, rater.pk, key)
    params = {**item.params, "rater": rater.pk}
    slices = slices_of(
        lengths,
        key=f"job-{item.job_id}",
        params=params,
        parameters=model.parameters or 0,
        device=loaded.device.type,
    )
    with work_finishing(item):
        work_plan(slices, queue=ML, project_id=item.project_id, kind=SLICE, job_id=item.job_id)
        item.counts.update(planned=len(lengths), judged=0, **left_out_of(item.project_id))


def judge_slice(item: Leased) -> None:
    """Handler of `judge.slice`: read, compute, then write; no transaction is open during the passes."""
    model, loaded = model_load(item.params["model"], item.params["fingerprint"])
    template = _template(model, loaded)
    key = _key(model, loaded, template)
    rows = pairs_of(item.project_id, item.params["ids"])
    pairs = [PairText(row.comparison_id, row.prompt, row.first, row.second) for row in rows]
    verdicts = JUDGES[METHOD].load()(
        loaded, pairs, template=template, progress=lambda done: follow(item, done)
    )
    predictions = [
        Prediction(
            project_id=item.project_id,
            comparison_id=verdict.key,
            rater_id=item.params["rater"],
            outcome=verdict.outcome,
            p_first=verdict.p_first,
            p_tie=verdict.p_tie if verdict.p_first is not None else None,
            p_first_ab=verdict.p_first_ab,
            p_first_ba=verdict.p_first_ba,
            label_mass=verdict.label_mass,
            dtype=loaded.dtype,
            method=key.method,
            method_version=key.version,
            fingerprint=key.fingerprint,
            params_hash=key.params_hash,
        )
        for verdict in verdicts
    ]
    with work_finishing(item):
        Prediction.objects.bulk_create(predictions, ignore_conflicts=True, batch_size=1000)
        item.counts.update(judged=len(predictions), **Counter(verdict.outcome for verdict in verdicts))


def judge_rater(*, project_id: int, model: LanguageModel) -> Rater:
    """The model as a rater of the project."""
    rater, _ = Rater.objects.get_or_create(
        project_id=project_id, kind=Rater.Kind.MODEL, name=model.name, defaults={"model": model}
    )
    return rater


def _template(model: LanguageModel, loaded: LoadedModel) -> JudgeTemplate:
    settings: dict[str, Any] = model.judge_settings
    return template_from_settings(settings, has_chat_template=bool(loaded.tokenizer.chat_template))


def _key(model: LanguageModel, loaded: LoadedModel, template: JudgeTemplate) -> WorkKey:
    return WorkKey(
        METHOD, JUDGES[METHOD].version, model.fingerprint, params_hash(judge_params(loaded, template))
    )
