"""The alert rules in a real Prometheus, over the real metrics of a workload whose volume really fills up."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from riskbus_operator.api.policy import RiskAuditPolicy
from riskbus_operator.desired.alerts import prometheus_rule
from tests.desired_objects.prometheus import program
from tests.policy_api.examples import changed

MakeVolume = Callable[..., Any]

PROGRAM = Path(__file__).parents[2] / "examples" / "intraday-jules" / "workload.py"
POD = {"namespace": "trading", "pod": "intraday-jules-7d54bcdf4-x2x9p"}
_SECONDS = 90.0  # the library looks at the volume's space every half minute


class Prometheus:
    """A Prometheus that scrapes one pod's metrics four times a second and evaluates the rules of a policy as often."""

    def __init__(self, folder: Path, target: int) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        self._folder = folder
        (folder / "rules.yaml").write_text(yaml.safe_dump(rules()))
        config = {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "250ms"},
            "rule_files": ["rules.yaml"],
            "scrape_configs": [
                {"job_name": "pods", "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": POD}]}
            ],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it; what it complains of is in the test's output."""
        arguments = [
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
        ]
        arguments += [f"--web.listen-address={self._address}", "--log.level=warn"]
        with subprocess.Popen([program("prometheus"), *arguments]) as process:
            try:
                until(lambda: self._answers("/-/ready"), "Prometheus is ready")
                yield
            finally:
                process.kill()

    def evaluations(self) -> int:
        """How often the rules were evaluated."""
        with urllib.request.urlopen(f"http://{self._address}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.search(r"^prometheus_rule_group_iterations_total\{.*\} (\d+)$", text, re.MULTILINE)
        return int(found[1]) if found else 0

    def states(self) -> dict[tuple[str, str, str], str]:
        """State of every rule by alert, severity and source, once it was evaluated."""
        groups = self._get("/api/v1/rules")["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        assert {rule["health"] for rule in found} <= {"ok", "unknown"}, found
        return {
            (rule["name"], rule["labels"]["severity"], rule["labels"].get("source", "")): rule["state"]
            for rule in found
        }

    def value(self, query: str) -> float:
        """The value of a query's only series; -1 if there is none."""
        found = self._get(f"/api/v1/query?query={query}")["result"]
        return float(found[0]["value"][1]) if found else -1.0

    def _get(self, path: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://{self._address}{path}", timeout=10) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def _answers(self, path: str) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self._address}{path}", timeout=1):
                return True
        except OSError:
            return False


def rules() -> dict[str, Any]:
    """The rule file of a policy; only how long a state must hold is shortened, which promtool's tests are about."""
    spec: dict[str, Any] = prometheus_rule(RiskAuditPolicy.parse(changed({})), ["intraday-jules"])["spec"]
    for rule in spec["groups"][0]["rules"]:
        rule["for"] = {"0s": "0s", "1m": "1s", "1h": "1h"}[rule["for"]]
    return spec


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds; fail if it does not in time."""
    deadline, pause = time.monotonic() + _SECONDS, threading.Event()
    while not holds():
        assert time.monotonic() < deadline, f"not within {_SECONDS:.0f} s: {what}"
        pause.wait(0.1)


@pytest.fixture
def metrics_port() -> int:
    """Where the workload shows its metrics."""
    return free_port()


@pytest.fixture
def volume(make_volume: MakeVolume, shared_memory: Path, metrics_port: int) -> Iterator[Any]:
    """A small volume, and the example's trading program that writes its audit log there."""
    made = make_volume(16)
    environ = os.environ | {
        "RISK_AUDIT_LOG_PATH": str(made.path / "audit" / "risk_audit.jsonl"),
        "RISK_AUDIT_STAGING_DIR": str(shared_memory),
        "METRICS_PORT": str(metrics_port),
    }
    with subprocess.Popen([sys.executable, PROGRAM], env=environ, stdout=subprocess.DEVNULL) as process:
        yield made
        process.send_signal(signal.SIGTERM)


def test_the_alerts_fire_when_the_volume_is_full_and_only_then(volume: Any, metrics_port: int, tmp_path: Path) -> None:
    """A rule that never loads, or asks for a metric that nobody exports, looks exactly like a healthy system."""
    prometheus = Prometheus(tmp_path, metrics_port)
    write_failure, nearly_full = ("AuditLogWriteFailure", "critical", ""), ("AuditLogVolumeSpace", "critical", "pod")
    with prometheus.running():
        until(lambda: prometheus.value("audit_durable_seq") > 0, "the workload is scraped and writes")
        seen = prometheus.evaluations()
        until(lambda: prometheus.evaluations() >= seen + 8, "eight evaluations over a healthy volume")
        healthy = prometheus.states()
        assert set(healthy.values()) == {"inactive"}
        assert {write_failure, nearly_full, ("AuditLogVolumeSpace", "warning", "kubelet")} <= healthy.keys()

        volume.fill()

        until(lambda: prometheus.states()[write_failure] == "firing", f"{write_failure} fires")
        until(lambda: prometheus.states()[nearly_full] == "firing", f"{nearly_full} fires")
        firing = {alert for alert, state in prometheus.states().items() if state == "firing"}
        assert firing == {write_failure, nearly_full}
