"""python -m launcher COMMAND: all that `make` can do. Runs on any Python 3, to be able to say what is missing."""

import sys

USAGE = """usage: python3 -m launcher COMMAND

  up                 start database, broker, web and workers; Ctrl-C stops all of them
  demo               the main job on a small world, end to end
  check              lint, types, contracts and the quick tests
  test               check, the slow tests, and the database's tests on PostgreSQL 15 where it is installed
  test-long NAME     one long test
  backup [FILE]      write database, secrets, models and exports into one file
  restore FILE       fill an empty home from such a file
  move-database      move the data to the major version of PostgreSQL that is used now
  setup [web|ml|dev] install a level of the dependencies (ml: scoring, judging and training)
  doctor             say what was found and chosen, and why"""

# The level of the environment that each command needs.
LEVELS = {
    "up": "web",
    "demo": "ml",
    "check": "dev",
    "test": "dev",
    "test-long": "dev",
    "backup": "web",
    "restore": "web",
    "move-database": "web",
    "setup": "web",
    "doctor": "web",
}


def main() -> int:
    """Run one command in the environment that it needs."""
    if sys.version_info < (3, 9):  # noqa: UP036 - an old Python shall get a sentence and not a traceback
        sys.exit("winnow: Python 3.11 is needed; this is Python " + sys.version.split()[0])
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE)
        return 0 if words else 2
    from launcher.environment import ensure
    from launcher.errors import LauncherError
    from launcher.processes import say

    try:
        if words[0] not in LEVELS:
            say(f"there is no command {words[0]!r}; see: python3 -m launcher --help")
            return 2
        ensure(_level(words), ["-m", "launcher", *words])
        from launcher.commands import COMMANDS

        return COMMANDS[words[0]](words[1:])
    except LauncherError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _level(words: "list[str]") -> str:
    if words[0] == "setup" and words[1:]:
        from launcher.environment import LEVELS as KNOWN

        if words[1] not in KNOWN:
            sys.exit(f"winnow: setup takes one of {', '.join(KNOWN)}; got {words[1]!r}")
        return words[1]
    return LEVELS[words[0]]


if __name__ == "__main__":
    sys.exit(main())
