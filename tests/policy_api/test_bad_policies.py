"""What the API server refuses, `parse` refuses as well: files given to `render` never meet an API server."""

import pytest

from riskbus_operator.api.errors import InvalidObjectError
from riskbus_operator.api.policy import RiskAuditPolicy
from tests.policy_api.examples import BAD, VARIANTS, Bad, changed


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_policy_is_refused_with_what_to_write_instead(bad: Bad) -> None:
    """A user who reads the message can mend the policy without looking anything up."""
    with pytest.raises(InvalidObjectError) as refusal:
        RiskAuditPolicy.parse(changed(bad.changes), strict=True)

    assert bad.says.lower() in str(refusal.value).lower()


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_a_good_policy_is_taken(changes: dict[str, object]) -> None:
    """Rules that refuse too much are as bad as rules that refuse too little."""
    assert RiskAuditPolicy.parse(changed(changes), strict=True).metadata.name == "intraday"


def test_the_refusal_names_the_field_as_kubectl_does() -> None:
    """The path must be one that can be searched for in the file."""
    with pytest.raises(InvalidObjectError) as refusal:
        RiskAuditPolicy.parse(changed({"spec.workloads.containers": ["ok", "No"]}))

    assert refusal.value.problems[0].startswith("spec.workloads.containers[1]: must be a DNS label")


def test_an_unknown_field_is_ignored_unless_strict() -> None:
    """A newer definition may have fields that this operator does not know; a user's file must not."""
    policy = changed({"spec.audit.colour": "red"})

    assert RiskAuditPolicy.parse(policy) == RiskAuditPolicy.parse(changed({}))
    with pytest.raises(InvalidObjectError, match=r"spec\.audit\.colour: unknown field"):
        RiskAuditPolicy.parse(policy, strict=True)


@pytest.mark.parametrize("text", ["", 7, None, [], {1: 2}, {"spec": object()}], ids=repr)
def test_what_is_no_object_is_refused_without_a_traceback(text: object) -> None:
    """A YAML file may hold anything."""
    with pytest.raises(InvalidObjectError):
        RiskAuditPolicy.parse(text)
