"""An HTTPS server on loopback that the reporter takes for the API server, and a pod's mounted service account."""

import base64
import contextlib
import ipaddress
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from riskbus.clock import ClockStatus
from riskbus.mount import MountReport, Reason, Verdict
from riskbus.settings import AuditSettings
from riskbus.status import LogStatus, State

ACCOUNT = {
    "kubernetes.io": {
        "namespace": "trading",
        "pod": {"name": "jules-0", "uid": "7f8c9c1e-0000-4000-8000-000000000001"},
        "serviceaccount": {"name": "intraday-jules", "uid": "x"},
    }
}


def token_of(claims: dict[str, Any]) -> str:
    """Return a JSON Web Token with these claims; nobody here checks its signature."""
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)]
    return ".".join([*parts, "c2lnbmF0dXJl"])


@dataclass
class Request:
    """What the server got."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Api:
    """The server's side: what came, and what it answers."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    status: int = 200
    answer: bytes = b"{}"
    hang: threading.Event | None = None
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def refuse(self, status: int, message: str) -> None:
        """Answer with a Kubernetes Status object from now on."""
        self.status, self.answer = status, json.dumps({"kind": "Status", "message": message}).encode()

    def wait_for(self, count: int, timeout: float = 15) -> bool:
        """Wait until so many requests came."""
        with self.arrived:
            return self.arrived.wait_for(lambda: len(self.requests) >= count, timeout)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that vouches for itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("pki")
    (folder / "ca.crt").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "ca.crt", folder / "key.pem"


@pytest.fixture
def api(certificate: tuple[Path, Path]) -> Iterator[Api]:
    """A running server."""
    state = Api()

    class Handler(BaseHTTPRequestHandler):
        def do_PATCH(self) -> None:  # http.server's name for it
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with state.arrived:
                state.requests.append(Request(self.command, self.path, dict(self.headers), body))
                state.arrived.notify_all()
            if state.hang is not None:
                state.hang.wait(60)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.answer)))
            self.end_headers()
            self.wfile.write(state.answer)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Connection(ssl.SSLSocket):
        def getpeername(self) -> Any:
            """A client that has gone already has no name; on that, CPython 3.11 would leave the socket open."""
            with contextlib.suppress(OSError):
                return super().getpeername()
            return "", 0

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = Connection
    context.load_cert_chain(*certificate)

    class Server(ThreadingHTTPServer):
        def get_request(self) -> tuple[ssl.SSLSocket, object]:
            connection, address = self.socket.accept()
            return context.wrap_socket(connection, server_side=True), address

    server = Server(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that goes away in the middle is part of the tests
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield state
    if state.hang is not None:
        state.hang.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def service_account(tmp_path: Path, certificate: tuple[Path, Path]) -> Path:
    """The directory that Kubernetes mounts into a pod."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text(token_of(ACCOUNT))
    (folder / "ca.crt").write_bytes(certificate[0].read_bytes())
    (folder / "namespace").write_text("trading")
    return folder


@pytest.fixture
def environ(api: Api) -> dict[str, str]:
    """What Kubernetes sets in a pod."""
    return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.port)}


@pytest.fixture
def token() -> Callable[[dict[str, Any]], str]:
    """Make a token of claims."""
    return token_of


@pytest.fixture
def status() -> LogStatus:
    """An audit log that is well."""
    return LogStatus(
        state=State.WRITING,
        stream="trading/intraday-jules/risk_audit",
        incarnation="01a20d237e217ee4aeff612053c9bb14",
        path="/var/log/intraday-jules/risk_audit.jsonl",
        seq=41,
        durable_seq=40,
        checkpoint="origin\n41\nroot\n\n- origin signature\n",
        public_key="origin+00000000+AQ==",
        mount=MountReport(
            verdict=Verdict.VALID,
            reason=Reason.DURABLE_VOLUME,
            message="Nothing to do.",
            path="/var/log/intraday-jules/risk_audit.jsonl",
            mount_point="/var/log/intraday-jules",
            filesystem="ext4",
            capacity_bytes=1000,
            free_bytes=900,
            free_inodes=80,
        ),
        clock=ClockStatus(synchronized=True, estimated_error_us=12, max_error_us=3400),
        write_failures=1,
        emergency_events=2,
        lost_events=3,
    )


@pytest.fixture
def settings() -> AuditSettings:
    """Settings as the policy injects them."""
    return AuditSettings(policy="intraday", container="jules", report_interval=600)
