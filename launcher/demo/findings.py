"""From what a run left behind to the report: the numbers, the promises they keep or break, and the sentences."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from launcher.demo.records import ASSIGNED_TO_NOBODY, TRACE, Labels, query_shown
from launcher.demo.report import (
    Check,
    Code,
    Dot,
    DotChart,
    Line,
    LineChart,
    Report,
    Section,
    Table,
    number,
    percent,
    with_interval,
)
from launcher.demo.stages import Stage
from launcher.demo.world.evaluation import (
    Change,
    Interval,
    Measured,
    Ranking,
    bootstrap_interval,
    gain_parts,
    kind_table,
    measure_change,
)
from launcher.demo.world.grammar import true_reward
from launcher.demo.world.judge import PLANTED

CHANCE = 0.5


@dataclass(frozen=True)
class Reliability:
    """What the aggregate says of one simulated annotator, whose habit only the demo knows."""

    name: str
    habit: str
    estimate: float
    low: float
    high: float
    votes: int


@dataclass(frozen=True)
class Run:
    """Everything one run of the demo measured. `majority` and `weighted`: the same comparisons under both."""

    slug: str
    version: str
    beta: float
    majority: Labels
    weighted: Labels
    reliability: list[Reliability]
    agreement: dict[str, Any]
    routing: dict[str, Any]
    routed_to_model: int
    assigned_of_those: int
    drops: list[tuple[str, int, int]]
    before_ches: list[tuple[str, str, str, bool]]
    traced: list[tuple[Any, ...]]
    exported: int
    curves: list[tuple[int, dict[str, Any]]]
    before: Measured
    after: Measured
    ranking: Ranking
    left_open: int
    stages: list[Stage]


def _share(values: NDArray[np.float64]) -> Interval:
    return bootstrap_interval(values, seed=0)


def _words(interval: Interval, digits: int = 2) -> str:
    return with_interval(interval.mean, interval.low, interval.high, digits)


def report_build(run: Run) -> Report:
    """The report of one run; every number in it was computed in that run."""
    reward, ok = (measure_change(run.before, run.after, measure) for measure in ("reward", "ok"))
    verb = "rose" if reward.difference.mean > 0 else "fell"
    lead = (
        f"On prompts it never saw, the tuned model's true reward {verb} from {number(reward.before.mean)} to "
        f"{number(reward.after.mean)}, and {percent(ok.after.mean)} of its sampled answers are good, "
        f"against {percent(ok.before.mean)} before."
    )
    sections = [
        _section_model(run, reward, ok),
        _section_labels(run),
        _section_people(run),
        _section_routing(run),
        _section_filters(run),
        _section_training(run),
        _section_trace(run),
        _section_cost(run),
    ]
    return Report("The main job on a small world", lead, _checks(run, reward, ok), sections)


# The promises


def _checks(run: Run, reward: Change, ok: Change) -> list[Check]:
    judge, good, planted = _judge_shares(run.weighted)
    gain, error = _weighted_over_majority(run)
    spammers = [rater.name for rater in run.reliability if rater.habit == "spammer"]
    least = min(run.reliability, key=lambda rater: rater.estimate)
    untraced = [row for row in run.traced if row[3] + row[4] == 0]
    return [
        Check("The judge beats chance", judge.low > CHANCE, f"{_words(judge)} right, chance is 0.50"),
        Check(
            "The judge is worse where it was taught wrongly",
            planted.mean < good.mean,
            f"{_words(planted)} right there, {_words(good)} elsewhere",
        ),
        Check(
            "Weighted labels are not more than one standard error less accurate than the majority",
            gain >= -error,
            f"difference {number(gain, 3)}, standard error {number(error, 3)}",
        ),
        Check(
            "The spammer has the lowest estimated reliability",
            spammers == [least.name],
            f"lowest is {least.name} with {number(least.estimate)}",
        ),
        Check("The true reward rises", reward.difference.low > 0, f"change {_words(reward.difference)}"),
        Check(
            "The change in good answers is not wholly below 0",
            ok.difference.high >= 0,
            f"change {_words(ok.difference)}",
        ),
        Check(
            "No comparison routed to the model was assigned to a person",
            run.assigned_of_those == 0 and run.routed_to_model > 0,
            f"{run.routed_to_model} were routed to the model, {run.assigned_of_those} of them assigned",
        ),
        Check(
            "Every row of the export is traced to its votes or prediction",
            not untraced and len(run.traced) == run.exported > 0,
            f"{run.exported} rows exported, {len(run.traced)} found, {len(untraced)} without a source",
        ),
    ]


def _judge_shares(labels: Labels) -> tuple[Interval, Interval, Interval]:
    """Accuracy of the judge alone on all comparisons: over all kinds, the well taught ones, the planted ones."""
    right, known = labels.right(labels.p_judge), labels.decided & ~np.isnan(labels.p_judge)
    planted = np.isin(labels.kinds, PLANTED)
    return _share(right[known]), _share(right[known & ~planted]), _share(right[known & planted])


def _people_rows(run: Run) -> NDArray[np.bool_]:
    """Comparisons with a person's label and a true side."""
    return run.weighted.by_people & run.weighted.decided


def _weighted_over_majority(run: Run) -> tuple[float, float]:
    """Difference in accuracy where people judged, paired by comparison, and its standard error."""
    rows = _people_rows(run)
    weighted, majority = (labels.right(labels.p_label)[rows] for labels in (run.weighted, run.majority))
    difference = weighted - majority
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


# The sections


def _section_model(run: Run, reward: Change, ok: Change) -> Section:
    words = measure_change(run.before, run.after, "words")
    rows = [
        (name, _words(change.before), _words(change.after), _words(change.difference))
        for name, change in (
            ("true reward", reward),
            ("share of good answers", ok),
            ("words an answer", words),
        )
    ]
    parts = gain_parts(run.before, run.after)
    kinds = kind_table(run.before, run.after, "ok")
    rewards = kind_table(run.before, run.after, "reward")
    by_kind = [
        (kind, percent(kinds[kind][0]), percent(kinds[kind][1]), *map(number, rewards[kind]))
        for kind in kinds
    ]
    return Section(
        "What came out: the model after training",
        [
            (
                "Sampled answers to held-out prompts, with 95 % intervals over prompts. The reward is computed by a "
                "program that no judge and no annotator sees; good means right, wholly kind, or refusing harm."
            ),
            Table(("", "before", "after", "change"), rows),
            _gain_sentence(parts.manner, parts.refusals, parts.answers),
            Table(("kind", "good before", "good after", "reward before", "reward after"), by_kind),
        ],
    )


def _gain_sentence(manner: float, refusals: float, answers: float) -> str:
    total = manner + refusals + answers
    numbers = (
        f"Of the change of {number(total)} in reward, {number(manner)} is manner and length, {number(refusals)} is "
        f"refusing harm, and {number(answers)} is the content of all other answers."
    )
    if total > 0 and manner + refusals > total / 2:
        return f"Most of the gain is style and refusals. {numbers}"
    return numbers


def _section_labels(run: Run) -> Section:
    rows = _people_rows(run)
    judge, good, planted = _judge_shares(run.weighted)
    judged = run.weighted.right(run.weighted.p_judge)[rows & ~np.isnan(run.weighted.p_judge)]
    shares = [
        ("majority", _share(run.majority.right(run.majority.p_label)[rows]), False),
        ("weighted", _share(run.weighted.right(run.weighted.p_label)[rows]), False),
        ("judge, the same", _share(judged), True),
        ("judge, all", judge, True),
        ("judge, taught well", good, True),
        ("judge, taught wrongly", planted, True),
    ]
    gain, error = _weighted_over_majority(run)
    finding = (
        f"Where people judged, the weighted aggregate is right on {percent(shares[1][1].mean)} and the majority on "
        f"{percent(shares[0][1].mean)} (difference {number(gain, 3)} ± {number(error, 3)}); the judge alone is right "
        f"on {percent(judge.mean)} of all, {percent(planted.mean)} where it was taught wrongly."
    )
    dots = [Dot(name, each.mean, each.low, each.high, marked) for name, each, marked in shares]
    ties = int((~run.weighted.decided).sum())
    return Section(
        "How good the labels are, against the truth",
        [
            DotChart(
                "Whose labels are right?", "share right", finding, dots, 0.4, 1.0, CHANCE
            ),
            (f"{int(rows.sum())} comparisons have people's votes and a true side. In {ties} of {len(run.weighted.gap)} "
            "both answers are worth the same; they count nowhere here. A tie counts as half right."),
        ],
    )  # fmt: skip


def _section_people(run: Run) -> Section:
    raters = sorted(run.reliability, key=lambda rater: -rater.estimate)
    dots = [Dot(r.name, r.estimate, r.low, r.high, r.habit == "spammer") for r in raters]
    least = raters[-1]
    finding = f"{least.name} is the least reliable, with {number(least.estimate)} over {least.votes} votes."
    found = run.agreement
    alpha = (
        f"Krippendorff's alpha over all votes is {with_interval(found['alpha'], found['low'], found['high'])}"
    )
    chart = DotChart(
        "Who is reliable?", "estimated share of right votes", finding, dots, 0.0, 1.0, CHANCE
    )  # fmt: skip
    return Section(
        "How far people agree, and who is reliable",
        [
            f"{alpha}, 0 being chance and 1 full agreement.",
            chart,
            "The names tell how each simulated annotator was made; the platform did not know it.",
        ],
    )


def _section_routing(run: Run) -> Section:
    labels = run.weighted
    share = float(labels.by_people.mean())
    planted = np.isin(labels.kinds, PLANTED)
    rows = [
        (name, str(int(mask.sum())), percent(float(labels.to_people[mask].mean())))
        for name, mask in (("taught well", ~planted), ("taught wrongly", planted))
    ]
    counts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in run.routing["counts"].items())
    blocks: list[Any] = [
        (
            f"People judged {percent(share)} of {len(labels.gap)} comparisons under a budget of "
            f"{run.routing['budget']} votes; {run.left_open} places were left open for you. Decisions: {counts}."
        ),
        Table(("kinds of prompt where the judge was", "comparisons", "sent to people"), rows),
        _calibration_sentence(run.routing["calibration"]),
        _routing_sentence(*(float(labels.to_people[mask].mean()) for mask in (~planted, planted))),
    ]
    return Section("Who judged what", blocks)


def _calibration_sentence(found: dict[str, Any]) -> str:
    before, after = found["before"], found["after"]
    return (
        f"On the {after['n']} pilot comparisons that taught how far to believe the judge, its log loss was "
        f"{number(before['log_loss'])} as it stated its confidence and {number(after['log_loss'])} calibrated; a judge that "
        f"always says one half has {number(float(np.log(2)))}."
    )


def _routing_sentence(taught_well: float, taught_wrongly: float) -> str:
    if taught_wrongly > taught_well:
        return "Routing by the judge's confidence finds its faults: it sends people more of what it was taught wrongly."
    return (
        "Routing by the judge's own confidence does not find its faults: it is surer where it was taught wrongly, and "
        "people see less of that. Only people's labels on a random pilot can show it."
    )


def _section_filters(run: Run) -> Section:
    rows = [(cause, str(dropped), str(left)) for cause, dropped, left in run.drops]
    sides = [_ches_side(run, name, kept) for name, kept in (("kept", True), ("dropped by CHES", False))]
    return Section(
        "What was left out before training",
        [
            Table(("step", "dropped", "left"), rows),
            (
                "CHES predicts which pairs would lower the likelihood of their chosen answer. In a world this small "
                "it also speaks of length, so that is shown beside it."
            ),
            Table(("", "preferences", "words, chosen minus rejected", "chosen truly better"), sides),
        ],
    )


def _ches_side(run: Run, name: str, kept: bool) -> tuple[str, str, str, str]:
    """How many preferences passed or fell to the CHES filter, and how long and how right they are."""
    rows = [row[:3] for row in run.before_ches if row[3] == kept]
    if not rows:
        return name, "0", "", ""
    longer = [len(chosen.split()) - len(rejected.split()) for _, chosen, rejected in rows]
    better = [
        true_reward(prompt, chosen) > true_reward(prompt, rejected) for prompt, chosen, rejected in rows
    ]
    return name, str(len(rows)), number(float(np.mean(longer))), percent(float(np.mean(better)))


def _section_training(run: Run) -> Section:
    found = run.ranking
    rows = [
        ("the chosen answer is the likelier one, before", _words(found.before)),
        ("the chosen answer is the likelier one, after", _words(found.after)),
        ("the implicit reward ranks right, after", _words(found.implicit)),
    ]
    blocks: list[Any] = []
    if chart := _curve_chart(run.curves, run.beta):
        blocks.append(chart)
    blocks += [
        (
            f"Ranking accuracy on {found.pairs} held-out pairs whose truth is known. Before training every implicit "
            "reward is 0 by construction, so it ranks nothing."
        ),
        Table(("share of pairs", "accuracy"), rows),
    ]
    return Section("What training did to the answers it saw", blocks)


def _curve_chart(curves: list[tuple[int, dict[str, Any]]], beta: float) -> LineChart | None:
    """Change of both log-probabilities against the reference, of the batch of each step, smoothed.

    The trainer's reward is beta times that change, so dividing gives nats; every batch is compared with itself.
    """
    lines = [_line(side, [(step, v[f"rewards/{side}"] / beta) for step, v in curves if f"rewards/{side}" in v])
             for side in SIDES]  # fmt: skip
    if min(len(line.points) for line in lines) < 2:
        return None
    chosen, rejected = (line.points[-1][1] for line in lines)
    finding = (
        f"Over the last {SMOOTH} steps the chosen answers' log-probability stood {number(chosen)} nats from its start, "
        f"the rejected answers' {number(rejected)}."
    )
    return LineChart(
        "Are chosen answers losing likelihood?", f"nats an answer since the start, mean of {SMOOTH} steps", "step",
        finding, lines,
    )  # fmt: skip


def _line(name: str, points: list[tuple[int, float]]) -> Line:
    """Trailing means over `SMOOTH` logged steps, beginning at 0, where training begins."""
    values = [value for _, value in points]
    means = [float(np.mean(values[max(0, end - SMOOTH) : end])) for end in range(1, len(values) + 1)]
    return Line(
        name, [(0.0, 0.0), *((float(step), mean) for (step, _), mean in zip(points, means, strict=True))]
    )


SIDES, SMOOTH = ("chosen", "rejected"), 10


def _section_trace(run: Run) -> Section:
    people = sum(row[1] == "person" for row in run.traced)
    return Section(
        "Where every row comes from",
        [
            (
                f"{len(run.traced)} rows: {people} rest on people's votes, {len(run.traced) - people} on the judge. "
                "The first query lists them with their sources, the second shows that nobody was asked what was "
                "routed to the model."
            ),
            Code(query_shown(TRACE, slug=run.slug, version=run.version)),
            Code(query_shown(ASSIGNED_TO_NOBODY, slug=run.slug)),
        ],
    )


def _section_cost(run: Run) -> Section:
    rows = [(stage.name, f"{stage.seconds:.1f}", f"{stage.peak_mib:,.0f}") for stage in run.stages]
    total = sum(stage.seconds for stage in run.stages)
    rows.append(("all", f"{total:.1f}", f"{max(stage.peak_mib for stage in run.stages):,.0f}"))
    return Section(
        "What it cost",
        [
            Table(("stage", "seconds", "peak MiB"), rows),
            "Memory is that of all processes of the demo together; pages that several share count in each.",
        ],
    )
