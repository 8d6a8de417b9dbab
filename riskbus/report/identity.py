"""Which pod this process runs in, read from the token that Kubernetes bound to the pod."""

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from riskbus.errors import RiskBusError


class PodIdentityError(RiskBusError):
    """The mounted service account token cannot be read or names no pod."""


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """A pod and the token that proves it.

    Attributes:
        namespace: The pod's namespace.
        name: The pod's name.
        uid: The pod's uid.
        service_account: The service account the pod runs as.
        token: The bound service account token; kept out of `repr`, so that no log line carries it.
    """

    namespace: str
    name: str
    uid: str
    service_account: str
    token: str = field(repr=False)


def read_identity(token_path: Path) -> PodIdentity:
    """Read the token and the pod it is bound to.

    The token is read anew each time: the kubelet replaces it well before it expires. Its signature is not checked here
    (the API server does that); the claims only say which report is this pod's own. See KEP-1205 (bound service account
    tokens) for the `kubernetes.io` claim.

    Args:
        token_path: The projected token file.

    Returns:
        The pod's identity.

    Raises:
        PodIdentityError: The file cannot be read, is no JSON Web Token, or is not bound to a pod.
    """
    try:
        token = token_path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PodIdentityError(
            f"cannot read the service account token {token_path}: {error}; set automountServiceAccountToken: true on "
            f"the pod, or RISK_AUDIT_REPORT=off"
        ) from error
    claims = _claims(token, token_path)
    try:
        bound = claims["kubernetes.io"]
        return PodIdentity(
            namespace=bound["namespace"],
            name=bound["pod"]["name"],
            uid=bound["pod"]["uid"],
            service_account=bound["serviceaccount"]["name"],
            token=token,
        )
    except (KeyError, TypeError) as error:
        raise PodIdentityError(
            f"the service account token {token_path} is not bound to a pod: mount the projected token that Kubernetes "
            f"gives each pod, not a service account token Secret"
        ) from error


def _claims(token: str, token_path: Path) -> dict[str, Any]:
    try:
        _header, payload, _signature = token.split(".")
        claims = orjson.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, binascii.Error) as error:
        raise PodIdentityError(f"the service account token {token_path} is not a JSON Web Token") from error
    return claims if isinstance(claims, dict) else {}
