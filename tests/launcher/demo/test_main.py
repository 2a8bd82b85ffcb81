"""How a run of the demo ends."""

from pathlib import Path
from typing import Any

import pytest

from launcher.demo import __main__ as demo
from launcher.demo.stages import StageFailed


class FakeProduct:
    """Remembers what was asked of it."""

    def __init__(self, home: Any) -> None:
        self.asked: list[str] = []

    def start(self) -> None:
        self.asked.append("start")

    def wait(self) -> None:
        self.asked.append("wait")

    def pids(self) -> list[int]:
        return []

    def stop(self) -> None:
        self.asked.append("stop")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WINNOW_HOME", str(tmp_path / "home"))
    for name in (
        "OMP_NUM_THREADS",
        "HF_HOME",
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "TOKENIZERS_PARALLELISM",
    ):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("sys.argv", ["demo"])
    return tmp_path / "home"


def test_a_failed_stage_is_named_and_the_product_is_stopped(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    products: list[FakeProduct] = []

    def product(where: Any) -> FakeProduct:
        products.append(FakeProduct(where))
        return products[-1]

    def job(_: Any) -> None:
        raise StageFailed("The command judge ended with code 2: no.")

    monkeypatch.setattr(demo, "Product", product)
    monkeypatch.setattr(demo, "_world_make", lambda _: None)
    monkeypatch.setattr(demo, "_job", job)
    assert demo.main() == 1
    assert products[0].asked == ["start", "wait", "stop"]
    assert 'the stage "start the product" failed: The command judge' in capsys.readouterr().err


def test_a_model_that_cannot_be_made_stops_the_product_too(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = FakeProduct(None)

    def world(_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(demo, "Product", lambda _: product)
    monkeypatch.setattr(demo, "_world_make", world)
    assert demo.main() == 1 and product.asked == ["start", "stop"]


def test_every_run_has_a_project_of_its_own(home: Path) -> None:
    from launcher.home import Home

    found = Home(home)
    found.prepare()
    assert [demo._slug_free(found) for _ in range(3)] == ["demo", "demo-2", "demo-3"]


def test_people_of_the_demo_share_a_private_password(home: Path) -> None:
    from launcher.home import Home

    found = Home(home)
    found.prepare()
    first = demo._password(found)
    assert first == demo._password(found) and len(first) > 20
    assert (found.secrets / "demo_password").stat().st_mode & 0o077 == 0
