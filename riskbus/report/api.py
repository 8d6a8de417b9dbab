"""Speaks to the Kubernetes API server: one server-side apply, with the standard library only."""

import contextlib
import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from riskbus.errors import RiskBusError
from riskbus.report.identity import PodIdentity
from riskbus.report.manifest import API_VERSION

FIELD_MANAGER = "riskbus"

_ANSWER_LIMIT = 65_536
"""Bytes read of an answer: a report is below 16 KiB, and an error's text is far shorter."""


class ReportRefusedError(RiskBusError):
    """The report did not reach the API server, or was refused by it.

    Attributes:
        reason: One lower-case word for metrics: `unreachable`, `unauthorized`, `forbidden`, `not_found`, `invalid` or
            `failed`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ApiServer:
    """Where the API server is and how it is trusted.

    Attributes:
        host: Name or address, as in `KUBERNETES_SERVICE_HOST`.
        port: TCP port, as in `KUBERNETES_SERVICE_PORT`.
        ca_path: Certificates to trust; read anew for each request, since they rotate.
        timeout_seconds: Bound on each wait for the network.
    """

    host: str
    port: int
    ca_path: Path
    timeout_seconds: float = 10.0

    def apply_report(self, pod: PodIdentity, report: dict[str, Any]) -> None:
        """Create or update the pod's report by one server-side apply.

        Args:
            pod: The pod that reports; its token authenticates.
            report: The complete object.

        Raises:
            ReportRefusedError: The server cannot be reached or did not accept the report; the message says what to do.
        """
        path = (
            f"/apis/{API_VERSION}/namespaces/{pod.namespace}/riskauditreports/{pod.name}"
            f"?fieldManager={FIELD_MANAGER}&force=true"
        )
        headers = {
            "Authorization": f"Bearer {pod.token}",
            "Content-Type": "application/apply-patch+yaml",  # JSON is YAML
            "Accept": "application/json",
        }
        status, answer = self._patch(path, headers, orjson.dumps(report))
        if status not in {http.client.OK, http.client.CREATED}:
            raise _refusal(status, _message(answer), pod)

    def _patch(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        try:
            trust = ssl.create_default_context(cafile=self.ca_path)
            connection = http.client.HTTPSConnection(self.host, self.port, timeout=self.timeout_seconds, context=trust)
            with contextlib.closing(connection):
                connection.request("PATCH", path, body, headers)
                response = connection.getresponse()
                return response.status, response.read(_ANSWER_LIMIT)
        except (OSError, http.client.HTTPException) as error:
            raise ReportRefusedError(
                "unreachable",
                f"cannot reach the Kubernetes API server at {self.host}:{self.port} "
                f"({str(error) or type(error).__name__}); check NetworkPolicies that limit this pod's egress",
            ) from error


def _message(answer: bytes) -> str:
    """The `message` of a Kubernetes Status object, or the beginning of whatever else came."""
    try:
        return str(orjson.loads(answer)["message"])
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode(errors="replace").strip() or "no explanation"


def _refusal(status: int, message: str, pod: PodIdentity) -> ReportRefusedError:
    account = f"service account {pod.service_account} in namespace {pod.namespace}"
    reason, advice = {
        401: ("unauthorized", f"the token of {account} was not accepted; restart the pod to get a new one"),
        403: (
            "forbidden",
            (
                f"no RiskAuditPolicy grants {account} the right to write its report; create one that selects this "
                "workload, or set RISK_AUDIT_REPORT=off"
            ),
        ),
        404: (
            "not_found",
            (
                "this cluster has no RiskAuditReport kind; install the riskbus operator with its CRDs, or set "
                "RISK_AUDIT_REPORT=off"
            ),
        ),
        422: ("invalid", "the cluster does not accept this report; check that operator and riskbus versions match"),
    }.get(status, ("failed", "the API server could not take the report; it is tried again"))
    return ReportRefusedError(reason, f"{advice} (HTTP {status}: {message})")
