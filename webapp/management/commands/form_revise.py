"""./manage.py form_revise --project SLUG FILE.json"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from annotation.selectors.overview import questions_of
from annotation.services.projects import form_change
from webapp.management.base import WinnowCommand, form_read


class Command(WinnowCommand):
    help = "Put a new form in force; answers so far keep the revision they were given on."

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="a list of questions; without it the form is printed")

    def run(self, **options: Any) -> Mapping[str, Any]:
        project = self.project(options)
        if options["file"] is None:
            questions = questions_of([project]).get(project.pk, [])
            if not options["as_json"]:
                print(json.dumps(questions, ensure_ascii=False, indent=2))
            return {"counts": {}, "questions": questions}
        made = form_change(project=project, questions=form_read(options["file"]))
        if made is None:
            self.say("Nothing changed; the form stays as it is.")
        return {"counts": {"revisions": int(made is not None)}, "form": made.number if made else None}
