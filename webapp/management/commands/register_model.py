"""Register a language model: from a folder, or by hub id and revision."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from pipelines.services.models import judge_settings_read, model_register, model_register_hub
from webapp.management.base import WinnowCommand


class Command(WinnowCommand):
    help = "Register a model (safetensors only); a folder is copied below the home's models folder."
    needs_project = False

    def options(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        place = parser.add_mutually_exclusive_group(required=True)
        place.add_argument(
            "--path", type=Path, metavar="DIR", help="folder with config.json, safetensors and a tokenizer"
        )
        place.add_argument(
            "--hub", metavar="ID", help="owner/model, present on this machine; nothing is downloaded"
        )
        parser.add_argument("--revision", metavar="REV", default="main", help="of the hub model")
        parser.add_argument(
            "--judge-settings", type=Path, metavar="FILE", help="JSON; by default DIR/winnow-judge.json"
        )
        parser.add_argument("--licence", default="", metavar="TEXT")
        parser.add_argument(
            "--project", metavar="SLUG", help="accepted for uniformity: models belong to all projects"
        )

    def run(self, **options: Any) -> Mapping[str, Any]:
        if options["project"]:
            self.project(options)
        file = options["judge_settings"]
        common = {
            "name": options["name"],
            "judge_settings": None if file is None else judge_settings_read(file),
            "licence": options["licence"],
        }
        if options["path"] is not None:
            model = model_register(path=options["path"], **common)
        else:
            model = model_register_hub(hub=options["hub"], revision=options["revision"], **common)
        return {
            "model": model.name,
            "kind": model.kind,
            "fingerprint": model.fingerprint,
            "counts": {"models": 1, "parameters": model.parameters},
        }
