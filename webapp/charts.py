"""Geometry of the charts: numbers in, coordinates out; `templates/charts/` draws them as SVG with a table beside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers that cover a range, at most `most`.

    Example:
        >>> ticks(0, 0.8)
        [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    if not high > low:
        return [low]
    rough = (high - low) / most
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 2.5, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def short(value: float) -> str:
    """A tick's label, with a real minus."""
    text = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return text.replace("-", "−")


@dataclass(frozen=True)
class Dot:
    """A value with its interval inside a table row."""

    x: float
    x1: float
    x2: float
    zero: float | None
    width: int


def dot(
    value: float,
    low: float | None,
    high: float | None,
    *,
    span: tuple[float, float],
    width: int,
    zero: float | None = None,
) -> Dot:
    def at(number: float) -> float:
        inside = min(max(number, span[0]), span[1])
        return round(4 + (width - 8) * (inside - span[0]) / (span[1] - span[0]), 1)

    return Dot(
        at(value),
        at(low if low is not None else value),
        at(high if high is not None else value),
        None if zero is None else at(zero),
        width,
    )


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Tick:
    at: float
    label: str

    @property
    def text_y(self) -> float:
        return round(self.at + 4, 1)


@dataclass(frozen=True)
class Histogram:
    bars: list[Bar]
    ticks: list[Tick]
    cut_x: float
    width: int = 560
    height: int = 170
    base: int = 142

    @property
    def before_cut(self) -> float:
        return round(self.cut_x - 6, 1)

    @property
    def after_cut(self) -> float:
        return round(self.cut_x + 6, 1)


def histogram(edges: Sequence[float], kept: Sequence[int], dropped: Sequence[int], cut: float) -> Histogram:
    """Bars of two kinds, stacked, with the cut."""
    width, base, top = 560, 142, 24
    low, high = edges[0], edges[-1]
    span = (high - low) or 1.0
    tallest = max((a + b for a, b in zip(kept, dropped, strict=True)), default=0) or 1

    def at(value: float) -> float:
        return round(width * (value - low) / span, 1)

    bars = []
    for left, right, keep, drop in zip(edges, edges[1:], kept, dropped, strict=False):
        bottom = float(base)
        for count, kind in ((keep, "fm"), (drop, "f2")):
            tall = round((base - top) * count / tallest, 1)
            if count:
                bars.append(
                    Bar(
                        at(left),
                        round(bottom - tall, 1),
                        max(0.5, round(at(right) - at(left) - 0.8, 1)),
                        tall,
                        kind,
                    )
                )
            bottom -= tall
    return Histogram(bars, [Tick(at(value), short(value)) for value in ticks(low, high)], at(cut))


@dataclass(frozen=True)
class Series:
    """One line: its points in data units, its class, and the words at its end."""

    label: str
    points: list[tuple[float, float]]
    css: str
    label_css: str
    path: str = ""
    end_x: float = 0
    end_y: float = 0
    label_y: float = 0
    has_label: bool = True

    @property
    def label_x(self) -> float:
        return round(self.end_x + 8, 1)

    @property
    def dot_css(self) -> str:
        return {"l1": "f1", "l2": "f2"}.get(self.css, "fk")


@dataclass(frozen=True)
class Lines:
    series: list[Series]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    zero_y: float | None
    x_label: str
    width: int = 620
    height: int = 220
    left: int = 46
    right: int = 500
    bottom: int = 184
    rows: list[list[str]] = field(default_factory=list)


def lines(
    series: Sequence[Series],
    *,
    x_end: float,
    x_label: str,
    zero: float | None = None,
    from_zero: bool = False,
    width: int = 620,
) -> Lines | None:
    """Lines over a common step axis, labelled at their ends; None without a point."""
    values = [y for s in series for _, y in s.points if math.isfinite(y)]
    if not values:
        return None
    low, high = min(values), max(values)
    if zero is not None:
        low, high = min(low, zero), max(high, zero)
    if from_zero:
        low = min(0.0, low)
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    pad = (high - low) * 0.06
    low, high = (low if from_zero else low - pad), high + pad
    left, right, top, bottom = 46, width - 120, 10, 184
    x_end = max(x_end, 1.0)

    def x(value: float) -> float:
        return round(left + (right - left) * value / x_end, 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - top) * (value - low) / (high - low), 1)

    drawn = []
    for s in series:
        points = [(x(a), y(b)) for a, b in s.points if math.isfinite(b)]
        if not points:
            continue
        path = "M" + " ".join(f"{a} {b}" for a, b in points)
        end = points[-1]
        drawn.append(
            Series(s.label, s.points, s.css, s.label_css, path, end[0], end[1], end[1] + 4, s.has_label)
        )
    return Lines(
        series=_apart(drawn),
        x_ticks=[Tick(x(v), short(v)) for v in ticks(0, x_end)],
        y_ticks=[Tick(y(v), short(v)) for v in ticks(low, high)],
        zero_y=None if zero is None else y(zero),
        x_label=x_label,
        width=width,
        right=right,
    )


def _apart(series: list[Series]) -> list[Series]:
    """Move labels that would lie on each other apart."""
    labelled = sorted((s for s in series if s.has_label), key=lambda s: s.label_y)
    places: dict[str, float] = {}
    last = -math.inf
    for s in labelled:
        last = max(s.label_y, last + 15)
        places[s.label] = last
    return [Series(**{**s.__dict__, "label_y": places.get(s.label, s.label_y)}) for s in series]


def smooth(points: Sequence[tuple[float, float]], weight: float = 0.85) -> list[tuple[float, float]]:
    """An exponential running mean, corrected for its start; the raw points stay visible beside it."""
    mean, mass, found = 0.0, 0.0, []
    for at, value in points:
        mean = weight * mean + (1 - weight) * value
        mass = weight * mass + (1 - weight)
        found.append((at, mean / mass))
    return found


def thinned(points: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """Every k-th point and the last, so that a long run draws as fast as a short one."""
    if len(points) <= most:
        return list(points)
    step = math.ceil(len(points) / most)
    return [*points[:-1:step], points[-1]]


@dataclass(frozen=True)
class Scatter:
    """Points in a square of two measures that both begin at 0."""

    points: list[tuple[float, float]]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    width: int = 560
    height: int = 300
    left: int = 46
    right: int = 540
    top: int = 10
    bottom: int = 250


def scatter(points: Sequence[tuple[float, float]]) -> Scatter:
    """Both axes from 0 to a little above the largest value."""
    left, right, top, bottom = 46, 540, 10, 250
    x_end, y_end = (max((p[place] for p in points), default=1.0) * 1.04 or 1.0 for place in (0, 1))

    def x(value: float) -> float:
        return round(left + (right - left) * value / x_end, 1)

    def y(value: float) -> float:
        return round(bottom - (bottom - top) * value / y_end, 1)

    return Scatter(
        [(x(a), y(b)) for a, b in points],
        [Tick(x(v), short(v)) for v in ticks(0, x_end)],
        [Tick(y(v), short(v)) for v in ticks(0, y_end)],
    )


@dataclass(frozen=True)
class Spot:
    """A point of the map with the radius of its uncertainty; `group` says its shape and colour."""

    x: float
    y: float
    spread: float
    group: str

    @property
    def path(self) -> str:
        """A circle, a diamond or a square: groups differ by shape and not by colour alone."""
        x, y = self.x, self.y
        if self.group == "B":
            return f"M{x} {y - 6}l6 6-6 6-6-6z"
        if self.group == "C":
            return f"M{x - 4.5} {y - 4.5}h9v9h-9z"
        return f"M{x - 5} {y}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z"


@dataclass(frozen=True)
class Arrow:
    label: str
    x: float
    y: float
    label_x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class IdealMap:
    spots: list[Spot]
    corners: list[tuple[float, float]]
    arrows: list[Arrow]
    middle_x: float
    middle_y: float
    width: int = 640
    height: int = 400


def ideal_map(
    people: Sequence[tuple[float, float, float, str]],
    corners: Sequence[tuple[float, ...]],
    directions: Sequence[tuple[str, float, float]],
) -> IdealMap:
    """People (x, y, spread, group), prototypes and directions (label, x, y) around the middle of the people.

    Both axes have one scale, so that distances mean the same everywhere.
    """
    width, height = 640, 400
    points = [(x, y) for x, y, _, _ in people] + [(c[0], c[1]) for c in corners]
    reach_x = max((abs(x) for x, _ in points), default=1.0) or 1.0
    reach_y = max((abs(y) for _, y in points), default=1.0) or 1.0
    scale = min((width / 2 - 130) / reach_x, (height / 2 - 40) / reach_y)
    middle_x, middle_y = width / 2, height / 2

    def at(x: float, y: float) -> tuple[float, float]:
        return round(middle_x + scale * x, 1), round(middle_y - scale * y, 1)

    longest = max((math.hypot(x, y) for _, x, y in directions), default=1.0) or 1.0
    arrows = []
    for label, x, y in directions:
        end_x, end_y = middle_x + 150 * x / longest, middle_y - 150 * y / longest
        right = end_x >= middle_x
        arrows.append(
            Arrow(label, round(end_x, 1), round(end_y, 1), round(end_x + (6 if right else -6), 1),
                  round(end_y + 4, 1), "start" if right else "end")
        )  # fmt: skip
    arrows.sort(key=lambda arrow: arrow.label_y)
    for one, other in zip(arrows, arrows[1:], strict=False):
        if other.anchor == one.anchor and other.label_y < one.label_y + 14:
            arrows[arrows.index(other)] = Arrow(
                other.label, other.x, other.y, other.label_x, one.label_y + 14, other.anchor
            )
    return IdealMap(
        [Spot(*at(x, y), round(scale * spread, 1), group) for x, y, spread, group in people],
        [at(corner[0], corner[1]) for corner in corners],
        arrows,
        middle_x,
        middle_y,
    )


HEAT_LEVELS = 8


@dataclass(frozen=True)
class HeatCell:
    """`level`: 0 to 8, how dark; `side`: `over`, or `under` the middle of a scale that has one."""

    text: str
    note: str
    link: str
    level: int
    side: str


@dataclass(frozen=True)
class Heat:
    """A table of cells that are numbers on a tint; None where there is nothing to say."""

    columns: list[str]
    rows: list[tuple[str, list[HeatCell | None]]]


def heat_cell(value: float, text: str, note: str = "", link: str = "", *, middle: float = 0.0) -> HeatCell:
    """A share of 0 to 1, tinted by how far from the middle it lies.

    Example:
        >>> heat_cell(0.25, "25%", middle=0.5).level, heat_cell(0.25, "25%", middle=0.5).side
        (4, 'under')
    """
    far = (value - middle) / ((1 - middle) if value >= middle else middle or 1.0)
    return HeatCell(text, note, link, round(HEAT_LEVELS * min(abs(far), 1.0)), "over" if far >= 0 else "under")


@dataclass(frozen=True)
class Box:
    x: int
    y: float
    title: str
    note: str
    url: str
    is_now: bool = False

    @property
    def title_y(self) -> float:
        return self.y + 22

    @property
    def note_y(self) -> float:
        return self.y + 40

    @property
    def text_x(self) -> int:
        return self.x + 14


@dataclass(frozen=True)
class Lineage:
    boxes: list[Box]
    arrows: list[str]
    heads: list[tuple[float, float]]
    width: int
    height: int
    sentence: str


def lineage(
    sources: Sequence[tuple[str, str, str]],
    now: tuple[str, str, str],
    results: Sequence[tuple[str, str, str]],
    sentence: str,
) -> Lineage:
    """Sources, one version and what was made of it, from left to right; each is (title, note, address)."""
    rows = max(len(sources), len(results), 1)
    height = rows * 66 - 12
    middle = height / 2 + 1

    def column(entries: Sequence[tuple[str, str, str]], x: int) -> list[Box]:
        start = middle - (len(entries) * 66 - 12) / 2
        return [Box(x, start + i * 66, *entry) for i, entry in enumerate(entries)]

    left, right = column(sources, 1), column(results, 624)
    centre = Box(312, middle - 27, *now, is_now=True)
    arrows: list[str] = []
    heads: list[tuple[float, float]] = []
    for index, box in enumerate(left):
        end = middle + (index - (len(left) - 1) / 2) * 10
        arrows.append(f"M181 {box.y + 27} C246 {box.y + 27} 246 {end} 306 {end}")
        heads.append((312, end))
    for index, box in enumerate(right):
        start = middle + (index - (len(right) - 1) / 2) * 10
        arrows.append(f"M492 {start} C558 {start} 558 {box.y + 27} 618 {box.y + 27}")
        heads.append((624, box.y + 27))
    return Lineage([*left, centre, *right], arrows, heads, 806, int(height) + 4, sentence)
