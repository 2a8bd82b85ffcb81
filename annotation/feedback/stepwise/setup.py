"""What a stepwise question can set."""

from __future__ import annotations

from annotation.feedback.setup import Setting

TITLE = "Is each step right?"
SAMPLE = 3
MODES = (("each", "a label for each step"), ("first_bad", "the first bad step"), ("siblings", "an order of siblings"))
CUTS = (
    ("auto", "messages, of a text without several its lines"),
    ("lines", "lines"),
    ("paragraphs", "paragraphs"),
    ("messages", "messages"),
)
SETTINGS = (
    Setting("mode", "choice", "What is asked", "each", MODES, help="Siblings are asked of the comparison as a whole."),
    Setting("cut", "choice", "A step is one of its", "auto", CUTS, help="Tool calls and media are steps of their own."),
    Setting("labels", "lines", "Labels of a step", ["right", "neutral", "wrong"], help="One a line, two to nine."),
    Setting("ties", "flag", "Siblings may share a place", True, absent=True),
    Setting("cannot_judge", "flag", "Offer “cannot judge”", True),
)
