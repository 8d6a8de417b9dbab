"""One loop for each namespace that has policies: it waits until somebody marks the namespace dirty, and looks.

::

    mark ──▶ wait a moment for more ──▶ pass ──▶ wait for a mark, the next resync, or the retry ──▶ pass …
                                          └── nothing left to look after ──▶ the loop ends; a mark begins it anew
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from riskbus_operator.api.errors import OperatorError
from riskbus_operator.cluster.reconciling import Pass
from riskbus_operator.handlers.metrics import POLICIES, RECONCILE_SECONDS, WRITES

_SETTLE_SECONDS = 0.2
"""Changes come in bursts: a rollout touches a workload many times within a second."""

_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 60.0
_READY = ("True", "False", "Unknown")

_log = logging.getLogger(__name__)


class Loops:
    """The loops of all namespaces. For one event loop only.

    Args:
        reconcile: One pass over a namespace.
        resync: Seconds after which a namespace is looked at even if nobody marked it: reports can go stale in silence.
    """

    def __init__(self, reconcile: Callable[[str], Awaitable[Pass]], *, resync: float) -> None:
        self._reconcile = reconcile
        self._resync = resync
        self._dirty: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def mark(self, namespace: str) -> None:
        """Have the namespace looked at soon."""
        self._dirty.setdefault(namespace, asyncio.Event()).set()
        if namespace not in self._tasks:
            self._tasks[namespace] = asyncio.create_task(self._run(namespace), name=f"reconcile {namespace}")

    def mark_known(self, namespace: str) -> None:
        """Have the namespace looked at soon, if there is a loop for it: it has policies, or had some lately."""
        if namespace in self._tasks:
            self.mark(namespace)

    async def stop(self) -> None:
        """End every loop where it is: a pass can be begun anew at any point."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, namespace: str) -> None:
        dirty = self._dirty[namespace]
        retry = _FIRST_RETRY_SECONDS
        wait = 0.0
        while True:
            if wait:
                await _until(dirty, wait)
            await asyncio.sleep(_SETTLE_SECONDS)
            dirty.clear()
            done = await self._pass(namespace)
            if done is None or done.again:
                wait, retry = retry, min(2 * retry, _LAST_RETRY_SECONDS)
                continue
            if not done.ready and not done.written and not dirty.is_set():
                del self._tasks[namespace], self._dirty[namespace]
                return
            wait, retry = self._resync, _FIRST_RETRY_SECONDS

    async def _pass(self, namespace: str) -> Pass | None:
        """One pass; None if it failed. Nothing that goes wrong in one namespace stops the loop, or another one."""
        began = time.monotonic()
        try:
            done = await self._reconcile(namespace)
        except OperatorError as error:
            _log.warning("namespace %s could not be reconciled, it is tried again: %s", namespace, error)
            RECONCILE_SECONDS.labels("error").observe(time.monotonic() - began)
            return None
        except Exception:  # noqa: BLE001 - a defect that one namespace shows must not stop the others
            _log.exception("namespace %s could not be reconciled because of a defect of the operator", namespace)
            RECONCILE_SECONDS.labels("defect").observe(time.monotonic() - began)
            return None
        RECONCILE_SECONDS.labels("retry" if done.again else "success").observe(time.monotonic() - began)
        WRITES.inc(done.written)
        for ready in _READY:
            POLICIES.labels(namespace, ready).set(sum(status == ready for status in done.ready.values()))
        return done


async def _until(dirty: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await dirty.wait()
    except TimeoutError:
        return
