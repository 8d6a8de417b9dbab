"""What else one could record an event with: the usual loggers, and what people write by hand.

Each is set up as its own documentation recommends for speed, and writes one line of JSON an event to a file. None of
them hashes, syncs or survives `kill -9`.
"""

import json
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import orjson

from benchmarks.measuring import load


@dataclass(frozen=True, slots=True)
class Recorder:
    """One way to record an event.

    Attributes:
        record: records these fields.
        close: brings everything to the file.
    """

    record: Callable[[dict[str, Any]], object]
    close: Callable[[], object]


def _logging(path: Path) -> Recorder:
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("audit")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return Recorder(lambda fields: logger.info(json.dumps(fields)), handler.close)


def _structlog(path: Path) -> Recorder:
    structlog = load("structlog")
    file = path.open("ab")
    logger = structlog.wrap_logger(
        structlog.BytesLogger(file),
        processors=[structlog.processors.JSONRenderer(serializer=orjson.dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    ).bind()
    return Recorder(lambda fields: logger.info("risk", **fields), file.close)


def _picologging(path: Path) -> Recorder:
    picologging = load("picologging")
    handler = picologging.FileHandler(str(path))
    handler.setFormatter(picologging.Formatter("%(message)s"))
    logger = picologging.getLogger("audit")
    logger.setLevel(picologging.INFO)
    logger.addHandler(handler)
    return Recorder(lambda fields: logger.info(orjson.dumps(fields).decode()), handler.close)


def _loguru(path: Path) -> Recorder:
    logger = load("loguru").logger
    logger.remove()
    logger.add(path, format="{message}")
    return Recorder(lambda fields: logger.info(orjson.dumps(fields).decode()), logger.remove)


def _naive(path: Path) -> Recorder:
    file = path.open("a", encoding="utf-8")
    lock = Lock()

    def record(fields: dict[str, Any]) -> None:
        with lock:
            file.write(json.dumps(fields) + "\n")
            file.flush()

    return Recorder(record, file.close)


def _os_write(path: Path) -> Recorder:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def record(fields: dict[str, Any]) -> None:
        os.write(descriptor, orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))

    return Recorder(record, partial(os.close, descriptor))


@dataclass(frozen=True, slots=True)
class Peer:
    """Another way to record events.

    Attributes:
        package: what it needs, "" for nothing.
        make: sets it up to record in this file.
    """

    package: str
    make: Callable[[Path], Recorder]


PEERS = {
    "logging + json": Peer("", _logging),
    "structlog + orjson": Peer("structlog", _structlog),
    "picologging + orjson": Peer("picologging", _picologging),
    "loguru + orjson": Peer("loguru", _loguru),
    "json + flush under a lock": Peer("", _naive),
    "os.write of each line": Peer("", _os_write),
}
