"""Dataset versions: preferences that pass recorded filters, frozen on one snapshot of the database.

A version is built in three steps. Its name is taken (`building`), its rows are written in one transaction that sees one
snapshot, and it is sealed (`frozen`), after which the database refuses every change. What fails in between is taken
away again, and a version that a killed worker left half-built is built anew by the next attempt.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from django.db import connection, transaction
from django.db.models.functions import Now
from numpy.typing import NDArray

from annotation.models import Project, User
from pipelines.errors import Busy, InputRefused, NothingToDo
from pipelines.extra import ml_reachable
from pipelines.models import AggregationRun, DatasetVersion, Job, RaterGroup, TrainingRun, VersionDrop
from pipelines.names import name_check
from pipelines.queue import DEFAULT, TRAIN, Leased, job_start, work_add, work_finishing
from pipelines.selectors.freezing import (
    Population,
    dependent_of,
    evidence_of,
    forms_of,
    frozen_rows,
    population_of,
    scores_model,
    sources_of,
)
from pipelines.selectors.label_source import EVERYBODY, LabelSource, OfGroup, newest_of
from pipelines.selectors.pairs import COMPLETIONS, PAIRS, UNITS
from pipelines.services.aggregation import aggregate_current, aggregate_is_current, preferences_alone
from pipelines.services.group_labels import group_get, group_labels_refit
from pipelines.services.import_staging import USE_LZ4
from pipelines.services.models import model_get_for
from pipelines.services.training import training_start
from pipelines.versions.errors import NothingToFreeze
from pipelines.versions.filters import Rule, rule_apply, rule_parse
from pipelines.versions.forms import FORMS, completion_in_form, in_form
from pipelines.versions.rows import FrozenLabel, FrozenRow, canonical_bytes, row_sha256
from pipelines.versions.split_by_prompt import SPLITS

JOB_KIND, TRAIN_KIND = "version.freeze", "version.train"
SCHEMA = 1
CHUNK_BYTES = 4_000_000
SNAPSHOT_TRIES = 2
# Why a comparison is no row of a version, by the version's unit: none at all, or one whose parts are rows.
NOT_UNITS = {
    PAIRS: ("not two texts that answer one known prompt", "sets whose pairs are rows of their own"),
    COMPLETIONS: ("not one completion of a known prompt", "sets whose completions are rows of their own"),
}
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Step:
    """One step of a recipe: what it left out, for which cause, and how many rows are left."""

    cause: str
    dropped: int
    left: int


@dataclass(frozen=True)
class Selection:
    """What a recipe selects: (k,) indices of the candidates that stay, in row order, and the steps that led there."""

    population: Population
    keeps: NDArray[np.int64]
    steps: list[Step]
    rules: list[dict[str, Any]]
    form: str


# Preview and freeze


def filter_preview(
    *, project: Project, filters: Sequence[str], unit: str = PAIRS, group: str = ""
) -> list[Step]:
    """What each step would drop now; changes nothing. Uses the labels as they are, without a refit."""
    if unit not in UNITS:
        raise InputRefused(f"A version's rows are {' or '.join(UNITS)}; got {unit!r}.")
    rules = [rule_parse(text) for text in filters]
    source = _source_previewed(project, group)
    return _filtered(project, population_of(project=project, rules=rules, unit=unit, source=source), rules)[1]


def _source_previewed(project: Project, group: str) -> LabelSource:
    if not group:
        return EVERYBODY
    newest = newest_of(group_get(project=project, key=group))
    if newest is None:
        raise NothingToDo(f"Group {group} has no labels yet; the freeze makes them.")
    return newest


def version_freeze(
    *,
    project: Project,
    name: str,
    filters: Sequence[str] = (),
    form: str | None = None,
    supersedes: str = "",
    unit: str = PAIRS,
    group: str = "",
    created_by: User | None = None,
    progress: Progress | None = None,
) -> DatasetVersion:
    """Freeze in this process. Raises `NothingToFreeze` where no preference is left; nothing is kept then.

    `supersedes`: the frozen version that this one is to be used instead of. `unit`: what a row is, a pair, or a single
    completion with a yes or no. `group`: of raters, like 2-B, whose labels alone to take.
    """
    version_check(
        project=project, name=name, filters=filters, form=form, supersedes=supersedes, unit=unit, group=group
    )
    version = _begin(project, name, supersedes, created_by)
    return _build(version, filters, form, unit, group, progress, transaction.atomic)


def version_freeze_start(
    *,
    project: Project,
    name: str,
    filters: Sequence[str] = (),
    form: str | None = None,
    supersedes: str = "",
    unit: str = PAIRS,
    group: str = "",
    train: str = "",
    run: str = "",
    created_by: User | None = None,
) -> Job:
    """Start the job that freezes; what can be refused at once is refused here.

    `group`: of raters, whose labels alone to take. `train`: a model that the job then trains on the version, in a run
    named `run` or by itself.
    """
    version_check(
        project=project, name=name, filters=filters, form=form, supersedes=supersedes, unit=unit, group=group
    )
    if train and unit != PAIRS:
        raise InputRefused("Training here takes pairs; freeze single completions without a model to train, and export them.")
    _train_check(project, train, run)
    params = {
        "name": name,
        "filters": list(filters),
        "form": form,
        "supersedes": supersedes,
        "unit": unit,
        "group": group,
        "train": train,
        "run": run,
        "created_by": created_by and created_by.pk,
    }
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        # Two builders of one name would take each other's half-built version away.
        running = Job.objects.filter(
            project=project, kind=JOB_KIND, state=Job.State.RUNNING, params__name=name
        )
        if running.exclude(params=params, cancel_requested=False).exists():
            raise InputRefused(
                f"A version {name!r} is being frozen already. Wait for it or choose another name."
            )
        return job_start(project=project, kind=JOB_KIND, params=params, created_by=created_by)


def _train_check(project: Project, train: str, run: str) -> None:
    if not train:
        if run:
            raise InputRefused("A run's name needs the model to train.")
        return
    if run:
        name_check(run, of="run")
    model_get_for(project=project, name=train)
    ml_reachable(TRAIN)
    if run and TrainingRun.objects.filter(project=project, name=run).exists():
        raise InputRefused(f"There is a run {run!r} already. Choose another name.")


def version_freeze_work(item: Leased) -> None:
    """Handler of `version.freeze`: build outside, seal in the transaction that closes the item."""
    project = Project.objects.get(pk=item.project_id)
    creator = User.objects.filter(pk=item.params["created_by"]).first()
    version = _begin(project, item.params["name"], item.params["supersedes"], creator)

    def progress(done: int, total: int) -> None:
        item.size, item.progress = max(total, 1), done
        item.check()

    @contextmanager
    def sealing() -> Iterator[None]:
        item.result = {"version": version.name, "root_hash": version.root_hash}
        item.counts.update(version_counts(version))
        with work_finishing(item):
            yield
            if item.params["train"]:
                _train_plan(item)

    unit, group = item.params.get("unit", PAIRS), item.params.get("group", "")
    _build(version, item.params["filters"], item.params["form"], unit, group, progress, sealing)


def _train_plan(item: Leased) -> None:
    """The run starts by an item of its own: what keeps it from starting must not take the version with it."""
    names = {key: item.params[key] for key in ("name", "train", "run", "created_by")}
    work_add(
        queue=DEFAULT,
        project_id=item.project_id,
        kind=TRAIN_KIND,
        key=item.key,
        params=names,
        size=0,
        job_id=item.job_id,
    )


def version_train_work(item: Leased) -> None:
    """Handler of `version.train`: start the run on the version that this job has frozen."""
    params = item.params
    with work_finishing(item):
        run, job = training_start(
            project=Project.objects.get(pk=item.project_id),
            version=params["name"],
            model=params["train"],
            name=params["run"],
            created_by=User.objects.filter(pk=params["created_by"]).first(),
        )
        item.result.update(run=run.name, train_job=job.pk)


def version_check(
    *,
    project: Project,
    name: str,
    filters: Sequence[str],
    form: str | None,
    supersedes: str = "",
    unit: str = PAIRS,
    group: str = "",
) -> list[Rule]:
    """Refuse at once what can never be frozen; returns the parsed filters."""
    if project.archived_at is not None:
        raise InputRefused(f"The project {project.slug} is archived; bring it back before freezing.")
    name_check(name, of="version")
    if DatasetVersion.objects.filter(project=project, name=name, state=DatasetVersion.State.FROZEN).exists():
        raise InputRefused(
            f"There is a version {name!r} already, and a frozen one never changes; choose another name."
        )
    if supersedes:
        _superseded(project, supersedes)
    if form is not None and form not in FORMS:
        raise InputRefused(f"The form is plain or messages; got {form!r}.")
    if unit not in UNITS:
        raise InputRefused(f"A version's rows are {' or '.join(UNITS)}; got {unit!r}.")
    if group and unit != PAIRS:
        raise InputRefused("A group of raters has labels of pairs alone; freeze single completions of everybody.")
    if group:
        group_get(project=project, key=group)
    rules = [rule_parse(text) for text in filters]
    for rule in rules:
        if rule.key.of_model:
            scores_model(project=project, name=rule.model)
    return rules


def _superseded(project: Project, name: str) -> DatasetVersion:
    found = DatasetVersion.objects.filter(project=project, name=name, state=DatasetVersion.State.FROZEN).first()
    if found is None:
        raise InputRefused(f"Only a frozen version can be superseded; {project.slug} has none named {name!r}.")
    return found


def version_counts(version: DatasetVersion) -> dict[str, int]:
    """The counts that a command prints: rows in, dropped and out, and rows a split."""
    splits = {f"rows_{split}": version.manifest["counts"]["splits"][split]["rows"] for split in SPLITS}
    dropped = version.rows_in - version.rows_out
    return {"rows_in": version.rows_in, "rows_out": version.rows_out, "dropped": dropped, **splits}


# The steps of a freeze


def _begin(project: Project, name: str, supersedes: str, created_by: User | None) -> DatasetVersion:
    """Take the name. A version of that name that nobody finished is taken away."""
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        old = DatasetVersion.objects.filter(project=project, name=name).first()
        if old is not None and old.state == DatasetVersion.State.FROZEN:
            raise InputRefused(
                f"There is a version {name!r} already, and a frozen one never changes; choose another name."
            )
        if old is not None:
            _remove(old)
        return DatasetVersion.objects.create(
            project=project,
            name=name,
            recipe={},
            supersedes=_superseded(project, supersedes) if supersedes else None,
            created_by=created_by,
        )


def _build(
    version: DatasetVersion,
    filters: Sequence[str],
    form: str | None,
    unit: str,
    group: str,
    progress: Progress | None,
    sealing: Callable[[], AbstractContextManager[Any]],
) -> DatasetVersion:
    rules = [rule_parse(text) for text in filters]
    try:
        of = group_get(project=version.project, key=group) if group else None
        for _ in range(SNAPSHOT_TRIES):
            run = _refit(version.project)
            _group_refit(of, run)
            with _snapshot():
                # Votes that came after the refit would be seen through old eyes: refit again.
                if is_current := aggregate_is_current(run):
                    _fill(version, run, rules, form, unit, of, progress)
            if is_current:
                break
        else:
            # Votes come faster than a refit takes: refit within the snapshot, which sees nothing new. Others' writes of
            # preferences wait meanwhile, since a snapshot may not write over what came after it.
            with preferences_alone(version.project_id), _snapshot():
                run = _refit(version.project)
                _group_refit(of, run)
                _fill(version, run, rules, form, unit, of, progress)
        with sealing():
            version.state = DatasetVersion.State.FROZEN
            sealed = DatasetVersion.objects.filter(pk=version.pk, state=DatasetVersion.State.BUILDING).update(
                state=version.state, recipe=version.recipe, manifest=version.manifest, root_hash=version.root_hash,
                run=run, rows_in=version.rows_in, rows_out=version.rows_out, frozen_at=Now(),
            )  # fmt: skip
            if sealed != 1:
                raise Busy(
                    f"Another freeze took the name {version.name!r} meanwhile; look at the versions first."
                )
    except BaseException:
        _remove(version)
        raise
    version.refresh_from_db()
    return version


def _fill(
    version: DatasetVersion,
    run: AggregationRun,
    rules: Sequence[Rule],
    form: str | None,
    unit: str,
    group: RaterGroup | None,
    progress: Progress | None,
) -> None:
    """Rows, recipe and manifest, all of the caller's snapshot."""
    source = OfGroup(group.pk, run.pk) if group else EVERYBODY
    selection = _select(version.project, rules, form, unit, source)
    root = _write_rows(version, selection, progress)
    _describe(version, selection, run, group, root)
    _unseen_store(version_id=version.pk, until=run.annotations_until)


def _refit(project: Project) -> AggregationRun:
    try:
        return aggregate_current(project=project)
    except NothingToDo:
        raise NothingToFreeze(
            f"There is nothing to freeze: {project.slug} has no votes and no predictions."
        ) from None


def _group_refit(group: RaterGroup | None, run: AggregationRun) -> None:
    """The group's labels by this refit, made where they are not there yet."""
    if group is None:
        return
    try:
        group_labels_refit(group=group, run=run)
    except NothingToDo as error:
        raise NothingToFreeze(str(error)) from None


@contextmanager
def _snapshot() -> Iterator[None]:
    """A transaction that sees one state of the database throughout."""
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute(USE_LZ4, {"in_transaction": True})
        yield


def _remove(version: DatasetVersion) -> None:
    """Take away a version that was not sealed."""
    if DatasetVersion.objects.filter(pk=version.pk, state=DatasetVersion.State.FROZEN).exists():
        return
    with connection.cursor() as cursor:
        for table in ("pipelines_versionrow", "pipelines_versiondrop"):
            cursor.execute(f"DELETE FROM {table} WHERE version_id = %s", [version.pk])
    DatasetVersion.objects.filter(pk=version.pk).delete()


def _filtered(
    project: Project, population: Population, rules: Sequence[Rule]
) -> tuple[NDArray[np.bool_], list[Step], list[dict[str, Any]]]:
    """Which candidates pass, step by step, and the rules as they were applied."""
    left = population.comparisons
    steps = []
    for cause, dropped in zip(NOT_UNITS[population.unit], (population.not_units, population.sources), strict=True):
        if dropped:
            left -= dropped
            steps.append(Step(cause, dropped, left))
    for cause, dropped in (
        ("no judgement yet", population.unjudged),
        ("ties", population.ties),
        ("identical completions", population.identical),
    ):
        left -= dropped
        steps.append(Step(cause, dropped, left))
    keeps = np.ones(len(population.candidates), dtype=bool)
    applied = []
    for rule in rules:
        scores = population.candidates.scores.get(rule.model) if rule.key.of_model else None
        named = replace(rule, model=scores.model) if scores else rule
        verdict = rule_apply(rule, population.candidates, scores)
        passed = keeps & verdict.keeps
        dropped = int(np.count_nonzero(keeps)) - int(np.count_nonzero(passed))
        left -= dropped
        steps.append(Step(named.text, dropped, left))
        applied.append({
            "filter": named.text, "splits": "train" if rule.train_only else "all", "without": verdict.without,
            **({"fingerprint": scores.fingerprint} if scores else {}),
        })  # fmt: skip
        keeps = passed
    return keeps, steps, applied


def _select(
    project: Project, rules: Sequence[Rule], form: str | None, unit: str, source: LabelSource
) -> Selection:
    population = population_of(project=project, rules=rules, unit=unit, source=source)
    keeps, steps, applied = _filtered(project, population, rules)
    if not keeps.any():
        causes = "; ".join(f"{step.cause}: {step.dropped:,}" for step in steps if step.dropped)
        raise NothingToFreeze(
            f"There is nothing to freeze: no preference is left ({causes or 'no comparisons'})."
        )
    # Splits one after another, each ordered by content: no database id decides the order.
    order = np.argsort(population.split, kind="stable")
    chosen = order[keeps[order]].astype(np.int64)
    return Selection(
        population, chosen, steps, applied, form or _only_form(forms_of(population.form[chosen]))
    )


def _only_form(forms: dict[str, int]) -> str:
    present = [name for name, count in forms.items() if count]
    if len(present) > 1:
        counts = " and ".join(f"{count:,} {name}" for name, count in forms.items())
        raise InputRefused(
            f"The preferences hold both forms ({counts}); say which one with --form plain or --form messages."
        )
    return present[0]


def _write_rows(version: DatasetVersion, selection: Selection, progress: Progress | None) -> str:
    """COPY the canonical rows in; returns the root hash. Memory holds one chunk."""
    total, keeps = selection.keeps.size, selection.keeps
    revision, split = selection.population.revision[keeps], selection.population.split[keeps]
    root, chunk, size = hashlib.sha256(), [], 0
    for position, row in enumerate(frozen_rows(revision, unit=selection.population.unit)):
        payload = canonical_bytes(_in_form(row, selection.form))
        row_hash = row_sha256(payload)
        root.update(row_hash)
        chunk.append(
            _packed(version.pk, position, SPLITS[split[position]], int(revision[position]), row_hash, payload)
        )
        size += len(payload)
        if size >= CHUNK_BYTES:
            _copy(chunk)
            chunk, size = [], 0
            if progress is not None:
                progress(position + 1, total)
    _copy(chunk)
    return root.hexdigest()


def _in_form(row: FrozenRow | FrozenLabel, form: str) -> FrozenRow | FrozenLabel:
    if isinstance(row, FrozenLabel):
        prompt, completion = completion_in_form(row.prompt, row.completion, form)
        return replace(row, prompt=prompt, completion=completion)
    texts = in_form(row.texts, form)
    return row if texts is row.texts else replace(row, texts=texts)


def _packed(version: int, position: int, split: str, revision: int, row_hash: bytes, payload: bytes) -> bytes:
    """One row in Postgres's binary COPY format: a field count, then each field behind its length."""
    name = split.encode()
    return b"".join((
        struct.pack("!hiqiqi", 6, 8, version, 8, position, len(name)), name,
        struct.pack("!iqi", 8, revision, len(row_hash)), row_hash, struct.pack("!i", len(payload)), payload,
    ))  # fmt: skip


def _copy(rows: list[bytes]) -> None:
    if not rows:
        return
    columns = "version_id, position, split, revision_id, row_hash, payload"
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY pipelines_versionrow ({columns}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.write(
            b"PGCOPY\n\xff\r\n\x00" + struct.pack("!ii", 0, 0) + b"".join(rows) + struct.pack("!h", -1)
        )


def _describe(
    version: DatasetVersion, selection: Selection, run: AggregationRun, group: RaterGroup | None, root: str
) -> None:
    """Recipe, counts, manifest and drops of a version that is about to be sealed."""
    project, population = version.project, selection.population
    version.root_hash = root
    version.rows_in, version.rows_out = population.comparisons, int(selection.keeps.size)
    version.recipe = {
        "schema": SCHEMA,
        "selection": "current preferences that have a direction",
        "unit": population.unit,
        "filters": selection.rules,
        "form": selection.form,
        "labels": {
            "method": run.method,
            "version": run.method_version,
            # How ratings became pairs, where there are some.
            **({"ratings": run.params["derived"]["rule"]} if run.params.get("derived") and not group else {}),
            **(_of_group(group) if group else {}),
        },
        "split": {
            "train": project.split_train_percent,
            "validation": project.split_validation_percent,
            "test": 100 - project.split_train_percent - project.split_validation_percent,
            "key": hashlib.sha256(project.split_salt.bytes).hexdigest()[:16],
        },
    }
    version.manifest = {
        "schema": SCHEMA,
        "root_hash": root,
        "supersedes": version.supersedes.root_hash if version.supersedes else None,
        "recipe": version.recipe,
        "counts": _counts(version, selection),
        "lineage": _lineage(version),
    }
    VersionDrop.objects.bulk_create([
        VersionDrop(version=version, step=number, cause=step.cause[:200], dropped=step.dropped, left=step.left)
        for number, step in enumerate(selection.steps)
    ])  # fmt: skip


def _of_group(group: RaterGroup) -> dict[str, Any]:
    """What a manifest says of the group whose labels it holds; nobody is named."""
    return {
        "group": {
            "name": group.name,
            "analysis": group.analysis.number,
            "method": group.analysis.result["method"],
            "version": group.analysis.version,
            "of": group.analysis.result["count"],
            "people": group.people,
            "share": round(group.share, 6),
        }
    }


def _counts(version: DatasetVersion, selection: Selection) -> dict[str, Any]:
    keeps, population = selection.keeps, selection.population
    split, origins = population.split[keeps], Counter(population.candidates.origin[keeps].tolist())
    return {
        "rows_in": version.rows_in,
        "rows_out": version.rows_out,
        "drops": [
            {"cause": step.cause, "dropped": step.dropped, "left": step.left} for step in selection.steps
        ],
        "splits": {
            name: {"rows": int(np.count_nonzero(split == index))} for index, name in enumerate(SPLITS)
        },
        "origins": dict(sorted(origins.items())),
        **_dependent(version),
    }


UNSEEN = """
UPDATE pipelines_datasetversion SET unseen = coalesce((
  SELECT range_agg(int8range(before, id, '()')) FROM (
    SELECT id, lag(id, 1, 0::bigint) OVER (ORDER BY id) AS before FROM annotation_annotation WHERE id <= %(until)s) known
  WHERE id > before + 1), '{}') WHERE id = %(version)s
"""


def _unseen_store(*, version_id: int, until: int) -> None:
    """Keep which ids up to `until` this snapshot does not see: what comes to light there later was not under the rows."""
    with connection.cursor() as cursor:
        cursor.execute(UNSEEN, {"version": version_id, "until": until})


def _dependent(version: DatasetVersion) -> dict[str, Any]:
    """Rows that rest on the same rankings or ratings as other rows, and how many rows they are worth by their weights."""
    count, sources, weight = dependent_of(version_id=version.pk)
    return {"dependent": {"rows": count, "sources": sources, "weight": round(weight, 6)}} if count else {}


def _lineage(version: DatasetVersion) -> dict[str, Any]:
    """What the rows rest on, as counts and hashes over what was said: no person, time or id is in it."""
    hashes = {"annotation": hashlib.sha256(), "prediction": hashlib.sha256()}
    counts = Counter[str]()
    for kind, said in evidence_of(version_id=version.pk):
        hashes[kind].update("\t".join(said).encode() + b"\n")
        counts[kind] += 1
    files, judges = sources_of(version_id=version.pk)
    return {
        **{f"{kind}s": {"count": counts[kind], "sha256": hashes[kind].hexdigest()} for kind in hashes},
        "files": files,
        "judges": judges,
    }
