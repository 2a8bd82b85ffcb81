"""The figure of `benchmarks.noisy_labels`: two panels as one SVG that reads on light and dark pages."""

from __future__ import annotations

from dataclasses import dataclass

STYLE = """
svg{font:13px system-ui,sans-serif;fill:#222;background:#fff}.axis{stroke:#999}.zero{stroke:#999;stroke-dasharray:4 3}
.dpo{stroke:#555;fill:#555}.rdpo{stroke:#b3541e;fill:#b3541e}.soft_dpo{stroke:#1f6f8b;fill:#1f6f8b}.bar{stroke-width:2}
@media(prefers-color-scheme:dark){svg{fill:#ddd;background:#181818}.dpo{stroke:#bbb;fill:#bbb}
.rdpo{stroke:#e59a66;fill:#e59a66}.soft_dpo{stroke:#73bcd6;fill:#73bcd6}}
"""
WIDTH, HEIGHT, PANEL, TOP, LEFT, BETWEEN = 760, 330, 310, 50, 46, 80
FOOT = HEIGHT - 40
SHAPES = {
    "dpo": '<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="dpo"/>',
    "rdpo": '<rect x="{l:.1f}" y="{t:.1f}" width="9" height="9" class="rdpo"/>',
    "soft_dpo": '<path d="M{x:.1f} {u:.1f}l6 11h-12z" class="soft_dpo"/>',
}
ASIDE = {"dpo": -16.0, "rdpo": 0.0, "soft_dpo": 16.0}


@dataclass(frozen=True)
class Mark:
    """One mean with half the width of its interval."""

    rate: float
    objective: str
    mean: float
    half: float


def figure_svg(levels: list[Mark], gaps: list[Mark], base: float) -> str:
    """True reward on the left, differences to plain DPO on the right; `base`: reward before training."""
    names = {"dpo": "plain DPO", "rdpo": "rDPO", "soft_dpo": "soft-label DPO"}
    legend = "".join(
        _shape(name, LEFT + 10 + 130 * place, 14) + f'<text x="{LEFT + 22 + 130 * place}" y="19">{text}</text>'
        for place, (name, text) in enumerate(names.items())
    )
    right = LEFT + PANEL + BETWEEN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">'
        f"<title>True reward by share of wrong labels, with 95 % intervals over seeds</title><style>{STYLE}</style>"
        f"{legend}{_panel(levels, LEFT, 'true reward', base, 'base')}"
        f"{_panel(gaps, right, 'true reward minus plain DPO, paired', 0.0, '')}</svg>\n"
    )


def _panel(marks: list[Mark], left: float, title: str, line: float, line_name: str) -> str:
    rates = sorted({mark.rate for mark in marks})
    edges = [line, *(mark.mean + side * mark.half for mark in marks for side in (-1, 1))]
    low, high = min(edges), max(edges)
    low, high = low - 0.06 * (high - low), high + 0.06 * (high - low)

    def up(value: float) -> float:
        return FOOT - (value - low) / (high - low) * (FOOT - TOP - 10)

    parts = [f'<text x="{left}" y="{TOP - 8}">{title}</text>']
    parts.append(f'<path d="M{left} {TOP}V{FOOT}H{left + PANEL}" fill="none" class="axis"/>')
    parts.append(f'<path d="M{left} {up(line):.1f}H{left + PANEL}" class="zero"/>')
    parts.append(f'<text x="{left + 4}" y="{up(line) - 5:.1f}">{line_name}</text>')
    for tick in _ticks(low, high):
        parts.append(f'<text x="{left - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:.1f}</text>')
    for place, rate in enumerate(rates):
        middle = left + PANEL * (place + 0.5) / len(rates)
        parts.append(f'<text x="{middle:.1f}" y="{FOOT + 18}" text-anchor="middle">{rate:.0%} wrong</text>')
        for mark in marks:
            if mark.rate == rate:
                x = middle + (ASIDE[mark.objective] if rate else 0.0)
                bar = f"M{x:.1f} {up(mark.mean - mark.half):.1f}V{up(mark.mean + mark.half):.1f}"
                words = f"{mark.objective}, {rate:.0%} wrong: {mark.mean:.3f} ± {mark.half:.3f}"
                parts.append(
                    f'<g><title>{words}</title><path d="{bar}" class="bar {mark.objective}"/>'
                    f"{_shape(mark.objective, x, up(mark.mean))}</g>"
                )
    return "".join(parts)


def _shape(objective: str, x: float, y: float) -> str:
    return SHAPES[objective].format(x=x, y=y, l=x - 4.5, t=y - 4.5, u=y - 7)


def _ticks(low: float, high: float) -> list[float]:
    step = 0.1 if high - low < 0.8 else 0.2
    first = int(low // step) + 1
    return [number * step for number in range(first, int(high // step) + 1)]
