"""`riskbus tail`: the newest records of an audit log, and those that come."""

import select
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any

from riskbus.cli import arguments
from riskbus.cli.rendering import Renderer, colour_wanted
from riskbus.errors import SettingsError
from riskbus.events import EventPriority
from riskbus.format.selection import Entry, Selection
from riskbus.settings import AuditSettings, seconds
from riskbus.store.following import Follower
from riskbus.store.history import History

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_INTERVAL_MS = 200  # between two looks at the directory: soon enough for eyes, seldom enough for the volume
_NS = 10**9
Show = Callable[[Iterable[Entry]], None]


def add_to(commands: "_SubParsersAction[Any]") -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "tail",
        help="show the newest events of an audit log, and follow it",
        description="Show events in the order of their time, over all segments and incarnations; with --follow also\n"
        "those that come, over rotations, restarts and several processes, until it is interrupted.",
        epilog="examples:\n"
        "  riskbus tail                                              the last 10 events of RISK_AUDIT_LOG_PATH\n"
        "  riskbus tail /audit -n all --since 2026-01-15 --json      everything since that day, as it was written\n"
        "  riskbus tail /audit -f --priority CRITICAL,HIGH           what matters, as it comes\n"
        "  riskbus tail /audit -f -n 0 --source 'Feed*' --control    one source, and the log's own records\n"
        "\n"
        "A record is shown whether or not its hash is right: that is for `riskbus verify` to say.\n"
        "\n"
        "exit codes:\n"
        "  0    everything was shown\n"
        "  64   wrong usage, or no such directory (with --follow it is waited for)\n"
        "  74   the log cannot be read\n"
        "  130  interrupted, which is how --follow ends",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "paths",
        metavar="PATH",
        type=arguments.path,
        nargs="*",
        help="directories, or paths of logs in them; RISK_AUDIT_LOG_PATH and RISK_AUDIT_SECOND_DIR where none is given",
    )
    parser.add_argument("-n", "--lines", metavar="N", type=_count, default=10, help="how many of the past, or all (10)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("--json", action="store_true", help="show each line as it is in the log")
    _add_filters(parser)
    parser.set_defaults(run=run)


def _add_filters(parser: ArgumentParser) -> None:
    group = parser.add_argument_group(
        "filters", "Several values are separated by commas; a record has to pass all filters."
    )
    group.add_argument("--type", metavar="TYPE", type=_names, default=frozenset(), help="event types")
    group.add_argument("--priority", metavar="PRIORITY", type=_priorities, default=frozenset(), help="CRITICAL, …")
    group.add_argument("--source", metavar="SOURCE", type=_words, default=(), help="sources; * stands for anything")
    group.add_argument("--event-id", metavar="ID", type=_words, default=(), help="event ids")
    group.add_argument("--since", metavar="TIME", type=_time, help="from 2026-01-15T14:30:25Z, or from 15m ago, on")
    group.add_argument("--until", metavar="TIME", type=_time, help="before that time")
    group.add_argument("--control", action="store_true", help="also the log's own records (AUDIT_*)")


def run(options: Namespace) -> int:
    """Show what is asked for; returns the exit code.

    Raises:
        SettingsError: there is no such directory.
        OSError: the log cannot be read.
    """
    places = _places(options.paths)
    absent = [str(directory) for directory, _ in places if not directory.is_dir()]
    if absent and not options.follow and (options.paths or len(absent) == len(places)):
        remedy = "give the directory of the audit log's segments, or --follow to wait for it"
        raise SettingsError(f"{', '.join(absent)} is not a directory; {remedy}")
    selection = Selection(
        types=options.type,
        priorities=options.priority,
        sources=options.source,
        event_ids=frozenset(options.event_id),
        since_ns=options.since,
        until_ns=options.until,
        control=options.control,
    )
    show = _writer_of_lines() if options.json else _writer_for_people()
    follower = Follower(places, _notice)
    history = History(follower.skip(), selection, _notice)
    show(history.all() if options.lines is None else history.last(options.lines))
    if options.follow and absent:
        _notice(f"{', '.join(absent)} does not exist yet; waiting for it")
    while options.follow:
        _wait()
        show(entry for entry in follower.poll() if selection.wants(entry))
    return 0


def _places(paths: list[Path]) -> list[tuple[Path, str | None]]:
    """Return the directories, each with the stem of the one log that is wanted there, None for every log."""
    if paths:
        logs = [path.suffix == ".jsonl" and not path.is_dir() for path in paths]
        return [(path.parent, path.stem) if log else (path, None) for path, log in zip(paths, logs, strict=True)]
    settings = AuditSettings.from_environment()
    directories = [settings.path.parent, *([settings.second_dir] if settings.second_dir else [])]
    return [(directory, settings.path.stem) for directory in directories]


def _writer_of_lines() -> Show:
    def show(entries: Iterable[Entry]) -> None:
        for entry in entries:
            sys.stdout.buffer.write(entry.line)
        sys.stdout.buffer.flush()

    return show


def _writer_for_people() -> Show:
    renderer = Renderer(coloured=colour_wanted())

    def show(entries: Iterable[Entry]) -> None:
        for entry in entries:
            sys.stdout.write(f"{renderer.render(entry)}\n")
        sys.stdout.flush()

    return show


def _wait() -> None:
    """Wait for the next look; raises BrokenPipeError as soon as the reader of standard output has gone."""
    reader = select.poll()
    reader.register(sys.stdout.fileno(), 0)
    if reader.poll(_INTERVAL_MS):
        raise BrokenPipeError


@lru_cache  # each is said once
def _notice(sentence: str) -> None:
    sys.stderr.write(f"riskbus: {sentence}\n")


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isascii() or not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is no number; give how many, or all")
    return int(text)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _names(text: str) -> frozenset[str]:
    return frozenset(word.upper() for word in _words(text))


def _priorities(text: str) -> frozenset[str]:
    names = _names(text)
    known = [priority.name for priority in EventPriority]
    if not names <= set(known):
        raise ArgumentTypeError(f"{text!r} is no priority; give one or more of {', '.join(known)}")
    return names


def _time(text: str) -> int:
    """Return nanoseconds since the epoch for a moment (in UTC unless it says otherwise), or for how long ago."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return int(moment.timestamp()) * _NS + moment.microsecond * 1000
    try:
        return time_ns() - int(float(str(seconds(text))) * _NS)
    except ValueError:
        raise ArgumentTypeError(
            f"{text!r} is no time; give one like 2026-01-15T14:30:25Z, or how long ago, like 15m or 24h"
        ) from None
