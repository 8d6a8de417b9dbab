"""How well this machine's clock is synchronised, as the kernel knows it."""

import ctypes
from dataclasses import dataclass

_STA_UNSYNC = 0x0040
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """`struct timex` of Linux on 64-bit machines; see adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_byte * 256),  # longer than any kernel writes
    )


_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """Quality of the clock.

    Attributes:
        synchronized: whether a time service disciplines the clock now.
        estimated_error_us: the service's own estimate of the error, in microseconds.
        max_error_us: the bound of the error, in microseconds; it grows by 500 a second without a service.
    """

    synchronized: bool
    estimated_error_us: int
    max_error_us: int


def read_clock_status() -> ClockStatus:
    """Ask the kernel about its clock; needs no privilege. Thread-safe. Source: adjtimex(2), RFC 5905."""
    timex = _Timex(modes=0)
    state = _libc.adjtimex(ctypes.byref(timex))
    if state < 0:  # refused, for example by a seccomp profile: nothing vouches for the clock
        return ClockStatus(synchronized=False, estimated_error_us=0, max_error_us=0)
    synchronized = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    return ClockStatus(synchronized, timex.esterror, timex.maxerror)
