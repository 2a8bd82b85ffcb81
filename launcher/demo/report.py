"""The demo's report: plain dataclasses that become one self-contained HTML file, or text for a terminal.

It knows how to show tables, intervals and curves, and nothing about what they mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

STYLE = (Path(__file__).parent / "report.css").read_text()
TERMINAL_ROWS = 12


@dataclass(frozen=True)
class Table:
    """Rows under a head. Columns named in `text` hold words and stand at the left; the others hold numbers."""

    head: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    text: frozenset[int] = frozenset({0})


@dataclass(frozen=True)
class Dot:
    """One estimate with its interval; `marked` ones are what the sentence beside the chart talks about."""

    name: str
    mean: float
    low: float
    high: float
    marked: bool = False


@dataclass(frozen=True)
class DotChart:
    """Estimates and intervals on one axis. `finding` is the sentence that stands for the drawing."""

    question: str
    unit: str
    finding: str
    dots: list[Dot]
    low: float
    high: float
    zero: float | None = None
    zero_name: str = ""


@dataclass(frozen=True)
class Line:
    """One curve. The first is drawn solid, the second dashed."""

    name: str
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class LineChart:
    """One or two curves over a common axis."""

    question: str
    unit: str
    axis: str
    finding: str
    lines: list[Line]


@dataclass(frozen=True)
class Code:
    """A query or a command, word for word."""

    text: str


Block = Table | DotChart | LineChart | Code | str


@dataclass(frozen=True)
class Section:
    """A finding as title and what supports it: sentences, tables, drawings."""

    title: str
    blocks: list[Block]


@dataclass(frozen=True)
class Check:
    """One promise of the demo, kept or broken, with the numbers that decided it."""

    name: str
    passed: bool
    numbers: str


@dataclass(frozen=True)
class Report:
    """Everything one run found."""

    title: str
    lead: str
    checks: list[Check]
    sections: list[Section] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)


# Numbers as people read them.


def number(value: float, digits: int = 2) -> str:
    """A number with a true minus sign.

    >>> number(-0.456)
    '−0.46'
    """
    text = f"{value:.{digits}f}"
    return text.replace("-", "−") if float(text) else text.lstrip("-")


def with_interval(mean: float, low: float, high: float, digits: int = 2) -> str:
    """A mean with its 95 % interval.

    >>> with_interval(0.5, 0.4, 0.6)
    '0.50 [0.40, 0.60]'
    """
    return f"{number(mean, digits)} [{number(low, digits)}, {number(high, digits)}]"


def percent(value: float, digits: int = 0) -> str:
    """A share in percent.

    >>> percent(0.256)
    '26 %'
    """
    return f"{number(100 * value, digits)} %"


# Drawings. Attributes only: the page's policy allows no style attribute.

WIDTH, LEFT, RIGHT = 640, 48, 132


def _text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def _ticks(low: float, high: float) -> list[float]:
    """Four or five round values that span an axis."""
    span = high - low
    step = next(size for size in _steps(span) if span / size <= 4.5)
    first = -(-low // step) * step
    return [first + index * step for index in range(int((high - first) / step + 1e-9) + 1)]


def _steps(span: float) -> list[float]:
    power = 10.0 ** int(f"{span:e}".split("e")[1])
    return [power * size for size in (0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0)]


def _axis_digits(ticks: Sequence[float]) -> int:
    return next((digits for digits in range(4) if all(abs(round(t, digits) - t) < 1e-9 for t in ticks)), 3)


def dot_chart_svg(chart: DotChart) -> str:
    """Dots with whiskers, one row an estimate; marked ones are diamonds, so colour is never alone."""
    left, right, row = 190, WIDTH - 150, 28
    height = row * len(chart.dots) + 34
    scale = (right - left) / (chart.high - chart.low)

    def x(value: float) -> float:
        return left + (min(max(value, chart.low), chart.high) - chart.low) * scale

    parts = []
    ticks = _ticks(chart.low, chart.high)
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="8" y2="{height - 24}"/>')
        parts.append(_text(x(tick), height - 8, number(tick, _axis_digits(ticks)), "axis", "middle"))
    if chart.zero is not None:
        at = x(chart.zero)
        parts.append(f'<line class="zero" x1="{at:.1f}" x2="{at:.1f}" y1="4" y2="{height - 24}"/>')
    for index, dot in enumerate(chart.dots):
        y = 8 + row * index + row / 2
        kind = "second" if dot.marked else "first"
        parts.append(_text(left - 12, y + 4, dot.name, "name", "end"))
        parts.append(f'<line class="{kind}" x1="{x(dot.low):.1f}" x2="{x(dot.high):.1f}" y1="{y}" y2="{y}"/>')
        if dot.marked:
            at = x(dot.mean)
            shape = f"M{at:.1f} {y - 6}L{at + 6:.1f} {y}L{at:.1f} {y + 6}L{at - 6:.1f} {y}Z"
            parts.append(f'<path class="{kind} dot" d="{shape}"/>')
        else:
            parts.append(f'<circle class="{kind} dot" cx="{x(dot.mean):.1f}" cy="{y}" r="4.5"/>')
        parts.append(_text(right + 12, y + 4, with_interval(dot.mean, dot.low, dot.high), "value"))
    return _svg(height, chart.finding, parts)


def line_chart_svg(chart: LineChart) -> str:
    """Curves with their names at their ends; the zero line is dashed where zero is on the axis."""
    height, top, bottom = 240, 14, 208
    xs = [x for line in chart.lines for x, _ in line.points]
    ys = [y for line in chart.lines for _, y in line.points]
    low, high = min(0.0, *ys), max(0.0, *ys)
    room = (high - low or 1.0) * 0.06
    low, high = low - room, high + room
    x_scale = (WIDTH - LEFT - RIGHT) / ((max(xs) - min(xs)) or 1.0)
    y_scale = (bottom - top) / (high - low)

    def at(x: float, y: float) -> tuple[float, float]:
        return LEFT + (x - min(xs)) * x_scale, bottom - (y - low) * y_scale

    parts = []
    ticks = _ticks(low, high)
    for tick in ticks:
        _, y = at(min(xs), tick)
        kind = "zero" if abs(tick) < 1e-9 else "grid"
        parts.append(f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(_text(LEFT - 8, y + 4, number(tick, _axis_digits(ticks)), "axis", "end"))
    ends_of_axis = (min(xs), max(xs))
    parts += [_text(at(x, low)[0], bottom + 18, f"{x:g}", "axis", "middle") for x in ends_of_axis]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, bottom + 18, chart.axis, "axis", "middle"))
    ends = [at(*line.points[-1])[1] for line in chart.lines]
    if len(ends) == 2 and abs(ends[0] - ends[1]) < 16:
        middle, sign = sum(ends) / 2, 1 if ends[0] > ends[1] else -1
        ends = [middle + 8 * sign, middle - 8 * sign]
    for kind, line, end in zip(("first", "second"), chart.lines, ends, strict=False):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in line.points))
        parts.append(f'<polyline class="{kind}" points="{path}"/>')
        words = f"{line.name} {number(line.points[-1][1])}"
        parts.append(_text(WIDTH - RIGHT + 8, end + 4, words, f"{kind} label"))
    return _svg(height, chart.finding, parts)


def _svg(height: float, finding: str, parts: list[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(finding, quote=True)}">'
    return head + "".join(parts) + "</svg>"


def dot_chart_table(chart: DotChart) -> Table:
    """The same numbers as a table, interval included."""
    rows = [(d.name, number(d.mean), number(d.low), number(d.high)) for d in chart.dots]
    return Table(("", chart.unit, "95 % from", "to"), rows)


def line_chart_table(chart: LineChart) -> Table:
    """The same points as a table."""
    columns = [dict(line.points) for line in chart.lines]
    rows = [
        (f"{x:g}", *(number(column[x]) if x in column else "" for column in columns))
        for x in sorted({x for column in columns for x in column})
    ]
    return Table((chart.axis, *(line.name for line in chart.lines)), rows, frozenset())


# HTML.


def _table_html(table: Table) -> str:
    def cell(tag: str, index: int, words: str, scope: str = "") -> str:
        kind = "" if index in table.text else ' class="num"'
        return f"<{tag}{scope}{kind}>{escape(words)}</{tag}>"

    head = "".join(cell("th", i, words, ' scope="col"') for i, words in enumerate(table.head))
    rows = "".join(
        "<tr>" + "".join(cell("td", i, words) for i, words in enumerate(row)) + "</tr>" for row in table.rows
    )
    scroller = '<div class="scroll" tabindex="0" role="group" aria-label="Table">'
    return f"{scroller}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _chart_html(chart: DotChart | LineChart) -> str:
    svg = dot_chart_svg(chart) if isinstance(chart, DotChart) else line_chart_svg(chart)
    table = dot_chart_table(chart) if isinstance(chart, DotChart) else line_chart_table(chart)
    caption = f"<figcaption><strong>{escape(chart.question)}</strong> <span>{escape(chart.unit)}</span></figcaption>"
    more = f"<details><summary>Show as table</summary>{_table_html(table)}</details>"
    scroller = '<div class="scroll" tabindex="0" role="group" aria-label="Chart">'
    return f"<figure>{caption}{scroller}{svg}</div><p>{escape(chart.finding)}</p>{more}</figure>"


def _block_html(block: Block) -> str:
    if isinstance(block, str):
        return f"<p>{escape(block)}</p>"
    if isinstance(block, Table):
        return _table_html(block)
    if isinstance(block, Code):
        return f'<pre tabindex="0"><code>{escape(block.text)}</code></pre>'
    return _chart_html(block)


def _check_html(check: Check) -> str:
    shape, word = ("●", "kept") if check.passed else ("▲", "broken")
    kind = "ok" if check.passed else "bad"
    numbers = f"<span>{escape(check.numbers)}</span>"
    return f'<li><b class="{kind}">{shape} {word}</b> {escape(check.name)} {numbers}</li>'


def report_html(report: Report) -> str:
    """The report as one HTML document that needs nothing else: no script, no address, light and dark."""
    checks = "".join(map(_check_html, report.checks))
    sections = "".join(
        f"<section><h2>{escape(section.title)}</h2>{''.join(map(_block_html, section.blocks))}</section>"
        for section in report.sections
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(report.title)}</title><style>{STYLE}</style></head><body><main>"
        f'<h1>{escape(report.title)}</h1><p class="lead">{escape(report.lead)}</p>'
        f'<section><h2>What this run promised</h2><ul class="checks">{checks}</ul></section>'
        f"{sections}</main></body></html>\n"
    )


# Text.


def _table_text(table: Table, limit: int | None = None) -> str:
    rows = table.rows
    if limit and len(rows) > limit:
        step = (len(rows) - 1) / (limit - 1)
        rows = [rows[round(index * step)] for index in range(limit)]
    widths = [max(map(len, column)) for column in zip(table.head, *rows, strict=True)]
    lines = []
    for row in (table.head, *rows):
        cells = (
            words.ljust(width) if index in table.text else words.rjust(width)
            for index, (words, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines)


def _block_text(block: Block) -> str:
    if isinstance(block, str):
        return f"  {block}"
    if isinstance(block, Table):
        return _table_text(block)
    if isinstance(block, Code):
        return "\n".join(f"  | {line}" for line in block.text.splitlines())
    table = dot_chart_table(block) if isinstance(block, DotChart) else line_chart_table(block)
    return f"  {block.question} ({block.unit})\n  {block.finding}\n{_table_text(table, TERMINAL_ROWS)}"


def report_text(report: Report) -> str:
    """The same report for a terminal; long curves are thinned to a dozen rows."""
    lines = [report.title, report.lead, "", "What this run promised"]
    lines += [f"  {'kept  ' if c.passed else 'BROKEN'}  {c.name}: {c.numbers}" for c in report.checks]
    for section in report.sections:
        lines += ["", section.title, *map(_block_text, section.blocks)]
    return "\n".join(lines) + "\n"
