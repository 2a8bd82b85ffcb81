"""What a binary question can set."""

from __future__ import annotations

from annotation.feedback.setup import Setting

TITLE = "Is this answer what was wanted?"
SAMPLE = 1
WORDS = (("yes_no", "yes, no"), ("thumbs", "desirable, not desirable"))
SETTINGS = (
    Setting("words", "choice", "Words", "yes_no", WORDS, absent="yes_no"),
    Setting("does_not_apply", "flag", "Offer “does not apply”"),
    Setting("cannot_judge", "flag", "Offer “cannot judge”"),
    Setting("principles", "parts", "Principles", help="One a line; each is answered instead of the whole."),
    Setting("reasons", "lines", "Reasons to tick", help="One a line; empty: not asked."),
    Setting("sentence", "flag", "Offer one sentence of their own", absent=False),
)
