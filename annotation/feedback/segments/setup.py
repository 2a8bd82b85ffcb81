"""What a question about segments can set."""

from __future__ import annotations

from annotation.feedback.pairwise.setup import STEPS
from annotation.feedback.segments.answer import MOST_SEGMENTS
from annotation.feedback.setup import Setting

TITLE = "Where is one better than the other?"
SAMPLE = 2
SETTINGS = (
    Setting("steps", "choice", "Steps of the scale", 5, STEPS),
    Setting("most", "number", "Segments, at most", 20, absent=MOST_SEGMENTS),
    Setting("comment", "flag", "Offer a comment on each segment", True, absent=True),
    Setting("cannot_judge", "flag", "Offer “cannot judge”", True),
)
