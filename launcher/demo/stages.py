"""The stages of the demo: named, timed, with the peak memory of everything that the demo started."""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 0.25
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class StageFailed(Exception):
    """A stage of the demo did not do what it is for."""


@dataclass(frozen=True)
class Stage:
    """What one stage cost: wall seconds, this machine's processes of the demo at their largest."""

    name: str
    seconds: float
    peak_mib: float


def _parents() -> dict[int, int]:
    """Parent of every process that can be read now."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                found[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    return found


def memory_mib(root: int, others: list[int]) -> float:
    """Resident memory of a process, of some others, and of all their descendants; shared pages count each time."""
    parents, wanted = _parents(), {root, *others}
    grew = True
    while grew:
        more = {pid for pid, parent in parents.items() if parent in wanted} - wanted
        wanted |= more
        grew = bool(more)
    pages = 0
    for pid in wanted:
        try:
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * PAGE_BYTES / 2**20


@dataclass
class Clock:
    """Runs stages one after another and remembers what each cost. `others`: processes that left our family."""

    stages: list[Stage] = field(default_factory=list)
    others: list[int] = field(default_factory=list)
    now: str = ""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block, and say when it begins and ends."""
        self.now = name
        say(f"{name} ...")
        begin, peak, over = time.monotonic(), [0.0], threading.Event()

        def watch() -> None:
            while True:
                peak[0] = max(peak[0], memory_mib(os.getpid(), self.others))
                if over.wait(LOOK_SECONDS):
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
        self.stages.append(Stage(name, time.monotonic() - begin, peak[0]))
        say(f"{name}: {self.stages[-1].seconds:.1f} s, {peak[0]:,.0f} MiB at most")

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)


def say(line: str) -> None:
    """Speak to the person while the demo runs; the report alone goes to standard output."""
    print(f"demo: {line}", file=sys.stderr, flush=True)
