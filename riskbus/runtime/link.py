"""The symbolic link that people follow: the log's path, which points to the active segment."""

import logging
from pathlib import Path

from riskbus.runtime.control import Say
from riskbus.store.segment import Segment
from riskbus.store.stream import claim_link


class Link:
    """The link of a log. Belongs to the writer's thread."""

    def __init__(self, path: Path, say: Say) -> None:
        self._path = path
        self._say = say
        self._refused = False

    def point_to(self, segment: Segment) -> None:
        """Let the link point to this segment, unless something else has its name, or an older writer that lives."""
        try:
            claim_link(self._path, segment.name)
        except FileExistsError:
            if not self._refused:
                self._refused = True
                text = f"{self._path} is not a link of ours and is left alone; records go to {segment.path}"
                self._say(logging.WARNING, f"AUDIT LOG RISK: {text}")
        except OSError:
            pass  # the link is a convenience; the next chores try again
