"""Leader election by a Lease: of several operators one works, and the others wait for it to end.

The rules are those of client-go's leaderelection: the holder's clock is never trusted, only how long its record has
stayed the same here.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime

from riskbus_operator.api.errors import OperatorError
from riskbus_operator.cluster.client import Cluster
from riskbus_operator.cluster.errors import ApiError
from riskbus_operator.desired.names import Object

DURATION_SECONDS = 15.0
_RENEW_SECONDS = 3.0
_RENEW_DEADLINE_SECONDS = 10.0
_TRY_SECONDS = 5.0  # less than the deadline: an API server that hangs must not keep a lost Lease from being noticed
_NAME = "riskbus-operator"

_log = logging.getLogger(__name__)


class LeaseLostError(OperatorError):
    """Another operator has the Lease, or it could not be renewed in time: this one must end at once."""


class Lease:
    """The operator's Lease in its own namespace.

    Args:
        cluster: The API server.
        namespace: The operator's namespace.
        identity: Who this is; the same for a container that was restarted in its pod, so that it goes on at once.
    """

    def __init__(self, cluster: Cluster, *, namespace: str, identity: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._identity = identity
        self._answered_at: float | None = None
        self._seen: tuple[str, str] | None = None
        self._seen_at = 0.0

    @property
    def answered(self) -> bool:
        """Whether the API server lately let this operator see the Lease, which it asks for every few seconds."""
        return self._answered_at is not None and time.monotonic() - self._answered_at < DURATION_SECONDS

    async def acquire(self) -> None:
        """Wait until this is the holder."""
        while not await self._tried():  # noqa: ASYNC110 - what it waits for happens in another process
            await asyncio.sleep(_RENEW_SECONDS)

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LeaseLostError: it is lost.
        """
        renewed = time.monotonic()
        while True:
            await asyncio.sleep(_RENEW_SECONDS)
            if await self._tried():
                renewed = time.monotonic()
            elif time.monotonic() - renewed > _RENEW_DEADLINE_SECONDS or self._held_by_another():
                raise LeaseLostError("the Lease is lost; another operator takes over")

    async def release(self) -> None:
        """Give it up, so that another operator need not wait for its end."""
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                lease = await self._cluster.get("Lease", self._namespace, _NAME)
                if lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._cluster.replace(lease)
        except (ApiError, TimeoutError) as error:
            _log.info("the Lease was not released, it runs out by itself: %s", error)

    async def _tried(self) -> bool:
        """Whether this holds the Lease now; anything that goes wrong is tried again by the caller."""
        try:
            async with asyncio.timeout(_TRY_SECONDS):
                return await self._taken()
        except (ApiError, TimeoutError) as error:
            _log.warning("the Lease %s/%s: %s", self._namespace, _NAME, str(error) or "no answer in time")
            return False

    async def _taken(self) -> bool:
        try:
            lease = await self._cluster.get("Lease", self._namespace, _NAME)
        except ApiError as error:
            if not error.missing:
                raise
            await self._cluster.create(self._new())
            self._answered_at = time.monotonic()
            return True
        self._answered_at = time.monotonic()
        if not self._may_take(lease["spec"]):
            return False
        await self._cluster.replace(lease | {"spec": self._spec(lease["spec"])})
        return True

    def _may_take(self, spec: Object) -> bool:
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        if (holder, renewed) != self._seen:
            self._seen, self._seen_at = (holder, renewed), time.monotonic()
        expires = self._seen_at + float(spec.get("leaseDurationSeconds") or DURATION_SECONDS)
        return holder in ("", self._identity) or time.monotonic() > expires

    def _held_by_another(self) -> bool:
        return self._seen is not None and self._seen[0] not in ("", self._identity)

    def _new(self) -> Object:
        metadata = {"name": _NAME, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": self._spec({})}

    def _spec(self, before: Object) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        same = before.get("holderIdentity") == self._identity
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(DURATION_SECONDS),
            "acquireTime": before.get("acquireTime", now) if same else now,
            "renewTime": now,
            "leaseTransitions": before.get("leaseTransitions", 0) + (0 if same or not before else 1),
        }
