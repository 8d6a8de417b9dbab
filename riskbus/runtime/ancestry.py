"""In which directories earlier incarnations may stand, without waiting for one that hangs."""

from contextlib import suppress
from pathlib import Path
from threading import Thread

from riskbus.errors import FormatError
from riskbus.settings import AuditSettings
from riskbus.store.stream import Previous, find_previous, list_segments

_PATIENCE = 1.0  # seconds for the second volume to list a directory; the first one's records wait meanwhile


def directories(settings: AuditSettings) -> list[Path]:
    """Return the log's directory, and the second one if there is one that answers at once."""
    second = settings.second_dir
    return [settings.path.parent, *([second] if second is not None and _answers(second) else [])]


def previous_incarnation(settings: AuditSettings, incarnation: str, *, distrust: bool) -> Previous | None:
    """Return where the newest other incarnation stands, None if none is found; `distrust` leaves out the first."""
    where = directories(settings)[1 if distrust else 0 :]
    with suppress(OSError, FormatError):
        return find_previous(where, settings.path.stem, incarnation)
    return None


def _answers(directory: Path) -> bool:
    listed: list[object] = []

    def look() -> None:
        with suppress(OSError):
            listed.append(list_segments(directory))

    looking = Thread(target=look, name="riskbus-second-volume", daemon=True)
    looking.start()
    looking.join(_PATIENCE)
    return bool(listed)
