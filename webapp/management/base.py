"""What every command shares: `--project`, `--json`, exit codes, one sentence for refused input, progress for a person."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandParser
from tqdm import tqdm

from annotation.errors import AnnotationError, FormRefused, NotFound
from annotation.feedback.setup import questions_from_json
from annotation.models import Project
from pipelines.errors import Cancelled, JobFailed, PipelineError

DONE, FAILED, REFUSED = 0, 1, 2


def form_read(path: Path) -> list[dict[str, Any]]:
    """A form out of a JSON file."""
    try:
        return questions_from_json(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise FormRefused(f"The form {str(path)!r} could not be read: {error}.") from None


class WinnowCommand(BaseCommand):
    """A command over the services. Subclasses write `options` and `run`, which returns the JSON's fields.

    Exit codes: 0 done, 2 refused input, 1 anything else. With `--json` the last line of standard output is one object
    with `ok`, `command`, `counts`, `error` and the command's own fields; everything else goes to standard error.
    """

    needs_project = True
    requires_migrations_checks = False
    # The checks load every view with all that it needs; `make check` and the web process run them, commands need not.
    requires_system_checks: ClassVar[list[str]] = []

    def options(self, parser: CommandParser) -> None:
        """Add the command's own arguments."""

    def run(self, **options: Any) -> Mapping[str, Any]:
        """Do it; return `{"counts": {...}, ...}`."""
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print one JSON object as the last line"
        )
        if self.needs_project:
            parser.add_argument("--project", required=True, metavar="SLUG")
        self.options(parser)

    def project(self, options: Mapping[str, Any]) -> Project:
        slug = options["project"]
        project = Project.objects.filter(slug=slug).first()
        if project is None:
            raise NotFound(f"There is no project {slug!r}. Create it with: ./manage.py create_project {slug}")
        return project

    def say(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def bar(self, total: int | None, unit: str, title: str) -> tqdm[Any]:
        """A progress bar on standard error, shown only when a person looks."""
        return tqdm(
            total=total, unit=f" {unit}", desc=title, file=sys.stderr, disable=not sys.stderr.isatty()
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = type(self).__module__.rsplit(".", 1)[-1]
        fields: dict[str, Any] = {"ok": True, "command": name, "counts": {}, "error": None}
        code = DONE
        try:
            fields |= self.run(**options)
        except (AnnotationError, PipelineError) as error:
            code = FAILED if isinstance(error, Cancelled | JobFailed) or error.retryable else REFUSED
            fields |= {"ok": False, "error": str(error), **getattr(error, "fields", {})}
        except KeyboardInterrupt:
            code = FAILED
            fields |= {"ok": False, "error": "Interrupted."}
        except Exception as error:  # noqa: BLE001 - whatever it was, the JSON says so
            traceback.print_exc()
            code = FAILED
            fields |= {"ok": False, "error": f"{type(error).__name__}: {error}"}
        if fields["error"]:
            self.say(f"{name}: {fields['error']}")
        if options["as_json"]:
            print(json.dumps(fields, sort_keys=True, default=str), flush=True)
        elif code == DONE:
            for key, value in fields["counts"].items():
                self.say(
                    f"{key.replace('_', ' ')}: {value:,}" if isinstance(value, int) else f"{key}: {value}"
                )
        if code != DONE:
            raise SystemExit(code)
