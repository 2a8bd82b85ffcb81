"""What a listwise question can set."""

from __future__ import annotations

from annotation.feedback.setup import Setting

TITLE = "Order the answers, best first"
SAMPLE = 3
METHODS = (("rank", "a place for each"), ("best_worst", "the best and the worst"))
SETTINGS = (
    Setting("method", "choice", "How they are ordered", "rank", METHODS, absent="rank"),
    Setting("ties", "flag", "Two may share a place", True, absent=True),
    Setting("cannot_judge", "flag", "Offer “cannot judge”", True),
    Setting("reasons", "lines", "Reasons to tick", help="One a line; empty: not asked."),
    Setting("sentence", "flag", "Offer one sentence of their own", absent=False),
)
