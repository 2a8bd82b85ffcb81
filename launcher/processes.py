"""Processes by identity (pid and start time), so that a reused pid is never mistaken for ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from launcher.errors import ProcessFailed


def say(message: str) -> None:
    """Speak to the person, on standard error: standard output belongs to the commands."""
    print(f"winnow: {message}", file=sys.stderr, flush=True)


def run(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
) -> str:
    """Run a program to its end and return what it printed; raise `ProcessFailed` with its words if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        env=dict(environment) if environment is not None else None,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        user=user,
        group=user,
        extra_groups=[] if user is not None else None,
        check=False,
    )
    if done.returncode:
        raise ProcessFailed(Path(command[0]).name, done.returncode, done.stdout)
    return done.stdout


def started(pid: int) -> str | None:
    """When a living process began, as text to compare; None if there is none (a zombie counts as none)."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            # The program's name stands in brackets and may hold spaces and brackets itself.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        except OSError:
            return None
        return None if fields[0] in "ZX" else f"{boot}-{fields[19]}"
    shown = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    words = shown.stdout.split()
    return None if not words or words[0].startswith("Z") else " ".join(words[1:])


def command_line(pid: int) -> list[str]:
    """The arguments of a living process; empty if there is none or it may not be read."""
    path = Path(f"/proc/{pid}/cmdline")
    if Path("/proc/self/cmdline").exists():
        try:
            return [part.decode(errors="replace") for part in path.read_bytes().split(b"\0") if part]
        except OSError:
            return []
    shown = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.split()


def wait_until(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Wait for a condition; return whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(every)
    return True


def signal_group(pid: int, number: signal.Signals) -> None:
    """Signal a process group that we made; that it has gone already is no error."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return


def stop_group(pid: int, start: str, *, grace_seconds: float) -> bool:
    """End the session that `pid` leads, first politely; return whether it was still ours and alive."""
    if started(pid) != start:
        return False
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: started(pid) != start, grace_seconds)
    signal_group(pid, signal.SIGKILL)
    return True
