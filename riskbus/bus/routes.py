"""Which subscriptions want events of which type."""

import threading
from typing import NamedTuple

from riskbus.bus.outcomes import OWN_TYPES
from riskbus.bus.subscription import Subscription
from riskbus.events import EventType

_REMEMBERED_TYPES = 1024
"""Event types whose subscribers are remembered: more than any program has, and a bound for one that makes names up."""


class Route(NamedTuple):
    """Who gets events of a type, each in the order of subscribing.

    Attributes:
        inline: Whose handlers run on the publisher's thread.
        queued: Whose handlers run elsewhere.
        watched: Whether it is measured how long such events take to become durable: not for the bus' own, which must
            not tell of themselves.
    """

    inline: tuple[Subscription, ...]
    queued: tuple[Subscription, ...]
    watched: bool

    def with_one_more(self, subscription: Subscription) -> "Route":
        """Return it with this subscription at its end."""
        if subscription.inline:
            return self._replace(inline=(*self.inline, subscription))
        return self._replace(queued=(*self.queued, subscription))

    def without(self, subscription: Subscription) -> "Route":
        """Return it without this subscription."""
        return self._replace(
            inline=tuple(other for other in self.inline if other is not subscription),
            queued=tuple(other for other in self.queued if other is not subscription),
        )


class Routes:
    """All subscriptions of a bus.

    A change replaces the tables and never alters them, so a publish that is under way goes on with those it saw. The
    routes of every `EventType` are known from the start: the first kill switch must not be the slowest.

    Thread-safety: every method from any thread; `find` from signal handlers too.

    Attributes:
        subscriptions: In the order in which they were made.
        known: Routes by the name of the event type, as far as they were looked for.
    """

    __slots__ = ("_lock", "known", "subscriptions")

    def __init__(self, subscriptions: tuple[Subscription, ...] = ()) -> None:
        self._lock = threading.Lock()
        self.subscriptions = subscriptions
        self.known: dict[str, Route] = {}
        for event_type in EventType:
            self.find(event_type.value)

    def add(self, subscription: Subscription) -> None:
        """Take a subscription in."""
        with self._lock:
            known = self.known.copy()  # before the subscription is there: what `find` puts in later may hold it already
            self.subscriptions = (*self.subscriptions, subscription)
            self.known = {
                name: route.with_one_more(subscription) if subscription.wants(name) else route
                for name, route in known.items()
            }

    def remove(self, subscription: Subscription) -> None:
        """Take a subscription out; one that is not there changes nothing."""
        with self._lock:
            known = self.known.copy()
            self.subscriptions = tuple(other for other in self.subscriptions if other is not subscription)
            self.known = {
                name: route.without(subscription) if subscription.wants(name) else route
                for name, route in known.items()
            }

    def find(self, event_type: str) -> Route:
        """Return who wants events of the type with this name."""
        known = self.known  # read before the subscriptions: what is remembered below is never newer than this
        interested = [subscription for subscription in self.subscriptions if subscription.wants(event_type)]
        route = Route(
            tuple(subscription for subscription in interested if subscription.inline),
            tuple(subscription for subscription in interested if not subscription.inline),
            event_type not in OWN_TYPES,
        )
        if len(known) < _REMEMBERED_TYPES:
            known[event_type] = route
        return route
