"""Every error that riskbus raises on purpose.

    RiskBusError
    ├── SettingsError       a setting is wrong: fix the named environment variable or argument and start again
    ├── InvalidEventError   an event cannot be recorded as it is: a programming error at the call that made it
    ├── ClosedError         the bus or log was used after close(): a programming error
    └── FormatError         bytes are not what docs/format.md says: run `riskbus verify` on the directory

A failing volume raises none of these: it is a state of the log (`AuditLog.status`), a metric and a line on standard
output, because it must never break the caller.
"""


class RiskBusError(Exception):
    """Base of every error that riskbus raises on purpose."""


class SettingsError(RiskBusError, ValueError):
    """A setting has a wrong value. The message names the source, the value and what is allowed."""


class InvalidEventError(RiskBusError, ValueError):
    """An event cannot be recorded as it is. The message names the field, the value and what is allowed."""


class ClosedError(RiskBusError, RuntimeError):
    """The bus or log was used after it was closed."""


class FormatError(RiskBusError, ValueError):
    """Bytes do not follow the format of the audit log."""
