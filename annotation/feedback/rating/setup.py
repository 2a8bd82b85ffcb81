"""What a rating question can set."""

from __future__ import annotations

from annotation.feedback.setup import Setting

TITLE = "Rate this answer"
SAMPLE = 1
SETTINGS = (
    Setting("low", "number", "Lowest", 1),
    Setting("high", "number", "Highest", 5),
    Setting("slider", "flag", "As a slider, its number hidden"),
    Setting("words", "lines", "Words of the scale", help="One a line, lowest first: of both ends, or of every step."),
    Setting("aspects", "parts", "Aspects", [{"key": "quality", "label": "Quality"}], help="One a line; at least one."),
    Setting("cannot_judge", "flag", "Offer “cannot judge”"),
    Setting("reasons", "lines", "Reasons to tick", help="One a line; empty: not asked."),
    Setting("sentence", "flag", "Offer one sentence of their own", absent=False),
)
