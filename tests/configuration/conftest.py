"""A real bus whose settings change, and a mounted ConfigMap as Kubernetes lays it out."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from riskbus import RiskEventBus
from riskbus.testing import read_records
from tests.conftest import CloseAtEnd
from tests.waiting import within

Until = Callable[[Callable[[], object]], bool]


class ConfigMap:
    """A volume of a ConfigMap: `..data` is a link to a directory with a time in its name, and is exchanged at once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._updates = 0
        self.file = directory / "riskbus.toml"
        self.update("")
        self.file.symlink_to("..data/riskbus.toml")

    def update(self, text: str) -> None:
        """Exchange the content, as the kubelet does."""
        self._updates += 1
        version = self._directory / f"..2026_01_15_14_30_{self._updates:02d}"
        version.mkdir(parents=True)
        (version / "riskbus.toml").write_text(text)
        (self._directory / "..data_tmp").symlink_to(version.name)
        (self._directory / "..data_tmp").rename(self._directory / "..data")


@pytest.fixture
def open_bus(path: Path, registry: CollectorRegistry, close_at_end: CloseAtEnd) -> Callable[..., RiskEventBus]:
    """Open a bus with these arguments; it is closed at the end."""

    def open_one(**arguments: Any) -> RiskEventBus:
        chosen: dict[str, Any] = {"audit_log_path": path, "registry": registry} | arguments
        return close_at_end(RiskEventBus(**chosen))

    return open_one


@pytest.fixture
def config_map(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigMap:
    """A mounted ConfigMap that RISKBUS_CONFIG_FILE points to."""
    mounted = ConfigMap(tmp_path / "etc")
    monkeypatch.setenv("RISKBUS_CONFIG_FILE", str(mounted.file))
    return mounted


@pytest.fixture
def until() -> Until:
    """Wait until a condition holds; False when it does not within twenty seconds."""
    return partial(within, 20)


@pytest.fixture
def changes(path: Path) -> Callable[[RiskEventBus], list[dict[str, Any]]]:
    """Return what the AUDIT_CONFIG records of a bus' log say."""

    def read(bus: RiskEventBus) -> list[dict[str, Any]]:
        assert bus.audit_log.flush(10)
        return [record["data"] for record in read_records(path) if record["event_type"] == "AUDIT_CONFIG"]

    return read


@pytest.fixture
def metric(registry: CollectorRegistry) -> Callable[[str], float]:
    """Return the value of a metric."""

    def value(name: str) -> float:
        lines = generate_latest(registry).decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    return value
