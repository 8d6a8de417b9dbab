"""Runs the operator: health and metrics, the Lease, the watches and the loops, until it is told to stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import kopf
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from riskbus_operator.api.errors import OperatorError
from riskbus_operator.cluster.client import Cluster
from riskbus_operator.cluster.errors import ApiError
from riskbus_operator.cluster.lease import Lease, LeaseLostError
from riskbus_operator.cluster.reconciling import reconcile
from riskbus_operator.desired.names import MANAGED_BY_LABEL, MANAGER
from riskbus_operator.handlers.loops import Loops
from riskbus_operator.handlers.metrics import LEADER
from riskbus_operator.handlers.watching import registry, settings

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to run.

    Attributes:
        listen: Host and port of /metrics, /healthz and /readyz.
        resync: Seconds between looks at a namespace in which nothing happens.
        lease_namespace: Where the Lease is.
    """

    listen: tuple[str, int]
    resync: float
    lease_namespace: str


def configure_logging(*, json: bool) -> None:
    """Log to standard error, a line or a JSON object for each record; of kopf only what is wrong."""
    kopf.configure(log_format=kopf.LogFormat.JSON if json else kopf.LogFormat.FULL)
    logging.getLogger("kopf").setLevel(logging.WARNING)


async def run(options: Options) -> None:
    """Work until SIGTERM or SIGINT.

    Raises:
        OperatorError: the API server cannot be used, or the Lease is lost.
    """
    stop, started = asyncio.Event(), asyncio.Event()
    _on_signals(stop.set)
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(Cluster())
        namespaces = await _namespaces(cluster)
        lease = Lease(cluster, namespace=options.lease_namespace, identity=_identity())
        stack.push_async_callback(await _serve(options.listen, lease))
        _log.info("waiting for the Lease")
        if not await _first(lease.acquire(), stop.wait()):
            return
        stack.push_async_callback(lease.release)
        LEADER.set(1)
        _log.info("this operator works now")
        loops = Loops(partial(reconcile, cluster), resync=options.resync)
        stack.push_async_callback(loops.stop)
        for namespace in namespaces:
            loops.mark(namespace)
        watches = kopf.operator(
            registry=registry(loops, cluster.credentials),
            settings=settings(),
            clusterwide=True,
            standalone=True,
            ready_flag=started,
            # kopf would ask for the user's name, and the container's has none.
            identity=_identity(),  # type: ignore[arg-type]  # a str; kopf does not export its own name for it
        )
        await _first(watches, _lead(lease, loops), _stopped(stop, started))
    _log.info("stopped")


def _on_signals(do: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, do)


async def _stopped(stop: asyncio.Event, started: asyncio.Event) -> None:
    """Wait for a signal. kopf takes them over as it starts, and would end five seconds later, with the Lease held."""
    await started.wait()
    _on_signals(stop.set)
    await stop.wait()


async def _lead(lease: Lease, loops: Loops) -> None:
    """Hold the Lease; when it is lost, end the loops before anything else: another operator writes now."""
    try:
        await lease.keep()
    except LeaseLostError:
        await loops.stop()
        raise


async def _first(*coroutines: Coroutine[Any, Any, object]) -> bool:
    """Run until one ends and cancel the rest; whether the first was the one. What it raises is raised."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        return tasks[0] in done
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _namespaces(cluster: Cluster) -> set[str]:
    """Namespaces to look at first: those with policies, or with claims that a policy left there.

    Raises:
        OperatorError: the cluster cannot be used as it is.
    """
    try:
        policies = await cluster.list("RiskAuditPolicy")
    except ApiError as error:
        if error.missing:
            raise OperatorError("this cluster has no RiskAuditPolicy kind; install the chart's CRDs first") from None
        raise
    claims = await cluster.list("PersistentVolumeClaim", selector=f"{MANAGED_BY_LABEL}={MANAGER}")
    return {obj["metadata"]["namespace"] for obj in (*policies, *claims)}


def _identity() -> str:
    """The pod's name, so that a restarted container goes on at once; outside a pod, this very process."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}-{os.getpid()}"


async def _serve(listen: tuple[str, int], lease: Lease) -> Callable[[], Awaitable[None]]:
    """Answer probes and Prometheus; return what ends that.

    An operator is alive as long as its event loop runs, and ready while the API server answers it: one that waits for
    the Lease is ready to take over.

    Raises:
        OperatorError: the address cannot be listened on.
    """

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        if lease.answered:
            return web.Response(text="ok\n")
        return web.Response(status=503, text="the API server does not answer; the operator's log says what it said\n")

    app = web.Application()
    app.add_routes([web.get("/metrics", metrics), web.get("/healthz", alive), web.get("/readyz", ready)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, *listen).start()
    except OSError as error:
        where = f"{listen[0]}:{listen[1]}"
        raise OperatorError(f"cannot listen on {where} ({error}); choose another with --listen") from None
    return runner.cleanup
