"""The report as one self-contained page: what was chosen and why, drawn, with the numbers behind every drawing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.labels.votefile.answers import Answer, drawn_label
from pipelines.labels.votefile.ballot import Ballot
from pipelines.labels.votefile.choosing import Choice
from pipelines.labels.votes import FloatArray

WIDTH, LEFT, RIGHT, ROW = 760.0, 210.0, 60.0, 22.0
SHOWN_RATERS, SHOWN_ITEMS, SHOWN_POINTS = 60, 40, 2_000
FORMULA = ("=", "+", "-", "@")
STYLE = Path(__file__).with_name("page.css")


@dataclass(frozen=True)
class Table:
    """What stands behind a drawing: a head and rows of texts and numbers."""

    head: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def page_html(report: dict[str, Any], choice: Choice, answer: Answer, ballot: Ballot) -> str:
    """The whole page."""
    parts = [_intro(report), _methods(choice), _gold(report), _raters(answer, ballot), _certainty(answer)]
    parts += [
        _completions(report),
        _model(report),
        _split_reasons(answer, ballot),
        _open_items(answer, ballot),
    ]
    parts.append(_agreement(report))
    name = escape(report["file"])
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Labels of {name}</title><style>{STYLE.read_text()}</style></head><body><main>"
        f"{''.join(parts)}</main></body></html>\n"
    )


def _intro(report: dict[str, Any]) -> str:
    counts = f"{report['votes']} votes on {report['items']} items by {report['raters']} raters"
    notes = "".join(f"<p>{escape(note)}</p>" for note in report["notes"])
    return (
        f"<h1>Labels of {escape(report['file'])}</h1><p>{counts}. Method: <strong>{escape(report['method'])}"
        f"{escape(' (' + report['variant'] + ')') if report['variant'] else ''}</strong>. {escape(report['why'])}</p>{notes}"
    )


def _methods(choice: Choice) -> str:
    tried = [trial for trial in choice.trials if trial.losses]
    if not tried:
        return ""
    tried.sort(key=lambda trial: trial.log_loss)
    table = Table(
        ("method", "log-loss", "splits", "seconds a fit"),
        [(t.name, t.log_loss, len(t.losses), t.seconds / len(t.losses)) for t in tried],
    )
    drawing = bars_svg(
        [t.name for t in tried], [t.log_loss for t in tried], "Log-loss of held-out votes, lower is better"
    )
    refused = "".join(f"<p>{escape(t.name)}: {escape(t.refused)}</p>" for t in choice.trials if t.refused)
    return _section(
        "Which method tells held-out votes best", _figure("Log-loss in nats a vote", drawing, table), refused
    )


def _gold(report: dict[str, Any]) -> str:
    if "gold" not in report:
        return ""
    methods = report["gold"]["methods"]
    table = Table(
        ("method", "accuracy", "log-loss", "calibration error"),
        [(m["name"], m["accuracy"], m["log_loss"], m["calibration_error"]) for m in methods],
    )
    drawing = bars_svg(
        [m["name"] for m in methods], [m["accuracy"] for m in methods], "Accuracy against gold"
    )
    chosen = next(m for m in methods if m["chosen"])
    groups = Table(
        ("confidence", "accuracy", "items"),
        [(g["confidence"], g["accuracy"], g["items"]) for g in chosen["groups"]],
    )
    points = np.array([[g["confidence"], g["accuracy"]] for g in chosen["groups"]])
    calibration = scatter_svg(points, "confidence", "accuracy", (0.0, 1.0), (0.0, 1.0), diagonal=True)
    return _section(
        f"Against gold on {report['gold']['items']} items",
        _figure("Accuracy by method", drawing, table),
        _figure(
            f"Confidence and accuracy of {chosen['name']}; on the line they are equal", calibration, groups
        ),
    )


def _raters(answer: Answer, ballot: Ballot) -> str:
    votes, reliability = answer.raters["votes"], answer.raters["reliability"]
    order = [rater for rater in np.argsort(-votes, kind="stable") if np.isfinite(reliability[rater])][
        :SHOWN_RATERS
    ]
    if not order:
        return ""
    order.sort(key=lambda rater: -reliability[rater])
    names = [str(ballot.raters[rater]) for rater in order]
    low, high = (answer.raters.get(key, np.full(votes.size, np.nan))[order] for key in ("low", "high"))
    drawing = intervals_svg(names, reliability[order], low, high, (0.0, 1.0))
    head = ["rater", "votes", "reliability", "low", "high"]
    columns = [names, votes[order].tolist(), reliability[order].tolist(), low.tolist(), high.tolist()]
    if "spam_odds" in answer.raters:
        head.append("spam odds")
        columns.append(answer.raters["spam_odds"][order].tolist())
    rows = list(zip(*columns, strict=True))
    title = "Reliability with 95 % interval"
    if len(order) < np.count_nonzero(votes):
        title += f", the {len(order)} raters with most votes of {np.count_nonzero(votes)}"
    figures = [_figure(title, drawing, Table(tuple(head), rows))]
    if "side_bias" in answer.raters:
        figures.append(_side_bias(answer, ballot, order))
    return _section("Raters", *figures)


def _side_bias(answer: Answer, ballot: Ballot, order: list[int]) -> str:
    order = [rater for rater in order if np.isfinite(answer.raters["side_bias"][rater])]
    order.sort(key=lambda rater: -answer.raters["side_bias"][rater])
    names = [str(ballot.raters[rater]) for rater in order]
    bias, low, high = (answer.raters[key][order] for key in ("side_bias", "side_bias_low", "side_bias_high"))
    drawing = intervals_svg(names, bias, low, high, (-0.5, 0.5))
    rows = list(zip(names, bias.tolist(), low.tolist(), high.tolist(), strict=True))
    return _figure(
        "Pull to the side shown first (0 is none, 0.5 always)",
        drawing,
        Table(("rater", "bias", "low", "high"), rows),
    )


def _certainty(answer: Answer) -> str:
    confidence = answer.scores.max(axis=1)
    counts, edges = np.histogram(confidence, bins=20, range=(0.0, 1.0))
    names = [f"{low:.2f} to {high:.2f}" for low, high in zip(edges[:-1], edges[1:], strict=True)]
    drawing = bars_svg(names, counts.tolist(), "Items by probability of their label", digits=0)
    rows = list(zip(names, counts.tolist(), strict=True))
    return _section(
        "How sure the labels are",
        _figure("Items by the probability of their label", drawing, Table(("probability", "items"), rows)),
    )


def _completions(report: dict[str, Any]) -> str:
    """Values of completions or systems that recur, best first, with what the model knows of their errors."""
    facts = report["model"]
    if "completion_values" not in facts:
        return ""
    names = sorted(facts["completion_values"], key=lambda name: -facts["completion_values"][name])
    values = np.array([facts["completion_values"][name] for name in names])
    errors = np.array([facts.get("completion_errors", {}).get(name, np.nan) for name in names])
    shown = slice(0, SHOWN_RATERS)
    low, high = values - 1.96 * errors, values + 1.96 * errors
    ends = np.concatenate([values[shown], low[shown], high[shown]])
    limit = max(1.05 * float(np.nanmax(np.abs(ends))), 1e-9)
    drawing = intervals_svg(
        names[shown], values[shown], low[shown], high[shown], (-limit, limit), "completions, best first"
    )
    parts = [facts["completion_components"][name] for name in names]
    rows = list(zip(names, values.tolist(), errors.tolist(), parts, strict=True))
    title = "Value of each completion or system"
    if len(names) > SHOWN_RATERS:
        title += f", the {SHOWN_RATERS} best of {len(names)}"
    if np.isfinite(errors).any():
        title += ", with 95 % interval"
    table = Table(("completion", "value", "standard error", "part"), rows[shown])
    return _section(
        "Completions that recur", _figure(title, drawing, table, Table(table.head, rows)),
        "<p>Values compare only within one part.</p>" if facts["components_of_completions"] > 1 else "",
    )  # fmt: skip


def _model(report: dict[str, Any]) -> str:
    """The graded model's cuts and what else it estimated of everybody."""
    facts = report["model"]
    if "cuts" not in facts:
        return ""
    rows: list[tuple[Any, ...]] = [(f"cut {place}", cut) for place, cut in enumerate(facts["cuts"], 1)]
    rows += [
        (words, facts[key])
        for key, words in (
            ("lapse", "share of votes at random"),
            ("contested_share", "share of contested comparisons"),
            ("reference_discrimination", "discrimination of the reference rater"),
            ("mean_difference", "mean difference"),
        )
        if facts.get(key) is not None
    ]
    text = "A vote is one step stronger where the difference, times the rater's discrimination, passes the next cut."
    return _section(
        "The graded model", f"<p>{text}</p>", _data(Table(("number", "estimate"), rows), "graded model")
    )


def _split_reasons(answer: Answer, ballot: Ballot) -> str:
    if "ambiguity" not in answer.items:
        return ""
    points = np.stack([answer.items["ambiguity"], answer.items["ignorance"]], axis=1)
    step = max(1, points.shape[0] // SHOWN_POINTS)
    some = points[::step]
    drawing = scatter_svg(some, "ambiguity (votes cannot remove)", "ignorance (votes can remove)", None, None)
    rows = [("mean", *points.mean(axis=0).tolist()), ("median", *np.median(points, axis=0).tolist())]
    names = [str(item) for item in ballot.items[::step]]
    drawn = Table(("item", "ambiguity", "ignorance"), list(zip(names, *some.T.tolist(), strict=True)))
    title = "Entropy in nats, one point a comparison"
    if step > 1:
        title += f", {len(names)} of {points.shape[0]} drawn"
    return _section(
        "Close comparisons or too few good votes",
        _figure(title, drawing, Table(("", "ambiguity", "ignorance"), rows), drawn),
    )


def _open_items(answer: Answer, ballot: Ballot) -> str:
    scores = answer.scores
    best, drawn = drawn_label(scores)
    order = np.argsort(scores.max(axis=1), kind="stable")[:SHOWN_ITEMS]
    names = ["first", "second", "tie"] if ballot.graded is not None else [str(c) for c in ballot.categories]
    votes = ballot.votes.item_counts()
    rows = [
        (str(ballot.items[i]), "draw" if drawn[i] else names[best[i]], float(scores[i].max()), int(votes[i]))
        for i in order
    ]
    head = ("item", "label", "probability", "votes")
    return _section("The least certain items", _data(Table(head, rows), "least certain items"))


def _agreement(report: dict[str, Any]) -> str:
    rows = [
        (m["level"], m["alpha"], m["low"], m["high"], (m["reason"] or "").replace("_", " "))
        for m in report["agreement"]["alpha"]
    ]
    percent, own = report["agreement"]["percent"], report["agreement"]["self"]
    text = (
        "No item has votes of two raters."
        if percent is None
        else f"{percent:.1%} of pairs of votes on one item are equal."
    )
    if own["pairs"]:
        text += f" {own['equal']:.1%} of {own['pairs']} pairs of votes by one rater on one item are equal."
    table = Table(("level", "alpha", "low", "high", "remark"), rows)
    return _section("Agreement (Krippendorff's alpha)", f"<p>{text}</p>", _data(table, "agreement"))


# Drawings


def bars_svg(names: Sequence[str], values: Sequence[float], finding: str, *, digits: int = 4) -> str:
    """Horizontal bars from 0."""
    top = max([*values, 1e-9])
    scale = (WIDTH - LEFT - RIGHT) / top
    parts = []
    for place, (name, value) in enumerate(zip(names, values, strict=True)):
        y = place * ROW
        parts.append(
            f'<text class="name" x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(_cut(name))}</text>'
            f'<rect class="bar" x="{LEFT}" y="{y + 5}" width="{max(value * scale, 0):.1f}" height="12" rx="2"/>'
            f'<text x="{LEFT + value * scale + 6:.1f}" y="{y + 15}">{value:.{digits}f}</text>'
        )
    return _svg(len(names) * ROW + 4, finding, parts)


def intervals_svg(
    names: Sequence[str],
    values: FloatArray,
    low: FloatArray,
    high: FloatArray,
    limits: tuple[float, float],
    what: str = "raters with intervals",
) -> str:
    """A dot with its interval in each row, and a line in the middle of the scale."""
    start, end = limits
    height = len(names) * ROW

    def x(value: float) -> float:
        return LEFT + (min(max(value, start), end) - start) / (end - start) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<line class="base" x1="{x((start + end) / 2)}" x2="{x((start + end) / 2)}" y1="0" y2="{height}"/>'
    ]
    for place, name in enumerate(names):
        y = place * ROW + 11
        parts.append(
            f'<text class="name" x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{escape(_cut(name))}</text>'
        )
        if np.isfinite(low[place]) and np.isfinite(high[place]):
            parts.append(
                f'<line class="span" x1="{x(low[place]):.1f}" x2="{x(high[place]):.1f}" y1="{y}" y2="{y}"/>'
            )
        parts.append(f'<circle class="mark" cx="{x(values[place]):.1f}" cy="{y}" r="4"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{y + 4}">{values[place]:.3f}</text>')
    for tick in np.linspace(start, end, 5):
        parts.append(f'<text x="{x(tick):.1f}" y="{height + 14}" text-anchor="middle">{tick:.3g}</text>')
    return _svg(height + 20, f"{len(names)} {what}", parts)


def scatter_svg(
    points: FloatArray, across: str, up: str, x_limits: tuple[float, float] | None,
    y_limits: tuple[float, float] | None, *, diagonal: bool = False,
) -> str:  # fmt: skip
    """Points on two axes."""
    height, bottom, left = 320.0, 36.0, 56.0
    (x0, x1), (y0, y1) = (
        limits or (0.0, max(float(values.max()), 1e-9))
        for limits, values in zip((x_limits, y_limits), points.T, strict=True)
    )

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            left + (x - x0) / (x1 - x0) * (WIDTH - left - 16),
            8 + (1 - (y - y0) / (y1 - y0)) * (height - bottom - 8),
        )

    parts = []
    for tick in np.linspace(0, 1, 5):
        x, y = place(x0 + tick * (x1 - x0), y0 + tick * (y1 - y0))
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - 16}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{y0 + tick * (y1 - y0):.2g}</text>'
        )
        parts.append(
            f'<text x="{x:.1f}" y="{height - bottom + 18}" text-anchor="middle">{x0 + tick * (x1 - x0):.2g}</text>'
        )
    if diagonal:
        (ax, ay), (bx, by) = place(x0, y0), place(x1, y1)
        parts.append(f'<line class="base" x1="{ax}" y1="{ay}" x2="{bx}" y2="{by}"/>')
    radius = 5 if points.shape[0] <= 50 else 2
    for x, y in points:
        cx, cy = place(float(x), float(y))
        parts.append(f'<circle class="mark" cx="{cx:.1f}" cy="{cy:.1f}" r="{radius}"/>')
    parts.append(
        f'<text x="{(WIDTH + left) / 2}" y="{height - 4}" text-anchor="middle">{escape(across)}; up: {escape(up)}</text>'
    )
    return _svg(height, f"{points.shape[0]} points: {across} and {up}", parts)


def _svg(height: float, finding: str, parts: list[str]) -> str:
    label = escape(finding, quote=True)
    head = f'<svg viewBox="0 0 {WIDTH:g} {height:g}" role="img" aria-label="{label}">'
    return f'<div class="scroll">{head}{"".join(parts)}</svg></div>'


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{''.join(parts)}</section>"


def _figure(title: str, drawing: str, table: Table, data: Table | None = None) -> str:
    """A drawing with its numbers; `data` is what is downloaded where the table shows less."""
    return (
        f"<figure><figcaption>{escape(title)}</figcaption>{drawing}<details><summary>The numbers</summary>"
        f'<div class="scroll">{_table_html(table)}</div>{_link(data or table, title)}</details></figure>'
    )


def _data(table: Table, title: str) -> str:
    return f'<div class="scroll">{_table_html(table)}</div><p>{_link(table, title)}</p>'


def _link(table: Table, title: str) -> str:
    lines = ["\t".join(table.head), *("\t".join(_tsv(cell) for cell in row) for row in table.rows)]
    data = base64.b64encode("\n".join(lines).encode()).decode()
    address = f"data:text/tab-separated-values;base64,{data}"
    return f'<a download="{_file_name(title)}.tsv" href="{address}">Download these numbers</a>'


def _table_html(table: Table) -> str:
    kinds = [
        ' class="num"' if not isinstance(cell, str) else "" for cell in (table.rows[0] if table.rows else [])
    ]
    kinds += [""] * (len(table.head) - len(kinds))
    head = "".join(
        f'<th scope="col"{kind}>{escape(name)}</th>' for name, kind in zip(table.head, kinds, strict=True)
    )
    rows = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in table.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return f"<td>{escape(value)}</td>"
    return f'<td class="num">{_text(value)}</td>'


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if np.isfinite(value) else "-"
    return "-" if value is None else str(value)


def _tsv(value: Any) -> str:
    """A cell of a table that a spreadsheet may open: names are others' and must not run as formulas."""
    if not isinstance(value, str):
        return _text(value)
    text = "".join(c if c.isprintable() else " " for c in value)
    return f"'{text}" if text.lstrip().startswith(FORMULA) else text


def _cut(name: str) -> str:
    return name if len(name) <= 30 else name[:29] + "…"


def _file_name(title: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split())[:60]
