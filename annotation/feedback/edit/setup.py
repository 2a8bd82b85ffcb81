"""What an edit question can set."""

from __future__ import annotations

from annotation.feedback.setup import Setting

TITLE = "Repair the better answer"
SAMPLE = 1
SETTINGS = (Setting("cannot_judge", "flag", "Offer “cannot judge”"),)
