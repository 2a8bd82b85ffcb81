#!/usr/bin/env python3
"""Django's commands and ours, in the project's environment, with database and broker at hand."""

import os
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
WITHOUT_SERVICES = {
    "help",
    "version",
    "collectstatic",
    "compilemessages",
    "makemessages",
    "startapp",
    "startproject",
}


def main() -> None:
    """Run one command."""
    sys.path.insert(0, str(ROOT))
    from launcher.environment import ensure
    from launcher.errors import LauncherError
    from launcher.processes import say

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    try:
        ensure("web", [str(Path(__file__).resolve()), *sys.argv[1:]])
        _run()
    except LauncherError as error:
        say(str(error))
        sys.exit(1)


def _run() -> None:
    from launcher.home import Home
    from launcher.services import services

    if _needs_no_services(sys.argv[1:]):
        Home.from_environment().prepare()
        _execute()
        return
    # A polite end must pass through the context below: it may be the last user of the services.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    own_database = not os.environ.get("DATABASE_URL")
    with services():
        if own_database:
            _migrate_before_our_commands(sys.argv[1])
        _execute()


def _needs_no_services(arguments: list[str]) -> bool:
    return (
        not arguments
        or arguments[0] in WITHOUT_SERVICES | {"--version"}  # elsewhere it names a version to train on
        or bool({"--help", "-h"} & set(arguments))
    )


def _migrate_before_our_commands(command: str) -> None:
    """Bring the embedded database up to date first, so that the first command of a fresh home works."""
    import django
    from django.core.management import call_command, get_commands
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    django.setup()
    # Django's own commands are given as a name, those of a test runner or a plugin as an object.
    if str(get_commands().get(command, "django.")).startswith("django."):
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0, interactive=False)
    connection.close()


def _execute() -> None:
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
