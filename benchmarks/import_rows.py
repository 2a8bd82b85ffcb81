"""Import in rows/s beside a bare Django view and bare COPY, one after the other in one run, medians of rounds.

    python -m benchmarks.import_rows --rows 20000

Bare Django: a view that parses the same lines and calls `bulk_create` on one table: no check, no hash, no choice, no
places. Bare COPY: the same three texts into one table. Memory is the peak of a process that imports and nothing else.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.scratch import pairs, scratch

VIEW_ROWS = 400
GOAL_RATIO, GOAL_MEMORY_MB = 0.6, 300
TABLE = "CREATE TABLE {name} (id bigserial PRIMARY KEY, prompt text, chosen text, rejected text)"
MEMORY = """
import sys, time, json
from pathlib import Path
import django
django.setup()
from annotation.models import Project
from pipelines.services.importing import ImportOptions, import_file
began = time.perf_counter()
record = import_file(project=Project.objects.get(slug=sys.argv[1]), path=Path(sys.argv[2]), options=ImportOptions())
seconds = time.perf_counter() - began
# Unlike getrusage, which begins with the parent's, this peak is the process's own.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": seconds, "counts": record.counts, "peak_mb": peak / 1000}))
"""


def files(folder: Path, rows: int, rounds: int) -> list[Path]:
    """One JSONL file a round, of different rows: a second import of one would merge."""
    made = []
    for number in range(rounds):
        path = folder / f"rows-{number}.jsonl"
        with path.open("w") as stream:
            for row in pairs(rows, seed=number):
                stream.write(json.dumps(row) + "\n")
        made.append(path)
    return made


def ours(path: Path, number: int) -> None:
    from annotation.services.projects import project_create
    from pipelines.services.importing import ImportOptions, import_file

    import_file(project=project_create(slug=f"round-{number}"), path=path, options=ImportOptions())


def bare_django(path: Path, number: int) -> None:
    from django.db import connection, models
    from django.http import HttpRequest, HttpResponse
    from django.test import RequestFactory

    name = f"bare_{number}"
    with connection.cursor() as cursor:
        cursor.execute(TABLE.format(name=name))

    class Bare(models.Model):
        prompt, chosen, rejected = models.TextField(), models.TextField(), models.TextField()

        class Meta:
            app_label, db_table, managed = f"bench{number}", name, False

    def view(request: HttpRequest) -> HttpResponse:
        Bare.objects.bulk_create([Bare(**json.loads(line)) for line in request.body.splitlines()])
        return HttpResponse(status=201)

    factory = RequestFactory()
    lines: list[bytes] = []
    with path.open("rb") as stream:
        for line in stream:
            lines.append(line)
            if len(lines) == VIEW_ROWS:
                view(factory.post("/", b"".join(lines), content_type="application/jsonl"))
                lines.clear()
    if lines:
        view(factory.post("/", b"".join(lines), content_type="application/jsonl"))


def bare_copy(path: Path, number: int) -> None:
    from django.db import connection

    name = f"copied_{number}"
    with connection.cursor() as cursor:
        cursor.execute(TABLE.format(name=name))
        with (
            cursor.copy(f"COPY {name} (prompt, chosen, rejected) FROM STDIN (FORMAT BINARY)") as copy,
            path.open("rb") as lines,
        ):
            copy.set_types(["text", "text", "text"])
            for line in lines:
                row = json.loads(line)
                copy.write_row((row["prompt"], row["chosen"], row["rejected"]))


def memory(folder: Path, rows: int) -> dict[str, object]:
    """Peak memory of an import of `rows` rows in a process of its own."""
    from annotation.services.projects import project_create

    project_create(slug="memory")
    (path,) = files(folder, rows, 1)
    out = subprocess.run(
        [sys.executable, "-c", MEMORY, "memory", str(path)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(out.stdout.splitlines()[-1]), rows=rows, file_mb=path.stat().st_size / 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    subjects: dict[str, Callable[[Path, int], None]] = {
        "ours": ours, "bare_django": bare_django, "bare_copy": bare_copy
    }  # fmt: skip
    with scratch() as home:
        seconds: dict[str, list[float]] = {name: [] for name in subjects}
        for number, path in enumerate(files(home, options.rows, options.rounds)):
            for name, run in subjects.items():
                began = time.perf_counter()
                run(path, number)
                seconds[name].append(time.perf_counter() - began)
            path.unlink()
        rates = {name: options.rows / statistics.median(values) for name, values in seconds.items()}
        found = memory(home, options.rows * 2)
    print(json.dumps({
        "benchmark": "import_rows", "rows": options.rows, "rounds": options.rounds,
        "rows_per_second": {name: round(rate) for name, rate in rates.items()},
        "ratio_to_bare_django": round(rates["ours"] / rates["bare_django"], 2), "goal_ratio": GOAL_RATIO,
        "ratio_to_bare_copy": round(rates["ours"] / rates["bare_copy"], 2),
        "memory": found, "goal_memory_mb": GOAL_MEMORY_MB,
        "machine": machine("orjson"),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
