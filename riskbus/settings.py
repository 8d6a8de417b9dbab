"""Settings of the audit log, read from the environment.

One model holds them all. A wrong value is refused at start with the name of its variable, the value, and what is
allowed instead.
"""

import os
import re
import socket
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails

from riskbus.errors import SettingsError
from riskbus.texts import utf8

DEFAULT_PATH = Path("logs/risk_audit.jsonl")

_STEM_LIMIT = 150  # bytes; segments add 60 to it, and file systems allow 255

_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi)?")
_SIZE_FACTOR = {None: 1, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d)?")
_DURATION_FACTOR = {None: 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Durability(StrEnum):
    """When written records are forced to stable storage."""

    OS = "os"
    GROUP = "group"
    SYNC = "sync"


class WriterKind(StrEnum):
    """What the writer runs in."""

    THREAD = "thread"
    PROCESS = "process"


class ReportMode(StrEnum):
    """Whether this process reports its log to the Kubernetes API."""

    AUTO = "auto"
    OFF = "off"


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if not match:
        raise ValueError("use bytes, or a number with Ki, Mi or Gi, for example 256Mi")
    return int(match[1]) * _SIZE_FACTOR[match[2]]


def seconds(value: object) -> object:
    """Return a text like 90, 15m or 24h as seconds, anything else as it is; raises ValueError for other texts."""
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip())
    if not match:
        raise ValueError("use seconds, or a number with s, m, h or d, for example 24h")
    return float(match[1]) * _DURATION_FACTOR[match[2]]


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _file(value: object) -> object:
    name = os.fspath(value).strip() if isinstance(value, str | os.PathLike) else ""
    stem = Path(str(name)).stem
    if not stem or stem == ".." or len(stem.encode("utf-8", "replace")) > _STEM_LIMIT:
        raise ValueError("use the path of a file, for example /var/log/intraday-jules/risk_audit.jsonl")
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise ValueError("use a path that is valid UTF-8") from None
    return value


def _second_directory(value: object, info: ValidationInfo) -> object:
    """Check the directory as it was given: "" is none, and it must not be the one that it is to stand in for."""
    text = str(os.fspath(value)).strip() if isinstance(value, str | os.PathLike) else ""
    if not text:
        return None
    if not Path(text).is_absolute():
        raise ValueError("use an absolute path on another volume, for example /var/log/second")
    path = info.data.get("path")
    if path is not None and os.path.normpath(text) == os.path.abspath(path.parent):  # noqa: PTH100 -- asks no volume
        raise ValueError("this is the log's own directory; use one on another volume, for example /var/log/second")
    return text


_NOT_IN_NAMES = r"\s+\x00-\x1f\x7f-\x9f"
"""What the name of a key in a signed note must not hold (C2SP), and what else some take for the end of a line."""

_Text = Annotated[str, AfterValidator(utf8)]
"""What is no UTF-8 is escaped: it stands in records, and must not keep one from being made."""


class AuditSettings(BaseModel):
    """How the audit log of this process works. Immutable, so safe to share between threads.

    Attributes:
        path: the file that users follow; its directory holds the stream. `RISK_AUDIT_LOG_PATH`.
        durability: os, group or sync. `RISK_AUDIT_DURABILITY`.
        writer: thread, or process: a child that hashes, syncs and hangs in the trader's stead. `RISK_AUDIT_WRITER`.
        rotation_max_size: bytes after which a new segment begins. `RISK_AUDIT_ROTATION_MAX_SIZE`.
        rotation_max_age: seconds after which a new segment begins. `RISK_AUDIT_ROTATION_MAX_AGE`.
        rotation_compress: whether closed segments are compressed. `RISK_AUDIT_ROTATION_COMPRESS`.
        rotation_keep: newest closed segments that always stay on the volume. `RISK_AUDIT_ROTATION_KEEP`.
        retention_days: days before which no segment is ever removed. `RISK_AUDIT_RETENTION_DAYS`.
        second_dir: a directory on another volume, for records that the first one refuses. `RISK_AUDIT_SECOND_DIR`.
        staging_dir: a directory on a memory file system, for records on their way. `RISK_AUDIT_STAGING_DIR`.
        staging_size: bytes of memory for them, taken at the start. `RISK_AUDIT_STAGING_SIZE`.
        staging_overflow: bytes taken when more come than the writer can follow, or while the volume is gone: there, and
            as many in private memory; what comes beyond goes to the emergency stream. `RISK_AUDIT_STAGING_OVERFLOW`.
        stream: name of the stream, part of every checkpoint's origin; "" derives one. `RISK_AUDIT_STREAM`.
        report: auto reports to the Kubernetes API where a service account token is mounted. `RISK_AUDIT_REPORT`.
        report_interval: seconds between reports. `RISK_AUDIT_REPORT_INTERVAL`.
        policy: name of the RiskAuditPolicy that covers this pod. `RISK_AUDIT_POLICY`.
        container: name of this container. `RISK_AUDIT_CONTAINER`.
        pod_name: by the downward API. `POD_NAME`.
        pod_namespace: by the downward API. `POD_NAMESPACE`.
        pod_uid: by the downward API. `POD_UID`.
        node_name: by the downward API. `NODE_NAME`.
        image: the container's image, if someone says so. `RISK_AUDIT_IMAGE`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    path: Annotated[Path, BeforeValidator(_file)] = DEFAULT_PATH
    durability: Annotated[Durability, BeforeValidator(_lower)] = Durability.GROUP
    writer: Annotated[WriterKind, BeforeValidator(_lower)] = WriterKind.THREAD
    # Numbers end where neither the record of the settings nor the compiled rounds could hold them, in 64 bits.
    rotation_max_size: Annotated[int, BeforeValidator(_size), Field(ge=64 << 10, le=1 << 60)] = 256 << 20
    rotation_max_age: Annotated[float, BeforeValidator(seconds), Field(ge=1, allow_inf_nan=False)] = 86400
    rotation_compress: bool = True
    rotation_keep: Annotated[int, Field(ge=1, le=10**9)] = 30
    retention_days: Annotated[int, Field(ge=1, le=36525)] = 1827
    second_dir: Annotated[Path | None, BeforeValidator(_second_directory)] = None
    staging_dir: Path = Path("/dev/shm")  # noqa: S108 -- the machine's, and in Kubernetes the pod's, shared memory
    staging_size: Annotated[int, BeforeValidator(_size), Field(ge=64 << 10, le=1 << 30)] = 16 << 20
    staging_overflow: Annotated[int, BeforeValidator(_size), Field(ge=0, le=1 << 40)] = 64 << 20
    stream: Annotated[str, Field(pattern=rf"^[^{_NOT_IN_NAMES}]*$", max_length=200)] = ""
    report: Annotated[ReportMode, BeforeValidator(_lower)] = ReportMode.AUTO
    report_interval: Annotated[float, BeforeValidator(seconds), Field(ge=1, allow_inf_nan=False)] = 60
    policy: _Text = ""
    container: _Text = ""
    pod_name: _Text = ""
    pod_namespace: _Text = ""
    pod_uid: _Text = ""
    node_name: _Text = ""
    image: _Text = ""

    @classmethod
    def variables(cls) -> Mapping[str, str]:
        """Return which environment variable sets which field."""
        return VARIABLES

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ, **arguments: object) -> Self:
        """Read the settings; arguments that are not None win over the environment.

        Raises:
            SettingsError: a value is wrong; the message lists every wrong one with its source.
        """
        variables = {name: variable for name, variable in cls.variables().items() if variable in environ}
        values: dict[str, object] = {name: environ[variable] for name, variable in variables.items()}
        sources = {name: f"environment variable {variable}" for name, variable in variables.items()}
        given = {name: value for name, value in arguments.items() if value is not None}
        sources |= {name: f"argument {name}" for name in given}
        return cls.validated(values | given, sources)

    @classmethod
    def validated(cls, values: Mapping[str, object], sources: Mapping[str, str]) -> Self:
        """Return the settings with these values, and defaults for the rest.

        Args:
            values: by field.
            sources: where each comes from, for the message.

        Raises:
            SettingsError: a value is wrong; the message lists every wrong one with its source.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError("; ".join(_explain(each, values, sources) for each in error.errors())) from None

    def stream_name(self) -> str:
        """Return the stream's name: the one set, or namespace (else host), directory and file stem with slashes."""
        if self.stream:
            return self.stream
        owner = self.pod_namespace or socket.gethostname()
        return re.sub(f"[{_NOT_IN_NAMES}]", "-", utf8(f"{owner}/{self.path.absolute().parent.name}/{self.path.stem}"))


VARIABLES = {
    "path": "RISK_AUDIT_LOG_PATH",
    "durability": "RISK_AUDIT_DURABILITY",
    "writer": "RISK_AUDIT_WRITER",
    "rotation_max_size": "RISK_AUDIT_ROTATION_MAX_SIZE",
    "rotation_max_age": "RISK_AUDIT_ROTATION_MAX_AGE",
    "rotation_compress": "RISK_AUDIT_ROTATION_COMPRESS",
    "rotation_keep": "RISK_AUDIT_ROTATION_KEEP",
    "retention_days": "RISK_AUDIT_RETENTION_DAYS",
    "second_dir": "RISK_AUDIT_SECOND_DIR",
    "staging_dir": "RISK_AUDIT_STAGING_DIR",
    "staging_size": "RISK_AUDIT_STAGING_SIZE",
    "staging_overflow": "RISK_AUDIT_STAGING_OVERFLOW",
    "stream": "RISK_AUDIT_STREAM",
    "report": "RISK_AUDIT_REPORT",
    "report_interval": "RISK_AUDIT_REPORT_INTERVAL",
    "policy": "RISK_AUDIT_POLICY",
    "container": "RISK_AUDIT_CONTAINER",
    "pod_name": "POD_NAME",
    "pod_namespace": "POD_NAMESPACE",
    "pod_uid": "POD_UID",
    "node_name": "NODE_NAME",
    "image": "RISK_AUDIT_IMAGE",
}
"""Which environment variable sets which field."""


def _explain(problem: ErrorDetails, values: Mapping[str, object], sources: Mapping[str, str]) -> str:
    field = str(problem["loc"][0])
    source = sources.get(field, field)
    if problem["type"] == "extra_forbidden":
        return f"{source}={str(values.get(field))!r} is wrong: there is no setting of this name"
    return f"{source}={str(values.get(field))!r} is wrong: {problem['msg'].removeprefix('Value error, ')}"
