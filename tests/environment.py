"""The environment of a test process: a home and settings of its own, before anything reads Django's settings.

Loaded by `-p` in pytest.ini, so that it comes before the plugin that sets Django up. A worker of a parallel run inherits
the variables of the run that started it and makes its own here.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def _prepare_environment() -> Path:
    """A home and settings that are the session's own; before Django reads its settings."""
    from launcher.environment import keep_bytecode
    from launcher.home import Home

    keep_bytecode()
    folder = Path(tempfile.mkdtemp(prefix="winnow-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Home(folder).prepare()
    for name in [name for name in os.environ if name.startswith("WINNOW_")]:
        if not name.startswith(("WINNOW_TEST_", "WINNOW_REFERENCE_DATA")):
            del os.environ[name]
    if named := os.environ.get("WINNOW_TEST_POSTGRES_BIN"):
        # The same tests on another major.
        os.environ["WINNOW_POSTGRES_BIN"] = named
    os.environ.update(
        DJANGO_SETTINGS_MODULE="webapp.settings",
        DATABASE_URL="postgresql://winnow@127.0.0.1:1/winnow",
        BROKER_URL="none",
        WINNOW_HOME=str(folder),
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
        HF_HOME=str(folder / "huggingface"),
        TOKENIZERS_PARALLELISM="false",
        OMP_NUM_THREADS="1",
    )
    return folder


HOME = _prepare_environment()
