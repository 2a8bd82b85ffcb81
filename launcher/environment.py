"""The project's Python environment: `.venv` in the checkout, filled from the locks.

The locks are nested (web, then ml, then dev), so one level says all that is installed. A stamp in the environment
holds the level and the hash of its lock; the environment is brought up to date when the lock changed.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.errors import EnvironmentUnavailable
from launcher.home import ROOT
from launcher.processes import say

UV = "uv==0.13.8"
LEVELS = ("web", "ml", "dev")
VERSIONS = ((3, 11), (3, 12))
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / "winnow.json"


def ensure(level: str, arguments: list[str]) -> None:
    """Go on in an environment that has at least this level; replaces this process where it is another one.

    `arguments` are what Python is called with there. Returns only if the running Python already fits.
    """
    keep_bytecode()
    if _is_project_python():
        if _stamped(level) or _complete(level):
            return
    elif sys.version_info[:2] in VERSIONS and _complete(level):
        return  # An environment of the user's own, or an image's: all that the lock names is there.
    with _setting_up():
        if not _stamped(level):
            _install(level)
    os.environ.pop("PYTHONHOME", None)
    os.execv(PYTHON, [str(PYTHON), *arguments])


def keep_bytecode() -> None:
    """Keep compiled modules whatever the shell says: without them every process compiles torch anew, for 15 s."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False


def installed_level() -> str:
    """The highest level that the running Python has; empty if none."""
    return next((level for level in reversed(LEVELS) if _complete(level)), "")


def lock_path(level: str, version: tuple[int, int] = (3, 11)) -> Path:
    """The lock of a level for a Python version."""
    folder = ROOT / "requirements"
    return (
        folder / f"{level}.lock"
        if version == (3, 11)
        else folder / f"python{version[0]}.{version[1]}" / f"{level}.lock"
    )


def _is_project_python() -> bool:
    return Path(sys.prefix).resolve() == VENV.resolve()


def _stamped(level: str) -> bool:
    """Whether the project's environment holds this level of the locks as they are now."""
    try:
        stamp = json.loads(STAMP.read_text())
        version = (stamp["python"][0], stamp["python"][1])
        fresh = stamp["hash"] == _lock_hash(stamp["level"], version)
    except (OSError, ValueError, KeyError, IndexError):
        return False
    return fresh and LEVELS.index(stamp["level"]) >= LEVELS.index(level) and os.access(PYTHON, os.X_OK)


def _lock_hash(level: str, version: tuple[int, int]) -> str:
    text = lock_path(level, version).read_bytes()
    if level != "web":
        text += (ROOT / "requirements" / "torch.txt").read_bytes()
    return hashlib.sha256(text).hexdigest()


def _complete(level: str) -> bool:
    """Whether the running Python has every distribution of the lock in the version that it names."""
    if sys.version_info[:2] not in VERSIONS:
        return False
    lock = lock_path(level, sys.version_info[:2])
    if not lock.exists():
        return False
    for line in lock.read_text().splitlines():
        name, found, version = line.partition(";")[0].strip().partition("==")
        if not found:
            continue
        try:
            if importlib.metadata.version(name) != version:
                return False
        except importlib.metadata.PackageNotFoundError:
            return False
    return level == "web" or importlib.util.find_spec("torch") is not None


@contextmanager
def _setting_up() -> Iterator[None]:
    """One set-up of a checkout at a time; the lock is on the folder itself, so no file is left."""
    descriptor = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _install(level: str) -> None:
    """Bring `.venv` to this level, or to the higher one that it had before its lock changed."""
    level = max(level, _previous_level(), key=LEVELS.index)
    version = _make_venv()
    STAMP.unlink(missing_ok=True)
    lock = lock_path(level, version)
    say(f"installing {lock.relative_to(ROOT)} into {VENV} (once)")
    _pip("install", UV)
    torch = ROOT / "requirements" / "torch.txt"
    # torch comes first and alone: no other package may choose its build, and its file differs between CPU and CUDA.
    for requirements in ([torch] if level != "web" else []) + [lock]:
        if not _uv_install(requirements):
            say("uv could not install; trying pip, which takes longer")
            _pip("install", *(["--no-deps"] if requirements == lock else []), "-r", str(requirements))
    stamp = {"level": level, "python": version, "hash": _lock_hash(level, version)}
    STAMP.write_text(json.dumps(stamp) + "\n")


def _previous_level() -> str:
    try:
        level = json.loads(STAMP.read_text())["level"]
    except (OSError, ValueError, KeyError):
        return LEVELS[0]
    return level if level in LEVELS else LEVELS[0]


def _make_venv() -> tuple[int, int]:
    """Make `.venv` if it is missing or broken; return its Python's version."""
    version = _version_of(PYTHON)
    if version in VERSIONS:
        return version
    base = _base_python()
    say(f"making {VENV} with {base}")
    done = subprocess.run(
        [base, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True, check=False
    )
    version = _version_of(PYTHON)
    if done.returncode or version is None:
        words = (done.stdout + done.stderr).strip()
        short = "python{}.{}".format(*(_version_of(Path(base)) or VERSIONS[0]))
        if "ensurepip" in words:
            raise EnvironmentUnavailable(f"{base} lacks venv; install it (Debian: apt install {short}-venv)")
        raise EnvironmentUnavailable(f"{base} -m venv failed: {words}")
    return version


def _base_python() -> str:
    """A Python of a version that the locks are for: the running one, or one on PATH."""
    if sys.version_info[:2] in VERSIONS:
        # Of a foreign virtual environment take what it was made from, so that removing that one breaks nothing.
        return getattr(sys, "_base_executable", None) or sys.executable
    names = [f"python{major}.{minor}" for major, minor in VERSIONS]
    for name in names:
        if (found := shutil.which(name)) and _version_of(Path(found)) in VERSIONS:
            return found
    raise EnvironmentUnavailable(
        f"Python 3.11 or 3.12 is needed and this is {sys.version.split()[0]}; install one (Debian 12: apt install "
        f"python3.11 python3.11-venv) and call: {names[0]} -m launcher {' '.join(sys.argv[1:])}"
    )


def _version_of(python: Path) -> tuple[int, int] | None:
    """The version of a Python program; None if it does not run."""
    code = "import sys; print(*sys.version_info[:2])"
    try:
        shown = subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=False)
    except OSError:
        return None
    words = shown.stdout.split()
    return (int(words[0]), int(words[1])) if shown.returncode == 0 and len(words) == 2 else None


def _uv_install(requirements: Path) -> bool:
    """Install one requirements file with uv; return whether it worked."""
    environment = dict(os.environ)
    # uv does not read pip's settings; where pip is told of local files, uv shall find them too.
    if pip_links := environment.get("PIP_FIND_LINKS"):
        environment.setdefault("UV_FIND_LINKS", pip_links)
    command = [
        str(VENV / "bin" / "uv"),
        "pip",
        "install",
        "--quiet",
        "--python",
        str(PYTHON),
        "-r",
        str(requirements),
    ]
    try:
        done = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _pip(*words: str) -> None:
    command = [str(PYTHON), "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
        raise EnvironmentUnavailable(
            f"`{' '.join(command)}` failed; see the lines above (is the network there?)"
        )
