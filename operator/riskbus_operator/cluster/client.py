"""One connection to the API server: plain JSON in and out, every failure an `ApiError`."""

import asyncio
import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as kubernetes_client
from kubernetes.aio import config as kubernetes_config

from riskbus_operator.cluster.errors import ApiError, ConnectionFailedError
from riskbus_operator.cluster.resources import RESOURCES, path_of
from riskbus_operator.desired.names import MANAGER, Object

REQUEST_TIMEOUT_SECONDS = 30.0
_PAGE = 500
_APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

# A rolling control plane or a moment of overload is over by then; the loops try again later anyway.
_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0)
_LONGEST_WAIT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class _Request:
    method: str
    path: str
    url: str
    body: object
    content_type: str


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """Where the API server is and how to log in to it, for connections that are not this module's own.

    Attributes:
        server: Its URL.
        ca_path: File of the certificate authority, if it is not one of the system's.
        insecure: Whether its certificate goes unchecked.
        token: A bearer token, if that is how to log in.
        certificate_path: File of a client certificate, if that is how.
        private_key_path: File of its key.
    """

    server: str
    ca_path: str | None
    insecure: bool
    token: str | None
    certificate_path: str | None
    private_key_path: str | None


class Cluster:
    """Requests to the API server. Use it as an async context manager, on one event loop."""

    def __init__(self) -> None:
        self._configuration = kubernetes_client.Configuration()
        self._api: Any = None

    async def __aenter__(self) -> Self:
        """Find the API server.

        Raises:
            ConnectionFailedError: there is neither a usable KUBECONFIG nor a mounted service account.
        """
        try:
            if os.environ.get("KUBECONFIG"):
                await kubernetes_config.load_kube_config(client_configuration=self._configuration, persist_config=False)  # type: ignore[no-untyped-call]  # it has no annotations
            else:
                kubernetes_config.load_incluster_config(client_configuration=self._configuration)  # type: ignore[no-untyped-call]  # it has no annotations
        except (kubernetes_config.ConfigException, OSError) as error:
            raise ConnectionFailedError(
                f"cannot find the API server ({error}); set KUBECONFIG, or run in a pod with a service account"
            ) from None
        self._api = kubernetes_client.ApiClient(self._configuration)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.close()

    async def credentials(self) -> Credentials:
        """Address and login as they are now; a service account's token changes every hour."""
        known = self._configuration
        authorization = await known.get_api_key_with_prefix("BearerToken")
        return Credentials(
            server=known.host,
            ca_path=known.ssl_ca_cert,
            insecure=not known.verify_ssl,
            token=authorization.split()[-1] if authorization else None,
            certificate_path=known.cert_file,
            private_key_path=known.key_file,
        )

    async def list(self, kind: str, namespace: str = "", *, selector: str = "") -> Sequence[Object]:
        """Every object of a kind; with `kind` and `apiVersion`, which the items of a list lack."""
        resource = RESOURCES[kind]
        query = {"limit": str(_PAGE)} | ({"labelSelector": selector} if selector else {})
        identity = {"apiVersion": resource.api_version, "kind": kind}
        found: tuple[Object, ...] = ()
        while True:
            page = await self.request("GET", resource.path(namespace), query=query)
            found += tuple(identity | item for item in page.get("items") or ())
            if not (token := page["metadata"].get("continue")):
                return found
            query["continue"] = token

    async def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object."""
        return await self.request("GET", RESOURCES[kind].path(namespace, name))

    async def apply(self, obj: Object, *, force: bool = False, dry_run: bool = False, subresource: str = "") -> Object:
        """A server-side apply under the operator's field manager."""
        query = {"fieldManager": MANAGER, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        return await self.request("PATCH", path_of(obj, subresource), query=query, body=obj, content_type=_APPLY)

    async def create(self, obj: Object) -> Object:
        """Create an object."""
        return await self.request("POST", RESOURCES[obj["kind"]].path(obj["metadata"]["namespace"]), body=obj)

    async def replace(self, obj: Object) -> Object:
        """Replace an object; with its resourceVersion, only if nobody changed it since."""
        return await self.request("PUT", path_of(obj), body=obj)

    async def delete(self, obj: Object, *, dry_run: bool = False) -> None:
        """Delete this very object, not one that has its name now; it is fine if it is gone already."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": obj["metadata"]["uid"]}}
        try:
            await self.request("DELETE", path_of(obj), query={"dryRun": "All"} if dry_run else {}, body=body)
        except ApiError as error:
            if not error.missing:
                raise

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send one request and return the decoded answer; a passing trouble of the API server is waited out.

        That is safe for each request that is sent here: an apply twice is an apply, the rest is pinned to a uid or a
        resourceVersion, or has a name of its own.

        Raises:
            ApiError: the server cannot be reached, or refused.
        """
        url = f"{self._configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        request = _Request(method=method, path=path, url=url, body=body, content_type=content_type)
        for wait in _BACKOFF_SECONDS:
            try:
                return await self._send(request)
            except ApiError as error:
                if not error.transient:
                    raise
                spread = random.uniform(0.5, 1.5)  # noqa: S311 - it spreads load and guards no secret
                await asyncio.sleep(min(max(wait * spread, error.retry_after), _LONGEST_WAIT_SECONDS))
        return await self._send(request)

    async def _send(self, request: _Request) -> Object:
        headers = {"Accept": "application/json", "Content-Type": request.content_type}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], request.path, request.method, request.body)
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        try:
            answer = await self._api.call_api(
                request.method, request.url, headers, body=request.body, _request_timeout=timeout
            )
            text = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = str(error) or type(error).__name__
            raise ApiError(0, "Unreachable", f"the API server does not answer: {what}") from error
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(answer.status, text, answer.headers.get("Retry-After", ""))
        decoded: Object = json.loads(text)
        return decoded


def _refusal(status: int, text: bytes, retry_after: str) -> ApiError:
    wait = float(retry_after) if retry_after.isdigit() else 0.0
    try:
        told = json.loads(text)
        causes = (told.get("details") or {}).get("causes") or ()
        return ApiError(status, told.get("reason", ""), told.get("message", ""), tuple(causes), wait)
    except (ValueError, AttributeError):  # something in between answered with a page of its own
        return ApiError(status, "", f"HTTP {status}: {text[:200].decode(errors='replace')}", (), wait)
