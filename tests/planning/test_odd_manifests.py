"""Files that no API server has seen: whatever stands in them, `render` plans it or says what is wrong with it."""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
import yaml

from riskbus_operator.api.errors import InvalidObjectError
from riskbus_operator.policy.render import render
from tests.planning.manifests import Object, deployment, policy

GONE = object()
ODD: tuple[Any, ...] = (GONE, None, True, 3, -1, 1.5, "", "x", "%", [], [3], [None], [{}], {}, {"a": 1})


def workload() -> Object:
    """A Deployment with everything that the plan looks at, as somebody writes it into a file."""
    found = deployment(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0}})
    del found["metadata"]["managedFields"], found["status"]
    pod = found["spec"]["template"]["spec"]
    pod["containers"][0] |= {
        "env": [
            {"name": "MINE", "value": "1"},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
    }
    pod["initContainers"] = [{"name": "doctor", "image": "jules:1"}]
    pod["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    return found


def covering() -> Object:
    """A policy that covers both of its containers."""
    return policy(workloads={"names": ["intraday-jules"], "containers": ["doctor", "jules"]})


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in an object."""
    if isinstance(value, dict | list):
        for step, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*at, step)
            yield from places(part, (*at, step))


def put(obj: Object, place: tuple[Any, ...], value: Any) -> Object:
    """The object with another value at a place."""
    changed = deepcopy(obj)
    holder: Any = changed
    for step in place[:-1]:
        holder = holder[step]
    if value is GONE:
        del holder[place[-1]]
    else:
        holder[place[-1]] = value
    return changed


def said(*manifests: Object) -> list[str]:
    """What the command says of the manifests: what would be applied, or what is wrong. Nothing else is let through."""
    try:
        rendered = render(manifests)
    except InvalidObjectError as error:
        return list(error.problems)
    return [yaml.safe_dump(obj) for obj in rendered.objects] + list(rendered.refusals)


@pytest.mark.parametrize("place", list(places(workload())), ids=lambda place: ".".join(map(str, place)))
def test_a_workload_with_anything_anywhere_is_planned_or_refused(place: tuple[Any, ...]) -> None:
    """A traceback says nothing to whoever wrote the file."""
    for value in ODD:
        assert said(covering(), put(workload(), place, value)), value


@pytest.mark.parametrize("place", list(places(covering())), ids=lambda place: ".".join(map(str, place)))
def test_a_policy_with_anything_anywhere_is_planned_or_refused(place: tuple[Any, ...]) -> None:
    """The same of the other half of the input."""
    for value in ODD:
        assert said(put(covering(), place, value), workload()) or place == ("kind",), value


def test_a_field_that_is_null_is_not_set() -> None:
    """`env:` with nothing behind it is what is left when somebody comments the entries out."""
    bare = workload()
    pod = bare["spec"]["template"]["spec"]
    pod["containers"][0] |= {"env": None, "volumeMounts": None}
    pod |= {"initContainers": None, "volumes": None}
    bare["spec"] |= {"replicas": None, "strategy": {"type": "Recreate", "rollingUpdate": None}}

    assert render([policy(), bare]).refusals == ()
