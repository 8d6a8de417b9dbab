"""Who gets which events, known before the first of them comes."""

from hypothesis import given
from hypothesis import strategies as st

from riskbus import EventType, RiskEvent
from riskbus.bus.routes import Routes
from riskbus.bus.subscription import Subscription

WANTED = st.sampled_from([None, "KILL_SWITCH", "OWN_KIND", ("KILL_SWITCH", "THROTTLE")])
LOOKED_FOR = st.sampled_from(["KILL_SWITCH", "OWN_KIND", "ANOTHER_KIND"])
STEPS = st.lists(st.one_of(st.tuples(WANTED, st.booleans()), st.integers(0, 5), LOOKED_FOR), max_size=20)


def handle(_: RiskEvent) -> None:
    """Do nothing with an event."""


@given(STEPS)
def test_what_is_known_is_what_would_be_found(steps: list[tuple[object, bool] | int | str]) -> None:
    """Whatever subscribes and unsubscribes in whatever order, and whichever types were looked for meanwhile."""
    routes = Routes()
    for step in steps:
        if isinstance(step, tuple):
            wanted, inline = step
            routes.add(Subscription(wanted, handle, name="", inline=inline))  # type: ignore[arg-type]  # of several kinds
        elif isinstance(step, str):
            routes.find(step)
        elif step < len(routes.subscriptions):
            routes.remove(routes.subscriptions[step])
        anew = Routes(routes.subscriptions)
        for name, route in routes.known.items():
            assert route == anew.find(name)


def test_the_route_of_every_usual_kind_is_known_before_its_first_event() -> None:
    """A kill switch may be published once in the life of a process, and that one must not wait for a look-up."""
    subscription = Subscription(None, handle, name="all", inline=True)
    routes = Routes()
    routes.add(subscription)
    assert {name: route.inline for name, route in routes.known.items()} == dict.fromkeys(
        map(str, EventType), (subscription,)
    )


def test_taking_out_what_is_not_there_changes_nothing() -> None:
    """Unsubscribing twice is not a mistake."""
    routes = Routes()
    kept = Subscription(None, handle, name="kept", inline=True)
    routes.add(kept)
    routes.remove(Subscription(None, handle, name="other", inline=True))
    assert routes.subscriptions == (kept,)
    assert routes.known["KILL_SWITCH"].inline == (kept,)
