"""`riskbus doctor` says what to do before trading starts."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from prometheus_client import CollectorRegistry

from riskbus import native
from riskbus.cli.checkup.surroundings import divergence
from riskbus.clock import ClockStatus
from riskbus.events import EventPriority, EventType, RiskEvent
from riskbus.runtime import AuditLog
from riskbus.settings import AuditSettings
from riskbus.store.verification import verify_tree

Riskbus = Callable[..., subprocess.CompletedProcess[str]]
SHARED_MEMORY = "/dev/shm/risk_audit.jsonl"  # noqa: S108 -- the tests want exactly this

PUBLISHER = """
import os, signal, sys
from riskbus import AuditLog, EventPriority, EventType, RiskEvent
log = AuditLog(sys.argv[1])
for number in range(5):
    log.append(RiskEvent(EventType.OVERRIDE, EventPriority.LOW, "desk", {"number": number}))
os.kill(os.getpid(), signal.SIGKILL)
"""


def lines(ended: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Return the answers by name; of several with one name, the last."""
    found = re.findall(r"^(OK|WARN|FAIL) +([a-z]+(?: [a-z]+)?) +(.+)$", ended.stdout, re.MULTILINE)
    return {name: f"{result} {message}" for result, name, message in found}


def test_a_place_that_loses_records_is_not_fit(riskbus: Riskbus) -> None:
    """Exit code 1, with the reason and the remedy; and these last, where Kubernetes looks for them."""
    ended = riskbus("doctor", "--path", SHARED_MEMORY)
    assert ended.returncode == 1
    assert lines(ended)["mount"].startswith("FAIL Invalid/EphemeralTmpfs")
    reasons = ended.stdout.partition("\nThis place is not fit for an audit log:\n")[2]
    assert reasons.startswith("  mount: Invalid/EphemeralTmpfs")
    assert "mount a PersistentVolumeClaim" in reasons


def test_a_wrong_setting_is_found_and_the_rest_is_examined_all_the_same(riskbus: Riskbus) -> None:
    """Before the workload finds it; one run shows everything that is wrong."""
    environment = {"RISK_AUDIT_DURABILITY": "always", "RISK_AUDIT_LOG_PATH": SHARED_MEMORY}
    ended = riskbus("doctor", environment=environment)
    assert ended.returncode == 1
    assert "FAIL environment variable RISK_AUDIT_DURABILITY='always' is wrong" in lines(ended)["environment"]
    assert lines(ended)["mount"].startswith("FAIL Invalid/EphemeralTmpfs")


def test_a_path_that_nobody_set_is_pointed_out(riskbus: Riskbus, tmp_path: Path) -> None:
    """The fallback is for laptops."""
    ended = riskbus("doctor", cwd=tmp_path)
    assert lines(ended)["environment"].startswith("WARN RISK_AUDIT_LOG_PATH is not set")
    assert lines(ended)["directory"].startswith(f"WARN {tmp_path}/logs does not exist yet")
    assert list(tmp_path.iterdir()) == []


def test_a_variable_with_a_typing_error_is_found(riskbus: Riskbus) -> None:
    """It would have no effect, and nobody would notice."""
    environment = {
        "RISK_AUDIT_DURABLITY": "sync",
        "RISK_ADUIT_STREAM": "a",
        "RISK_AUDIT_FOO": "1",
        "RISKBUS_NATVE": "0",
        "RISKBUS_OPERATOR_SERVICE_HOST": "10.0.0.1",  # Kubernetes' own, for a Service of this name
        "RISKBUS_OPERATOR_PORT_443_TCP_ADDR": "10.0.0.1",
    }
    out = riskbus("doctor", environment=environment).stdout
    assert "RISK_AUDIT_DURABLITY is no setting of riskbus and has no effect; did you mean RISK_AUDIT_DURABILITY?" in out
    assert "did you mean RISK_AUDIT_STREAM?" in out
    assert "RISK_AUDIT_FOO is no setting" in out
    assert "did you mean RISKBUS_NATIVE?" in out
    assert "RISKBUS_OPERATOR" not in out


@pytest.mark.skipif(native.hot is None, reason="riskbus is not compiled here")
def test_compiled_paths_are_told_of(riskbus: Riskbus) -> None:
    """Whether it is as fast as it could be is seen without measuring."""
    assert lines(riskbus("doctor"))["form"] == "OK the hottest paths are compiled."


def test_paths_that_are_not_compiled_are_no_fault(riskbus: Riskbus) -> None:
    """They do the same, so no pod is kept from starting; but the line says how to become faster, and nothing is odd."""
    ended = riskbus("doctor", environment={"RISKBUS_NATIVE": "0"})
    assert lines(ended)["form"].startswith(
        "OK the hottest paths are interpreted, which is slower: RISKBUS_NATIVE=0 says so"
    )
    assert "RISKBUS_NATIVE is no setting" not in ended.stdout


def test_a_watched_file_that_a_bus_would_not_take_is_told_of(riskbus: Riskbus, tmp_path: Path) -> None:
    """Before the pod is restarted and does without it."""
    file = tmp_path / "riskbus.toml"
    environment = {"RISKBUS_CONFIG_FILE": str(file), "RISK_AUDIT_LOG_PATH": str(tmp_path / "audit.jsonl")}
    file.write_text("latency_slo_us = {CRITICAL = 50}\nmax_workers = 4\n")
    assert f"file {file} says latency_slo_us, max_workers." in riskbus("doctor", environment=environment).stdout
    file.write_text("max_workers = 1\n")
    out = riskbus("doctor", environment=environment).stdout
    assert f"file {file}, key max_workers='1' is wrong" in out
    assert "a bus starts without this file" in out


def test_every_setting_is_shown_with_its_value_and_source(riskbus: Riskbus) -> None:
    """What counts is what the process sees, not what the manifest says."""
    environment = {"RISK_AUDIT_DURABILITY": "sync"}
    ended = riskbus("doctor", "--json", "--path", SHARED_MEMORY, environment=environment)
    settings = {setting["variable"]: setting for setting in json.loads(ended.stdout)["settings"]}
    assert settings["RISK_AUDIT_LOG_PATH"]["source"] == "argument"
    assert settings["RISK_AUDIT_DURABILITY"] == {
        "variable": "RISK_AUDIT_DURABILITY",
        "value": "sync",
        "source": "environment",
    }
    assert settings["RISK_AUDIT_ROTATION_MAX_SIZE"]["source"] == "default"


@pytest.fixture
def readable() -> Iterator[Path]:
    """A directory that everyone may read; pytest's own are closed to others."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def test_a_directory_that_this_user_may_not_write_to_is_found(riskbus: Riskbus, readable: Path) -> None:
    """By trying, as the user who will run."""
    ended = riskbus("doctor", "--path", readable / "risk_audit.jsonl", uid=65534)
    assert ended.returncode == 1
    assert "cannot be written, synced and removed as uid 65534" in lines(ended)["permission"]
    assert "fsGroup" in lines(ended)["permission"]


def test_a_directory_that_this_user_may_not_even_reach_is_found(riskbus: Riskbus, readable: Path) -> None:
    """The same, one directory further up."""
    (readable / "closed").mkdir(mode=0o700)
    ended = riskbus("doctor", "--path", readable / "closed" / "audit" / "risk_audit.jsonl", uid=65534)
    assert ended.returncode == 1
    assert ended.stderr == ""
    assert lines(ended)["permission"].startswith("FAIL")


def test_a_second_directory_is_examined_too(riskbus: Riskbus, tmp_path: Path) -> None:
    """It has to be ready on the day that the first one fails, and to lie elsewhere."""
    environment = {"RISK_AUDIT_SECOND_DIR": str(tmp_path / "second")}
    answers = lines(riskbus("doctor", "--path", tmp_path / "first" / "risk_audit.jsonl", environment=environment))
    assert answers["second directory"].startswith(f"WARN {tmp_path}/second does not exist yet")
    assert answers["second permission"].startswith("OK")
    assert "on the log's own volume" in answers["second volume"]
    elsewhere = {"RISK_AUDIT_SECOND_DIR": "/dev/shm"}  # noqa: S108 -- another file system
    answers = lines(riskbus("doctor", "--path", tmp_path / "first" / "risk_audit.jsonl", environment=elsewhere))
    assert answers["second mount"].startswith("FAIL Invalid/EphemeralTmpfs")
    assert "second volume" not in answers


def test_a_file_in_place_of_the_directory_is_found(riskbus: Riskbus, tmp_path: Path) -> None:
    """A mount with subPath of a file, for example."""
    (tmp_path / "file").touch()
    ended = riskbus("doctor", "--path", tmp_path / "file" / "risk_audit.jsonl")
    assert ended.returncode == 1
    assert lines(ended)["mount"].startswith("FAIL Invalid/Missing")


@pytest.mark.parametrize(("days", "result"), [(1827, "OK"), (365, "WARN")])
def test_how_long_records_are_kept_is_said(riskbus: Riskbus, days: int, result: str) -> None:
    """What was removed too early cannot be brought back."""
    answer = lines(riskbus("doctor", environment={"RISK_AUDIT_RETENTION_DAYS": str(days)}))["retention"]
    assert answer.startswith(f"{result} no segment is removed before {days:,} days")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"RISK_AUDIT_STAGING_DIR": "/proc"}, "is not a memory file system"),
        ({"RISK_AUDIT_STAGING_DIR": "/nonexistent"}, "cannot be used"),
    ],
)
def test_memory_that_does_not_outlive_the_process_is_found(
    riskbus: Riskbus, settings: dict[str, str], words: str
) -> None:
    """Records are taken all the same, so it is a warning."""
    answer = lines(riskbus("doctor", environment=settings))["staging"]
    assert answer.startswith("WARN")
    assert words in answer
    assert "RISK_AUDIT_STAGING_DIR" in answer


def test_rings_of_ended_processes_are_counted_and_left_alone(
    riskbus: Riskbus, tmp_path: Path, shared_memory: Path
) -> None:
    """They hold accepted records; the next start writes them, which doctor must not prevent."""
    environment = {"RISK_AUDIT_STAGING_DIR": str(shared_memory)}
    (tmp_path / "audit").touch()  # no directory yet, so everything waits
    path = tmp_path / "audit" / "risk_audit.jsonl"
    subprocess.run(
        [sys.executable, "-c", PUBLISHER, str(path)],
        env=os.environ | environment,
        check=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    before = {file.name: file.read_bytes() for file in shared_memory.iterdir()}
    answer = lines(riskbus("doctor", "--path", path, environment=environment))["rings"]
    assert answer.startswith("WARN rings of ended processes (1) take")
    assert "start it here once more" in answer
    assert {file.name: file.read_bytes() for file in shared_memory.iterdir()} == before


def test_a_live_log_is_not_disturbed(riskbus: Riskbus, tmp_path: Path, shared_memory: Path) -> None:
    """It is run by hand in pods that trade."""
    path = tmp_path / "audit" / "risk_audit.jsonl"
    settings = AuditSettings(path=path, staging_dir=shared_memory)
    with AuditLog(settings=settings, registry=CollectorRegistry()) as log:
        assert log.wait_ready(10)
        before = sorted(path.parent.iterdir()), sorted(shared_memory.iterdir())
        ended = riskbus("doctor", "--path", path, environment={"RISK_AUDIT_STAGING_DIR": str(shared_memory)})
        assert lines(ended)["rings"].startswith("OK")
        assert (sorted(path.parent.iterdir()), sorted(shared_memory.iterdir())) == before
        assert log.append(RiskEvent(EventType.OVERRIDE, EventPriority.LOW, "desk")).wait_durable(10)
        assert log.status().write_failures == 0
    assert verify_tree(path.parent, [], lambda _: None).worst is None


def test_standard_output_that_leads_nowhere_is_found(riskbus: Riskbus, tmp_path: Path) -> None:
    """Emergency copies would be lost; the answer goes to a file here, so only what is null warns."""
    assert lines(riskbus("doctor"))["stdout"].startswith("OK standard output is a pipe")
    with (tmp_path / "out").open("w") as file:
        riskbus("doctor", stdout=file)
    assert "standard output is a file" in (tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("estimated", "bound", "words"),
    [
        (20, 90, "within the 100 µs divergence class"),
        (20, 900, "within the 1 ms divergence class"),
        (20, 5000, "within the 100 µs divergence class by the estimate, not by the bound"),
        (2000, 5000, "outside the 1 ms divergence class"),
    ],
)
def test_the_clock_is_compared_with_the_divergence_classes(estimated: int, bound: int, words: str) -> None:
    """For information: what it is to be depends on how one trades."""
    assert divergence(ClockStatus(True, estimated, bound)) == words


def test_the_clock_is_the_kernels(riskbus: Riskbus) -> None:
    """With its figures, synchronised or not."""
    assert "estimated error" in lines(riskbus("doctor"))["clock"]


def test_json(riskbus: Riskbus) -> None:
    """For init containers and dashboards."""
    document = json.loads(riskbus("doctor", "--json", "--path", SHARED_MEMORY).stdout)
    assert document["fit"] is False
    names = [check["name"] for check in document["checks"]]
    assert names == [
        *("environment", "mount", "permission", "space", "inodes"),
        *("retention", "staging", "rings", "clock", "stdout", "report", "form"),
    ]
    assert {check["result"] for check in document["checks"]} <= {"OK", "WARN", "FAIL"}
