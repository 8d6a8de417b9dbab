"""What riskbus promises by name stays there, typed and described."""

import importlib
import inspect
import typing
from pathlib import Path

import pytest

import riskbus
from riskbus import BusSettings

MODULES = [
    "riskbus",
    "riskbus.evidence",
    "riskbus.sensors",
    "riskbus.testing",
    "riskbus.bus",
    "riskbus.report",
    "riskbus.mount",
]


def public(module: str) -> list[tuple[str, object]]:
    """Return the names a module exports, with what they are."""
    imported = importlib.import_module(module)
    return [(name, getattr(imported, name)) for name in imported.__all__]


def test_the_names_of_the_library() -> None:
    """A name added or taken away is a decision, and this list is where it shows."""
    assert riskbus.__all__ == [
        "AuditLog",
        "AuditSettings",
        "BusSettings",
        "BusStatistics",
        "Checkpoint",
        "ClockStatus",
        "ClosedError",
        "EventPriority",
        "EventType",
        "FormatError",
        "InvalidEventError",
        "LatencyPath",
        "LogStatus",
        "MountReport",
        "Receipt",
        "RiskBusError",
        "RiskEvent",
        "RiskEventBus",
        "SettingsError",
        "Subscription",
        "Unfinished",
        "WhenFull",
    ]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_says_what_it_is(module: str) -> None:
    """`help()` is the manual that is always at hand."""
    undescribed = [
        name for name, found in public(module) if (inspect.isclass(found) or callable(found)) and not found.__doc__
    ]
    assert undescribed == []
    assert importlib.import_module(module).__doc__


@pytest.mark.parametrize("module", MODULES)
def test_every_public_method_is_annotated_and_described(module: str) -> None:
    """Users' type checkers and editors depend on it."""
    missing = []
    for name, found in public(module):
        functions = {name: found} if inspect.isfunction(found) else vars(found) if inspect.isclass(found) else {}
        for each, function in functions.items():
            if inspect.isfunction(function) and not each.startswith("_") and function.__module__.startswith("riskbus"):
                hints = typing.get_type_hints(function)
                if "return" not in hints or not function.__doc__:
                    missing.append(f"{name}.{each}")
    assert missing == []


def test_the_library_is_marked_as_typed() -> None:
    """PEP 561: without this file, type checkers ignore every annotation."""
    assert (Path(riskbus.__file__).parent / "py.typed").exists()


def test_every_error_has_the_one_base() -> None:
    """One except clause catches all that riskbus raises on purpose."""
    errors = [found for _, found in public("riskbus") if inspect.isclass(found) and issubclass(found, Exception)]
    assert len(errors) == 5
    assert all(issubclass(error, riskbus.RiskBusError) for error in errors)


def test_the_bus_starts_with_the_arguments_that_are_written_down() -> None:
    """Programs out there pass them by position and by name."""
    parameters = inspect.signature(riskbus.RiskEventBus).parameters
    assert list(parameters)[:4] == ["max_workers", "enable_latency_monitoring", "latency_slo_us", "audit_log_path"]
    assert [parameters[name].default for name in list(parameters)[:4]] == [None] * 4
    defaults = BusSettings()
    assert (defaults.max_workers, defaults.enable_latency_monitoring, defaults.latency_slo_us) == (10, True, {})
