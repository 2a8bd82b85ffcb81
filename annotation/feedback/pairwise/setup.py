"""What a pairwise question can set."""

from __future__ import annotations

from annotation.feedback.setup import Setting

TITLE = "Which answer is better?"
SAMPLE = 2
STEPS = (
    (2, "2: the better one"),
    (3, "3: the better one, or equal"),
    (5, "5: slightly better, better"),
    (7, "7: slightly better, better, much better"),
)
SETTINGS = (
    Setting("steps", "choice", "Steps of the scale", 7, STEPS),
    Setting("words", "lines", "Words of the strengths", help="One a line, weakest first; empty: the usual words."),
    Setting("both_bad", "flag", "Offer “both bad”", True),
    Setting("cannot_judge", "flag", "Offer “cannot judge”", True),
    Setting("aspects", "parts", "Aspects", help="One a line; each is judged on the same scale, after the choice."),
    Setting("aspects_first", "flag", "Ask the aspects before the whole", absent=False),
    Setting("aspects_required", "flag", "Every aspect needs an answer", True, absent=True),
    Setting("confidence", "lines", "Words of confidence", help="One a line, least sure first; empty: not asked."),
    Setting("reasons", "lines", "Reasons to tick", help="One a line; empty: not asked."),
    Setting("sentence", "flag", "Offer one sentence of their own", absent=False),
)
