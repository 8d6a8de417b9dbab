"""Reading managedFields as the API server writes them (KEP-555)."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from riskbus_operator.policy.ownership import is_applied, item_step, others_own, owned
from tests.planning.manifests import Object, applied

# Recorded from Kubernetes 1.36 after an apply over a Deployment that kubectl had made.
RECORDED: Object = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "jules",
        "managedFields": [
            {
                "manager": "riskbus-operator",
                "operation": "Apply",
                "fieldsV1": {
                    "f:spec": {
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"jules"}': {
                                        ".": {},
                                        "f:env": {
                                            'k:{"name":"POD_NAME"}': {
                                                ".": {},
                                                "f:name": {},
                                                "f:valueFrom": {"f:fieldRef": {}},
                                            }
                                        },
                                        "f:name": {},
                                        "f:volumeMounts": {
                                            'k:{"mountPath":"/var/log/x"}': {".": {}, "f:mountPath": {}, "f:name": {}}
                                        },
                                    }
                                }
                            }
                        }
                    }
                },
            },
            {
                "manager": "kubectl-client-side-apply",
                "operation": "Update",
                "fieldsV1": {
                    "f:spec": {
                        "f:template": {
                            "f:spec": {
                                "f:containers": {
                                    'k:{"name":"jules"}': {
                                        "f:env": {".": {}, 'k:{"name":"X"}': {".": {}, "f:name": {}, "f:value": {}}},
                                        "f:image": {},
                                    }
                                }
                            }
                        }
                    }
                },
            },
        ],
    },
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "jules",
                        "image": "busybox",
                        "env": [
                            {"name": "X", "value": "1"},
                            {
                                "name": "POD_NAME",
                                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
                            },
                        ],
                        "volumeMounts": [{"mountPath": "/var/log/x", "name": "risk-audit"}],
                    }
                ]
            }
        },
    },
}
ENV = ("f:spec", "f:template", "f:spec", "f:containers", item_step(name="jules"), "f:env")


def test_what_is_owned_is_exactly_what_was_applied() -> None:
    """No more (the user's image), and no less (the atomic fieldRef)."""
    container = {
        "name": "jules",
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}}},
        ],
        "volumeMounts": [{"mountPath": "/var/log/x", "name": "risk-audit"}],
    }
    patch = {"metadata": {"name": "jules"}, "spec": {"template": {"spec": {"containers": [container]}}}}

    assert owned(RECORDED) == {"spec": patch["spec"]}
    assert is_applied(patch, RECORDED)


def test_nothing_applied_is_nothing_owned() -> None:
    """The state after removal: an apply without fields is settled when the operator owns none."""
    assert owned({"metadata": {"name": "jules"}}) == {}
    assert is_applied({"metadata": {"name": "jules"}}, {"metadata": {"name": "jules"}})
    assert not is_applied({"metadata": {"name": "jules"}}, RECORDED)
    assert not is_applied({"metadata": {"name": "jules"}}, None)


def test_the_other_owners_of_an_entry_are_named() -> None:
    """A conflict has somebody at its other end."""
    assert others_own(RECORDED, (*ENV, item_step(name="X"))) == ("kubectl-client-side-apply",)
    assert others_own(RECORDED, (*ENV, item_step(name="POD_NAME"))) == ()


entries = st.lists(
    st.fixed_dictionaries({"name": st.text('ABC_"\\é', min_size=1, max_size=4), "value": st.text(max_size=5)}),
    max_size=5,
    unique_by=lambda entry: entry["name"],
)


def workload(env: list[Object]) -> Object:
    """An apply of these variables."""
    container: Object = {"name": "jules", "env": env} if env else {"name": "jules"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "jules"},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


@given(entries, entries)
def test_an_apply_is_settled_if_and_only_if_the_same_was_applied(first: list[Any], second: list[Any]) -> None:
    """In any order: the items of a list that several own have none."""
    by_name = {entry["name"]: entry["value"] for entry in first} == {entry["name"]: entry["value"] for entry in second}

    assert is_applied(workload(second), quoted(applied(workload(first)), first)) is by_name


def quoted(live: Object, env: list[Object]) -> Object:
    """The ownership with its keys as JSON, whatever the names are made of."""
    steps: Object = {item_step(name=entry["name"]): {".": {}, "f:name": {}, "f:value": {}} for entry in env}
    container: Object = {".": {}, "f:name": {}} | ({"f:env": steps} if env else {})
    fields = {"f:spec": {"f:template": {"f:spec": {"f:containers": {item_step(name="jules"): container}}}}}
    live["metadata"]["managedFields"] = [{"manager": "riskbus-operator", "operation": "Apply", "fieldsV1": fields}]
    return live
