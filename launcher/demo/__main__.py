"""python -m launcher.demo: the main job from model answers to a trained model, through commands and HTTP alone."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from launcher.demo.product import Browser, Product, environment_prepare, invite
from launcher.demo.stages import Clock, StageFailed, say
from launcher.demo.world.annotators import cast
from launcher.errors import LauncherError
from launcher.home import ROOT, Home
from launcher.postgres import Postgres

if TYPE_CHECKING:
    from launcher.demo.findings import Run
    from launcher.demo.records import Labels
    from launcher.demo.world.evaluation import Measured, Ranking

OWNER = "owner@demo.example"
VERSION, TRAINING = "first", "long"
LEAST_CONFIDENCE, CHES_SHARE, BETA = 0.8, 0.95, 0.3
WORLD_THREADS = 2  # whatever the machine has, so that each trains the same models


@dataclass(frozen=True)
class Sizes:
    """How large a run is. `votes_each`: annotations that a comparison sent to people wants."""

    prompts: int = 320
    samples: int = 6
    pairs_per_prompt: int = 2
    votes_each: int = 3
    pilot_share: float = 0.10
    people_share: float = 0.70
    left_open: int = 12
    held_out: int = 240
    held_out_samples: int = 4


@dataclass
class Demo:
    """One run: its places, what it has made so far, and the product that it is a client of."""

    home: Home
    seed: int
    sizes: Sizes
    clock: Clock
    product: Product
    slug: str
    base: Path = Path()
    judge: Path = Path()
    rows: Path = Path()

    @property
    def cache(self) -> Path:
        return self.home.path / "cache"

    def command(self, name: str, *words: str) -> dict[str, Any]:
        return self.product.command(name, *words, "--project", self.slug)

    def together(self, *commands: tuple[str, ...]) -> None:
        self.product.together(*((*words, "--project", self.slug) for words in commands))


def main() -> int:
    """Run the demo; 0 when everything that it promises held."""
    words = argparse.ArgumentParser(prog="python -m launcher.demo", description=__doc__)
    words.add_argument("--seed", type=int, default=1, help="of models, samples and votes (default: 1)")
    options = words.parse_args()
    os.environ.setdefault("WINNOW_HOME", str(ROOT / "var" / "demo"))
    home = Home.from_environment()
    home.prepare()
    environment_prepare(home)
    demo = Demo(home, options.seed, Sizes(), Clock(), Product(home), _slug_free(home))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return _run(demo)
    except (StageFailed, LauncherError, OSError) as error:
        say(f'the stage "{demo.clock.now}" failed: {error}')
        return 1
    except BaseException:
        say(f'the stage "{demo.clock.now}" was cut short')
        raise


def _slug_free(home: Home) -> str:
    """A project of its own for every run: what was made and voted before is kept."""
    note = home.path / "demo-runs"
    number = 1 + (int(note.read_text()) if note.exists() else 0)
    note.write_text(f"{number}\n")
    return "demo" if number == 1 else f"demo-{number}"


def _run(demo: Demo) -> int:
    with _product_running(demo):
        run = _job(demo)
    # Only now, and torch with them: the product starts meanwhile.
    from launcher.demo.findings import report_build
    from launcher.demo.report import report_html, report_text

    report = report_build(run)
    written = demo.home.path / "reports" / demo.slug / "main-job.html"
    written.parent.mkdir(parents=True, exist_ok=True)
    written.write_text(report_html(report))
    print(report_text(report))
    broken = [check.name for check in report.checks if not check.passed]
    if broken:
        say(f'the stage "check" failed: not kept: {"; ".join(broken)}')
    print(f"The report: {written}")
    print(f"Open the same, live: make up WINNOW_HOME={_shown(demo.home.path)}")
    return 1 if broken else 0


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


@contextmanager
def _product_running(demo: Demo) -> Iterator[None]:
    """The product, started while the world is made, and stopped at the end whatever happened."""
    demo.product.start()
    try:
        with demo.clock.stage("make the world"):
            _world_make(demo)
        with demo.clock.stage("start the product"):
            demo.product.wait()
            demo.clock.others = demo.product.pids()
        yield
    except BaseException:
        demo.product.stop()
        raise
    with demo.clock.stage("stop the product"):
        demo.product.stop()


def _job(demo: Demo) -> Run:
    """The main job, stage by stage."""
    from launcher.demo.findings import Run
    from launcher.demo.records import AGREEMENT, ASSIGNED_TO_NOBODY, BEFORE_CHES, CURVES, DROPS, TRACE
    from launcher.demo.voting import votes_cast

    clock, slug, sizes = demo.clock, demo.slug, demo.sizes
    with clock.stage("create project, models and people"):
        base, judge = _model_name("world-base", demo.base), _model_name("world-judge", demo.judge)
        demo.product.together(
            ("create_project", slug, "--template", "pairwise", "--title", "The small world",
             "--wanted", str(sizes.votes_each), "--salt", f"00000000-0000-4000-8000-{demo.seed:012d}"),
            ("register_model", base, "--path", str(demo.base)),
            ("register_model", judge, "--path", str(demo.judge)),
        )  # fmt: skip
        seats = _seats(demo)
    with clock.stage("import"):
        imported = demo.command(
            "import_comparisons", str(demo.rows), "--pairs-per-prompt", str(sizes.pairs_per_prompt)
        )
        say(f"{imported['counts']}")
    with clock.stage("judge"):
        demo.command("judge", "--model", judge)
    with clock.stage("pilot"):
        demo.command("route", "--pilot", str(sizes.pilot_share), "--seed", str(demo.seed))
        votes = votes_cast(seats, slug, demo.seed)
        say(f"{votes} votes")
    with clock.stage("route"):
        comparisons = imported["counts"]["comparisons"]
        budget = round(sizes.people_share * comparisons) * sizes.votes_each
        routing = demo.command("route", "--budget", str(budget))
    with clock.stage("annotate"):
        places = routing["counts"]["person"] * sizes.votes_each
        votes += votes_cast(seats, slug, demo.seed, limit=places - votes - sizes.left_open)
        say(f"{votes} votes in all, {places - votes} places are left for you")
    with clock.stage("score and aggregate"):
        demo.together(("score", "--method", "ches", "--model", base), ("aggregate", "--method", "majority"))
        majority = _labels(demo)
        demo.command("aggregate", "--method", "dawid_skene")
        weighted = _labels(demo)
    with clock.stage("freeze and export"):
        demo.command("freeze_version", "--name", VERSION, *_filters(base))
        folder = demo.home.path / "exports" / f"{slug}-{VERSION}"
        exported = demo.command("export_version", VERSION, "--format", "trl-preference", "--out", str(folder))
    with clock.stage("train"):
        base_measured: Future[Measured] = Future()
        # Training leaves a core to it. A daemon, so that a demo that is stopped does not wait for it.
        Thread(target=_fulfil, args=(base_measured, demo, demo.base), daemon=True).start()
        demo.command(
            "train", "--version", VERSION, "--model", base, "--name", TRAINING, "--beta", str(BETA),
            "--learning-rate", "2e-4", "--epochs", "3", "--batch-size", "16", "--seed", str(demo.seed),
        )  # fmt: skip
    with clock.stage("check"), _records(demo) as records:
        routed = records.rows(ASSIGNED_TO_NOBODY)[0]
        found = {
            "reliability": _reliability(demo),
            "agreement": records.rows(AGREEMENT)[0][0],
            "routed_to_model": routed[0],
            "assigned_of_those": routed[1],
            "drops": [(str(cause), *counts) for cause, *counts in records.rows(DROPS, version=VERSION)],
            "before_ches": records.rows(BEFORE_CHES, version=VERSION, least=LEAST_CONFIDENCE),
            "traced": records.rows(TRACE, version=VERSION),
            "curves": [(step, values) for step, values in records.rows(CURVES, run=TRAINING)],
        }
        checkpoint = _checkpoint(demo)
    demo.product.ask_to_stop()
    with clock.stage("evaluate"):
        before, after, ranking = base_measured.result(), _measure(demo, checkpoint), _rank(demo, checkpoint)
    return Run(
        slug=slug,
        version=VERSION,
        beta=BETA,
        majority=majority,
        weighted=weighted,
        routing=routing,
        exported=exported["counts"]["rows"],
        before=before,
        after=after,
        ranking=ranking,
        left_open=places - votes,
        stages=clock.stages,
        **found,
    )


def _world_make(demo: Demo) -> None:
    """Train or take the base model and the judge, and sample the answers to be compared."""
    from random import Random

    import torch

    from launcher.demo.world.cache import base_folder, judge_folder, model_load
    from launcher.demo.world.grammar import DEMO, prompts_distinct
    from launcher.demo.world.sampling import samples_draw

    torch.set_num_threads(WORLD_THREADS)
    demo.base = base_folder(demo.cache, demo.seed)
    demo.judge = judge_folder(demo.cache, demo.seed)
    torch.set_num_threads(1)  # the product starts beside it
    prompts = prompts_distinct(Random(demo.seed), DEMO, demo.sizes.prompts)
    samples = samples_draw(model_load(demo.base), prompts, demo.sizes.samples, 0.8, demo.seed)
    completions: dict[str, list[dict[str, Any]]] = {prompt: [] for prompt in prompts}
    for sample in samples:
        if sample.finished and all(sample.text != other["text"] for other in completions[sample.prompt]):
            completions[sample.prompt].append(
                {
                    "text": sample.text,
                    "model": _model_name("world-base", demo.base),
                    "sampling": {"temperature": 0.8},
                }
            )
    demo.rows = demo.home.path / "imports" / f"{demo.slug}.jsonl"
    demo.rows.parent.mkdir(exist_ok=True)
    rows = (
        {"prompt": prompt, "completions": texts} for prompt, texts in completions.items() if len(texts) > 1
    )
    demo.rows.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _model_name(kind: str, folder: Path) -> str:
    """A name that says which recipe made it, so that another recipe is another model."""
    return f"{kind}-{folder.name.rpartition('-')[2][:8]}"


def _seats(demo: Demo) -> list[Any]:
    """Invite the owner by command, the annotators on the owner's people page; everybody signs in over HTTP."""
    from launcher.demo.voting import Seat

    password = _password(demo.home)
    owner = Browser(demo.product.address)
    link = demo.product.command("invite", OWNER, "--role", "project_admin", "--project", demo.slug)["link"]
    _come_in(owner, OWNER, link or "", password)
    seats = []
    for annotator in cast():
        email, browser = f"{annotator.name}@demo.example", Browser(demo.product.address)
        _come_in(browser, email, invite(owner, demo.slug, email, "annotator"), password)
        seats.append(Seat(annotator, browser))
    return seats


def _come_in(browser: Browser, email: str, link: str, password: str) -> None:
    if link:
        browser.welcome(link, password)
    else:
        browser.sign_in(email, password)


def _password(home: Home) -> str:
    """One password for all simulated people, random and kept like the other secrets."""
    path = home.secrets / "demo_password"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text()


def _filters(base: str) -> list[str]:
    """What training does without: labels that the judge is unsure of, and the pairs that CHES finds riskiest."""
    rules = (f"judge_confidence >= {LEAST_CONFIDENCE} in all", f"ches_ln_share:{base} <= {CHES_SHARE}")
    return [word for rule in rules for word in ("--filter", rule)]


def _records(demo: Demo) -> Any:
    from launcher.demo.records import Records

    return Records(os.environ.get("DATABASE_URL") or Postgres(demo.home).url(), demo.slug)


def _labels(demo: Demo) -> Labels:
    with _records(demo) as records:
        labels: Labels = records.labels()
        return labels


def _reliability(demo: Demo) -> list[Any]:
    from launcher.demo.findings import Reliability
    from launcher.demo.records import RELIABILITY

    habits = {f"{annotator.name}@demo.example": annotator for annotator in cast()}
    with _records(demo) as records:
        rows = records.rows(RELIABILITY)
    return [
        Reliability(habits[row[0]].name, habits[row[0]].habit, *row[1:]) for row in rows if row[0] in habits
    ]


def _fulfil(promise: Future[Measured], demo: Demo, folder: Path) -> None:
    try:
        promise.set_result(_measure(demo, folder))
    except BaseException as error:  # noqa: BLE001 - whoever asks for the result raises it
        promise.set_exception(error)


def _measure(demo: Demo, folder: Path) -> Measured:
    """Measure a model on prompts that nobody trained or voted on."""
    from launcher.demo.world.cache import model_load
    from launcher.demo.world.evaluation import held_out_prompts, model_measure

    prompts = held_out_prompts(demo.sizes.held_out, demo.seed)
    return model_measure(model_load(folder), prompts, demo.sizes.held_out_samples, seed=demo.seed)


def _rank(demo: Demo, checkpoint: Path) -> Ranking:
    """How the base and the checkpoint rank held-out pairs whose truth is known."""
    from launcher.demo.world.cache import model_load
    from launcher.demo.world.evaluation import held_out_prompts, pairs_known, ranking_measure

    before, after = model_load(demo.base), model_load(checkpoint)
    prompts = held_out_prompts(demo.sizes.held_out, demo.seed)
    return ranking_measure(before, after, pairs_known(before, prompts, demo.seed + 1))


def _checkpoint(demo: Demo) -> Path:
    """The folder of the model that the run left, below the home's models."""
    from launcher.demo.records import CHECKPOINT

    with _records(demo) as records:
        rows = records.rows(CHECKPOINT, run=TRAINING)
    if not rows:
        raise StageFailed("The training run left no checkpoint.")
    return demo.home.path / "models" / str(rows[0][0])


if __name__ == "__main__":
    sys.exit(main())
