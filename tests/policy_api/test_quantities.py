"""Sizes and durations mean here what they mean to Kubernetes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.utils.quantity import parse_quantity

from riskbus_operator.api.quantity import duration_in_seconds, size_in_bytes

_UNITS = ["", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi"]


# Kubernetes' own parser in Python counts with 28 digits, which end at some 10^12 pebibytes.
@given(number=st.integers(min_value=1, max_value=10**12), unit=st.sampled_from(_UNITS))
def test_a_size_has_the_bytes_that_kubernetes_counts(number: int, unit: str) -> None:
    """A size read differently would make claims that shrink, and alerts at the wrong time."""
    text = f"{number}{unit}"

    assert size_in_bytes(text) == parse_quantity(text)  # type: ignore[no-untyped-call]  # ships no types


@pytest.mark.parametrize("text", ["", "0", "Gi", "-1Gi", "1.5Gi", "1e9", "50m", "50GB", "50 Gi", "1K", "1Ei", "1Gi\n"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """`50m` is a quantity to Kubernetes: the twentieth part of a byte."""
    with pytest.raises(ValueError, match="like 50Gi"):
        size_in_bytes(text)


def test_a_duration_is_its_seconds() -> None:
    """Rotation and reports are timed by it."""
    assert [duration_in_seconds(text) for text in ("90s", "15m", "24h")] == [90, 900, 86400]


@pytest.mark.parametrize("text", ["", "0s", "1d", "1h30m", "1.5h", "60", "-5s", "5ms", "60s\n"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """What Go reads and CEL reads is narrower than what people write."""
    with pytest.raises(ValueError, match="like 24h"):
        duration_in_seconds(text)
