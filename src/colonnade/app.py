"""The composition root: the one place where parts are wired together, for each kind of process.

`colonnade up` runs `run_leader` in one process and `run_worker` in some; `--ephemeral` runs `run_single`, all in one. Each blocks
until SIGTERM or SIGINT. Nothing else constructs a store, an executor or a gateway.
"""

from __future__ import annotations

import logging
import os
import pkgutil
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from colonnade import credentials
from colonnade.credentials import master_key
from colonnade.kernel import operations, reconcile
from colonnade.kernel.clock import Clock, ManualClock, SystemClock
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ids import RandomIds
from colonnade.kernel.measures import MeasuredStore, Measures, report_when_asked
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import (
    Backlogs,
    Credential,
    Keys,
    LogStreams,
    Notifications,
    Principal,
    Principals,
    ServerAddress,
    Storage,
    WorkCredentials,
)
from colonnade.kernel.signals import LocalSignals, Signals
from colonnade.kernel.store import Store, Stored
from colonnade.settings import Settings

if TYPE_CHECKING:
    from colonnade.serving.router import Router

_log = logging.getLogger(__name__)
_OPERATIONS = ("lifecycle", "ai", "cloud", "review")
_SWEEP_SECONDS = 3600.0
_DESCRIPTORS = 65_536
_STOP_SECONDS = 150.0
"""A training job has 120 s between SIGTERM and SIGKILL."""


def load_operations() -> None:
    """Import every module that may hold operations or reconcilers: being there is all that it takes to be found."""
    for name in _OPERATIONS:
        if find_spec(f"colonnade.{name}") is None:
            continue
        package = import_module(f"colonnade.{name}")
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            import_module(module.name)


def run_worker(settings: Settings, fd: int) -> None:
    """A gateway worker on the supervisor's listening socket."""
    from colonnade.kernel.sockets import SocketSignals
    from colonnade.serving.crashes import mark_what_crashed, witness

    told = _Told()
    signals = SocketSignals(settings.data / "run" / "signals", f"worker-{os.getpid()}")
    platform = _platform(settings, _store(settings), signals)
    load_operations()
    mark_what_crashed(settings.data / "run" / "predicting")
    witness.open(settings.data / "run" / "predicting")
    _serve(settings, platform, fd, told)
    witness.close()
    signals.close()
    platform.store.close()


def run_leader(settings: Settings, ready: Callable[[], None] = lambda: None) -> None:
    """The process that reconciles. It leads as long as its lease holds, and calls `ready` once it does."""
    from colonnade.kernel.reconcile import lease
    from colonnade.kernel.reconcile.driver import Driver
    from colonnade.kernel.sockets import SocketSignals

    told = _Told()
    signals = SocketSignals(settings.data / "run" / "signals", f"leader-{os.getpid()}")
    store = _store(settings)
    me = lease.holder()
    while lease.acquire(store, me) is None:
        if told.stop.wait(0.2):
            return
    platform = _platform(settings, store, signals)
    _load_with_executor(settings, platform)
    report_when_asked(signals, platform.the(Measures), settings.data, f"leader-{os.getpid()}")
    driver = Driver(platform)
    driver.start()
    threading.Thread(target=_sweep_now_and_then, args=(platform, told), name="sweep", daemon=True).start()
    ready()
    while not told.stop.wait(lease.DURATION / 3):
        if lease.acquire(store, me) is None:
            _log.error("the lease went to another leader: this one ends")
            told.keep_jobs = True
            break
    if not told.keep_jobs:
        _stop_jobs(platform, _root(settings).principal)
    driver.stop()
    lease.release(store, me)
    signals.close()
    store.close()


def run_single(settings: Settings, fd: int) -> None:
    """Everything in one process, for `--ephemeral`: memory store, and a folder that the caller removes."""
    from colonnade.gateway.ephemeral import Ephemeral
    from colonnade.kernel.reconcile.driver import Driver
    from colonnade.kernel.store.memory import MemoryStore

    told = _Told()
    # From now on: SDKs compare credentials' ends with their own clock.
    clock: Clock = ManualClock(float(int(time.time()))) if settings.clock == "manual" else SystemClock()
    store = MemoryStore()
    platform = _platform(settings, store, LocalSignals(), clock)
    _load_with_executor(settings, platform)
    driver = Driver(platform)
    platform.provide(Ephemeral, Ephemeral(platform, store, driver, logs=settings.data / "logs"))
    driver.start()
    _serve(settings, platform, fd, told)
    _stop_jobs(platform, _root(settings).principal)
    driver.stop()
    platform.store.close()


def _store(settings: Settings) -> Store:
    from colonnade.kernel.store.sqlite import SqliteStore

    return SqliteStore(settings.data / "store.db")


def _platform(settings: Settings, store: Store, signals: Signals, clock: Clock | None = None) -> Platform:
    from colonnade.cloud.iam.principals import StoredPrincipals
    from colonnade.cloud.kms.service_keys import StoredKeys
    from colonnade.cloud.logs.streams import FileLogStreams
    from colonnade.cloud.s3.storage import S3Storage
    from colonnade.cloud.sns.publishing import StoredNotifications
    from colonnade.cloud.sts.work_credentials import StoredWorkCredentials
    from colonnade.objects import ObjectStore
    from colonnade.objects.filesystem import FilesystemObjects
    from colonnade.serving.asynchronous.backlog import StoredBacklogs
    from colonnade.timeseries.database import Timeseries

    measures = Measures()
    platform = Platform(
        store=MeasuredStore(store, measures),
        clock=clock or SystemClock(),
        ids=RandomIds(),
        signals=signals,
    )
    platform.provide(Measures, measures)
    root = _root(settings)
    platform.provide(
        Principals,
        StoredPrincipals(store, platform.clock, root, signals=signals, lenient=settings.ephemeral),
    )
    platform.provide(Keys, StoredKeys(platform, partial(master_key.read, settings)))
    platform.provide(
        ObjectStore, FilesystemObjects(settings.data / "objects", durable=not settings.ephemeral)
    )
    platform.provide(Storage, S3Storage(platform))
    secret = root.secret_access_key
    platform.provide(WorkCredentials, StoredWorkCredentials(platform, secret, settings.url))
    platform.provide(LogStreams, FileLogStreams(settings.data / "logs", platform.clock))
    platform.provide(Timeseries, Timeseries(settings.data / "metrics.db"))
    platform.provide(ServerAddress, ServerAddress(settings.url))
    platform.provide(Notifications, StoredNotifications(platform))
    platform.provide(Backlogs, StoredBacklogs(platform))
    return platform


def _root(settings: Settings) -> Credential:
    pair = credentials.read(settings.data)
    account = settings.account_id
    arn = f"arn:aws:iam::{account}:root"
    principal = Principal(arn=arn, account=account, user_id=account, kind="root", identity_arn=arn)
    return Credential(pair.access_key_id, pair.secret_access_key, None, None, principal)


def _load_with_executor(settings: Settings, platform: Platform) -> None:
    """Side by side: the executor tries out in a process of its own what this machine allows."""
    with ThreadPoolExecutor(1) as beside:
        executor = beside.submit(_provide_executor, settings, platform)
        load_operations()
        executor.result()


def _provide_executor(settings: Settings, platform: Platform) -> None:
    from colonnade.executors import Executor, load
    from colonnade.serving.artifacts import Artifacts
    from colonnade.serving.capture import Spool
    from colonnade.serving.serverless.demand import Demand

    executor: Callable[..., Executor] = load(settings.executor)
    platform.provide(
        Executor,
        executor(
            settings.data / "work",
            hide=[settings.data, master_key.place(settings)],
            isolation=settings.isolation,
            lifeline=settings.data / "server.lock",
        ),
    )
    platform.provide(Artifacts, Artifacts(settings.data / "models"))
    platform.provide(Demand, Demand(platform, settings.serverless_idle_seconds))
    platform.provide(Spool, Spool(settings.data / "capture"))


def _serve(settings: Settings, platform: Platform, fd: int, told: _Told) -> None:
    """Answer requests on an inherited listening socket until told to stop."""
    import uvicorn

    from colonnade.gateway.app import build
    from colonnade.gateway.connection import configuration
    from colonnade.gateway.metrics import Metrics
    from colonnade.serving.asynchronous.dispatcher import Dispatcher
    from colonnade.serving.capture import Recorder
    from colonnade.serving.published import Publisher
    from colonnade.serving.router import Router
    from colonnade.serving.snapshot import Snapshot
    from colonnade.timeseries.database import Timeseries

    router = Router()
    platform.provide(Router, router)
    platform.provide(Metrics, Metrics(settings.data))
    platform.the(Measures).invocations_from(partial(_invocations, router))
    platform.the(Measures).models_from(partial(_many_models, router))
    report_when_asked(platform.signals, platform.the(Measures), settings.data, f"worker-{os.getpid()}")
    recorder = Recorder(settings.data / "capture", platform.clock.now)
    routes = Snapshot(platform, router, recorder, gates=settings.data / "run" / "gates")
    dispatcher = Dispatcher(platform, router)
    publisher = Publisher(router, platform.the(Timeseries), platform.clock)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Endpoints are taken in before the first request is."""
            await routes.start()
            publisher.start()
            dispatcher.start()
            await super().startup(sockets)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            await dispatcher.stop()
            await super().shutdown(sockets)

    config = configuration(
        build(platform, default_region=settings.region, bucket_hosts=settings.bucket_hosts)
    )
    _allow_many_connections()
    with socket.socket(fileno=fd) as listener:
        # uvicorn takes the signals over while it runs, and hands those it saw on to `told` afterwards.
        if not told.stop.is_set():
            Server(config).run(sockets=[listener])
            publisher.stop()


def _invocations(router: Router) -> list[list[Any]]:
    return [
        [
            key.region,
            key.name,
            variant,
            seen.invocations,
            seen.client_errors,
            seen.server_errors,
            seen.latency.sum / 1e6,
        ]
        for (key, variant), seen in router.totals().items()
    ]


def _many_models(router: Router) -> dict[str, list[list[Any]]]:
    noted = [
        [key.region, key.name, variant, metric, seen.sum, seen.count]
        for (key, variant), counters in router.totals().items()
        for metric, seen in counters.models.items()
    ]
    loaded = [
        [key.region, key.name, variant, count] for (key, variant), count in router.loaded_models().items()
    ]
    return {"noted": noted, "loaded": loaded}


def _allow_many_connections() -> None:
    """Systems begin with some 1,024 descriptors for old programs' sake; each connection and open object takes one."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = _DESCRIPTORS if most == resource.RLIM_INFINITY else min(most, _DESCRIPTORS)
    if now != resource.RLIM_INFINITY and now < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, most))


class _Told:
    """What signals have told this process: SIGTERM or SIGINT to stop, SIGUSR1 before that to let jobs live on."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.keep_jobs = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_keep_jobs)

    def _on_stop(self, *_: Any) -> None:
        self.stop.set()

    def _on_keep_jobs(self, *_: Any) -> None:
        self.keep_jobs = True


def _sweep_now_and_then(platform: Platform, told: _Told) -> None:
    """Remove the bytes that a crash left without a name, and let metrics grow old: at the start, and every hour."""
    from colonnade.cloud.s3.orphans import sweep
    from colonnade.lifecycle.deploy.model.unused import sweep as sweep_models
    from colonnade.timeseries.database import Timeseries

    while not told.stop.is_set():
        try:
            if gone := sweep(platform, now=time.time()):
                _log.info("removed %d blobs that no object names", len(gone))
        except Exception:  # noqa: BLE001 - logged, and tried again: what is swept does no harm meanwhile
            _log.exception("sweeping orphaned blobs failed; trying again in an hour")
        try:
            if gone_models := sweep_models(platform, now=time.time()):
                _log.info("removed %d model archives that nothing uses", len(gone_models))
        except Exception:  # noqa: BLE001 - logged, and tried again: they only take room meanwhile
            _log.exception("sweeping unused models failed; trying again in an hour")
        try:
            platform.the(Timeseries).pack(platform.clock.now())
        except Exception:  # noqa: BLE001 - logged, and tried again: they only take more room meanwhile
            _log.exception("packing metrics failed; trying again in an hour")
        told.stop.wait(_SWEEP_SECONDS)


def _stop_jobs(platform: Platform, root: Principal) -> None:
    """Stop whatever a Stop operation can stop, as its owner would, and see it end. Replicas end by themselves."""
    stoppable = [
        (service, type_)
        for service, type_ in reconcile.registered()
        if (service, f"Stop{type_}") in operations.registered()
    ]
    for service, type_ in stoppable:
        for row in _active(platform, service, type_):
            name = row.document.get(f"{type_}Name", row.key.name)
            with suppress(ServiceError):  # it ended, or is stopping already
                operations.invoke(
                    platform,
                    service,
                    f"Stop{type_}",
                    {f"{type_}Name": name},
                    principal=root,
                    region=row.key.region,
                    owner="server",
                )
    deadline = time.monotonic() + _STOP_SECONDS
    while any(_active(platform, *each) for each in stoppable) and time.monotonic() < deadline:
        time.sleep(0.05)


def _active(platform: Platform, service: str, type_: str) -> Sequence[Stored]:
    with platform.store.read() as reader:
        return reader.scan_types(service, type_, active=True)
