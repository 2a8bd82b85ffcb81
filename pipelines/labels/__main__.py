"""`python -m pipelines.labels`: answers from a file of votes, in the project's environment whatever Python starts it."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from launcher.environment import ensure
    from launcher.errors import LauncherError

    try:
        ensure("web", ["-m", "pipelines.labels", *sys.argv[1:]])
    except LauncherError as error:
        sys.exit(str(error))

    from pipelines.labels.votefile.command import main

    sys.exit(main(sys.argv[1:]))
