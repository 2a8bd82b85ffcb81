"""Freeze and export in rows/s beside COPY out with orjson, in one run: `python -m benchmarks.version_rows --rows 20000`.

Freeze and export run each in a process of its own, so that their peak memory is theirs. The bare way reads the three
texts with COPY and writes them with orjson: no filters, no hashes, no splits, no manifest.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.import_rows import files
from benchmarks.machine import machine
from benchmarks.scratch import scratch

GOALS = {
    "export_jsonl_rows_per_second": 20_000,
    "export_share_of_copy": 1 / 3,
    "build_rows_per_second": 12_000,
}
PREAMBLE = """
import json, sys, time
from pathlib import Path
import django
django.setup()
from annotation.models import Project
from pipelines.models import DatasetVersion
"""
END = """
# Unlike getrusage, which begins with the parent's, this peak is the process's own.
peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"seconds": time.perf_counter() - began, "said": said, "peak_mb": peak / 1000}))
"""
FREEZE = """
from pipelines.services.versions import version_freeze
began = time.perf_counter()
said = version_freeze(project=Project.objects.get(slug="bench"), name=sys.argv[1]).root_hash
"""
EXPORT = """
from pipelines.services.exporting import version_write
import pipelines.exports.trl_preference
began = time.perf_counter()
version = DatasetVersion.objects.get(name=sys.argv[1])
said = [file.sha256 for file in version_write(version=version, format="trl-preference", out=Path(sys.argv[2]))]
"""
LINES = """
from pipelines.services.exporting import version_rows_stream
began = time.perf_counter()
version, said = DatasetVersion.objects.get(name=sys.argv[1]), 0
with Path(sys.argv[2]).open("wb") as out:
    for _, payload in version_rows_stream(version=version):
        said += out.write(payload + b"\\n")
"""
BARE = """
import orjson
from django.db import connection
QUERY = '''COPY (SELECT jsonb_build_array(p.body, a.body, b.body)
  FROM annotation_comparison c JOIN annotation_prompt prompt ON prompt.id = c.prompt_id
  JOIN annotation_text p ON p.sha256 = prompt.text_sha256
  JOIN annotation_comparisoncompletion x ON x.comparison_id = c.id AND x.position = 0
  JOIN annotation_completion xc ON xc.id = x.completion_id JOIN annotation_text a ON a.sha256 = xc.text_sha256
  JOIN annotation_comparisoncompletion y ON y.comparison_id = c.id AND y.position = 1
  JOIN annotation_completion yc ON yc.id = y.completion_id JOIN annotation_text b ON b.sha256 = yc.text_sha256
) TO STDOUT'''
began, said = time.perf_counter(), 0
with Path(sys.argv[2]).open("wb") as out, connection.cursor() as cursor, cursor.copy(QUERY) as copy:
    copy.set_types(["jsonb"])
    for (texts,) in copy.rows():
        said += out.write(orjson.dumps(dict(zip(("prompt", "chosen", "rejected"), texts))) + b"\\n")
"""


def timed(code: str, *words: str) -> dict[str, object]:
    """Run the code in a process of its own: its seconds without the start, its peak memory, and what it said."""
    out = subprocess.run(
        [sys.executable, "-c", PREAMBLE + code + END, *words], check=True, capture_output=True, text=True
    )
    found: dict[str, object] = json.loads(out.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with scratch() as home:
        _fill(home, options.rows)
        found: dict[str, list[dict[str, object]]] = {
            "freeze": [],
            "export": [],
            "lines": [],
            "copy_orjson": [],
        }
        for n in range(options.rounds):
            found["freeze"].append(timed(FREEZE, f"v{n}"))
            found["export"].append(timed(EXPORT, f"v{n}", str(home / f"out-{n}")))
            found["lines"].append(timed(LINES, f"v{n}", str(home / f"lines-{n}")))
            found["copy_orjson"].append(timed(BARE, f"v{n}", str(home / f"bare-{n}")))
    seconds = {
        name: statistics.median(float(str(one["seconds"])) for one in all_) for name, all_ in found.items()
    }
    rates = {name: round(options.rows / value) for name, value in seconds.items()}
    print(json.dumps({
        "benchmark": "version_rows", "rows": options.rows, "rounds": options.rounds, "rows_per_second": rates,
        "build_rows_per_second": round(options.rows / (seconds["freeze"] + seconds["export"])),
        "lines_share_of_copy": round(rates["lines"] / rates["copy_orjson"], 2),
        "peak_mb": {name: max(float(str(one["peak_mb"])) for one in all_) for name, all_ in found.items()},
        "same_root_each_time": len({str(one["said"]) for one in found["freeze"]}) == 1,
        "same_files_each_time": len({str(one["said"][:6]) for one in found["export"]}) == 1,  # type: ignore[index]
        "goals": GOALS, "machine": machine("pyarrow", "orjson"),
    }))  # fmt: skip


def _fill(home: Path, rows: int) -> None:
    from annotation.services.projects import project_create
    from pipelines.services.aggregation import aggregate_full
    from pipelines.services.importing import ImportOptions, import_file

    project = project_create(slug="bench")
    (path,) = files(home, rows, 1)
    began = time.perf_counter()
    import_file(project=project, path=path, options=ImportOptions())
    aggregate_full(project=project)
    print(f"filled in {time.perf_counter() - began:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
