"""What the operator's probes say: ready while the API server answers, alive as long as the process works."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.waiting import within

COMMAND = str(Path(sys.executable).with_name("riskbus-operator"))


class ApiServer(BaseHTTPRequestHandler):
    """As much of an API server as an operator asks for that waits for another one's Lease."""

    def do_GET(self) -> None:
        """Answer with a Lease that is renewed all the time, and with empty lists."""
        lease = {"spec": {"holderIdentity": "another", "renewTime": str(time.time()), "leaseDurationSeconds": 15}}
        text = json.dumps(lease if "/leases/" in self.path else {"metadata": {}, "items": []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def api_server() -> Iterator[ThreadingHTTPServer]:
    """An API server that a test may end."""
    with ThreadingHTTPServer(("127.0.0.1", 0), ApiServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def probe(api_server: ThreadingHTTPServer, tmp_path: Path) -> Iterator[Callable[[str], int]]:
    """A running operator: the status of its answer to a probe, 0 while it does not listen."""
    file = tmp_path / "kubeconfig"
    host, port = api_server.server_address[:2]
    contexts = [{"name": "one", "context": {"cluster": "one", "user": "one"}}]
    config = {"clusters": [{"name": "one", "cluster": {"server": f"http://{host!s}:{port}"}}], "contexts": contexts}
    file.write_text(json.dumps(config | {"current-context": "one", "users": [{"name": "one", "user": {}}]}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def ask(path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code
        except urllib.error.URLError:
            return 0

    command = [COMMAND, "run", "--listen", address, "--lease-namespace", "riskbus-system"]
    with subprocess.Popen(command, env=os.environ | {"KUBECONFIG": str(file)}, stderr=subprocess.DEVNULL) as process:
        yield ask
        process.terminate()


def test_it_is_ready_while_the_api_server_answers_and_alive_also_when_not(
    api_server: ThreadingHTTPServer, probe: Callable[[str], int]
) -> None:
    """A pod that cannot do anything must show, but starting it again would not help."""
    assert within(60, lambda: probe("/readyz") == 200)

    api_server.shutdown()
    api_server.server_close()

    assert within(60, lambda: probe("/readyz") == 503)
    assert probe("/healthz") == 200
