"""What a question about spans can set. Questions asked of each span are kept as they are."""

from __future__ import annotations

from annotation.feedback.setup import Setting

TITLE = "Mark every error"
SAMPLE = 1
SETTINGS = (
    Setting("categories", "lines", "Categories", ["accuracy", "style", "other"], help="One a line; empty: none."),
    Setting("severities", "lines", "Severities", ["minor", "major"], help="One a line, mildest first; empty: none."),
    Setting("comment", "flag", "Offer a comment on each passage", True, absent=True),
    Setting("cannot_judge", "flag", "Offer “cannot judge”", True),
)
