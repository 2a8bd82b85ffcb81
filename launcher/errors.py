"""What can go wrong before the product runs; every message names what to do next."""


class LauncherError(Exception):
    """Base class: the message is one sentence for the person at the keyboard."""


class EnvironmentUnavailable(LauncherError):
    """The project's Python environment cannot be made."""


class DatabaseUnavailable(LauncherError):
    """No usable Postgres, or it does not start."""


class BrokerUnavailable(LauncherError):
    """No usable Redis, or it does not start."""


class HomeRefused(LauncherError):
    """The home folder is not in the state that the command needs."""


class ProcessFailed(LauncherError):
    """A program that the launcher ran ended with an error."""

    def __init__(self, program: str, code: int, output: str) -> None:
        self.program, self.code, self.output = program, code, output
        super().__init__(f"{program} ended with code {code}: {output.strip() or 'it said nothing'}")
