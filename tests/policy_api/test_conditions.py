"""Conditions keep the time at which their status flipped, and no other."""

from datetime import UTC, datetime, timedelta

from riskbus_operator.api.conditions import Condition, merged

NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def _ready(status: str, reason: str, at: datetime, kind: str = "Ready") -> Condition:
    return Condition.parse(
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": "",
            "lastTransitionTime": at.isoformat(),
            "observedGeneration": 1,
        }
    )


def test_a_new_reason_alone_keeps_the_time() -> None:
    """An alert on "not ready for ten minutes" must not start again whenever the reason changes."""
    kept = merged([_ready("False", "Pending", NOON)], [_ready("False", "Blocked", NOON + timedelta(hours=1))])

    assert kept == (_ready("False", "Blocked", NOON),)


def test_a_flip_takes_the_new_time() -> None:
    """The time says since when it is so."""
    later = NOON + timedelta(hours=1)

    assert merged([_ready("False", "Pending", NOON)], [_ready("True", "Ready", later)]) == (
        _ready("True", "Ready", later),
    )


def test_a_condition_that_is_not_wanted_any_more_goes() -> None:
    """A leftover would be believed."""
    stale = _ready("False", "Failed", NOON, kind="BackupHealthy")

    assert merged([stale], [_ready("True", "Ready", NOON)]) == (_ready("True", "Ready", NOON),)
