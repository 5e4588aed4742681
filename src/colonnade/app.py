"""The composition root: the one place where parts are wired together, for each kind of process.

`colonnade up` runs `run_leader` in one process and `run_worker` in some; `--ephemeral` runs `run_single`, all in one. Each blocks
until SIGTERM or SIGINT. Nothing else constructs a store, an executor or a gateway.
"""

from __future__ import annotations

import logging
import os
import pkgutil
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from colonnade import credentials
from colonnade.kernel.clock import Clock, ManualClock, SystemClock
from colonnade.kernel.ids import RandomIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Credential, LogStreams, Principal, Principals, Storage
from colonnade.kernel.signals import LocalSignals, Signals
from colonnade.kernel.store import Store
from colonnade.settings import Settings

_log = logging.getLogger(__name__)
_OPERATIONS = ("lifecycle", "ai", "cloud", "review")


def load_operations() -> None:
    """Import every module that may hold operations or reconcilers: being there is all that it takes to be found."""
    for name in _OPERATIONS:
        with suppress(ModuleNotFoundError):
            package = import_module(f"colonnade.{name}")
            for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
                import_module(module.name)


def run_worker(settings: Settings, fd: int) -> None:
    """A gateway worker on the supervisor's listening socket."""
    from colonnade.kernel.sockets import SocketSignals

    signals = SocketSignals(settings.data / "run" / "signals", f"worker-{os.getpid()}")
    platform = _platform(settings, _store(settings), signals)
    load_operations()
    _serve(settings, platform, fd)
    signals.close()
    platform.store.close()


def run_leader(settings: Settings) -> None:
    """The process that reconciles. It leads as long as its lease holds."""
    from colonnade.kernel.reconcile import lease
    from colonnade.kernel.reconcile.driver import Driver
    from colonnade.kernel.sockets import SocketSignals

    stop = _stop_event()
    signals = SocketSignals(settings.data / "run" / "signals", f"leader-{os.getpid()}")
    store = _store(settings)
    me = lease.holder()
    while lease.acquire(store, me) is None:
        if stop.wait(0.2):
            return
    platform = _platform(settings, store, signals)
    _provide_executor(settings, platform)
    load_operations()
    driver = Driver(platform)
    driver.start()
    while not stop.wait(lease.DURATION / 3):
        if lease.acquire(store, me) is None:
            _log.error("the lease went to another leader: this one ends")
            break
    _wind_down(settings, platform)
    driver.stop()
    lease.release(store, me)
    signals.close()
    store.close()


def run_single(settings: Settings, fd: int) -> None:
    """Everything in one process, for `--ephemeral`: memory store, and a folder that the caller removes."""
    from colonnade.kernel.reconcile.driver import Driver
    from colonnade.kernel.store.memory import MemoryStore

    clock: Clock = ManualClock() if settings.clock == "manual" else SystemClock()
    platform = _platform(settings, MemoryStore(), LocalSignals(), clock)
    _provide_executor(settings, platform)
    load_operations()
    driver = Driver(platform)
    _serve(settings, platform, fd, before=driver.start)
    _wind_down(settings, platform)
    driver.stop()
    platform.store.close()


def _store(settings: Settings) -> Store:
    from colonnade.kernel.store.sqlite import SqliteStore

    return SqliteStore(settings.data / "store.db")


def _platform(settings: Settings, store: Store, signals: Signals, clock: Clock | None = None) -> Platform:
    from colonnade.cloud.iam.principals import StoredPrincipals
    from colonnade.cloud.logs.streams import FileLogStreams
    from colonnade.cloud.s3.storage import S3Storage
    from colonnade.objects import ObjectStore
    from colonnade.objects.filesystem import FilesystemObjects

    platform = Platform(store=store, clock=clock or SystemClock(), ids=RandomIds(), signals=signals)
    durable = not settings.ephemeral
    platform.provide(
        Principals,
        StoredPrincipals(store, platform.clock, _root(settings), signals=signals, lenient=settings.ephemeral),
    )
    platform.provide(ObjectStore, FilesystemObjects(settings.data / "objects", durable=durable))
    platform.provide(Storage, S3Storage(platform))
    platform.provide(LogStreams, FileLogStreams(settings.data / "logs", platform.clock))
    return platform


def _root(settings: Settings) -> Credential:
    pair = credentials.read(settings.data)
    account = settings.account_id
    arn = f"arn:aws:iam::{account}:root"
    principal = Principal(arn=arn, account=account, user_id=account, kind="root", identity_arn=arn)
    return Credential(pair.access_key_id, pair.secret_access_key, None, None, principal)


def _provide_executor(settings: Settings, platform: Platform) -> None:
    from colonnade.executors import Executor, load

    executor: Callable[..., Executor] = load(settings.executor)
    platform.provide(
        Executor,
        executor(
            settings.data / "work",
            hide=[settings.data],
            isolation=settings.isolation,
            lifeline=settings.data / "server.lock",
        ),
    )


def _serve(
    settings: Settings, platform: Platform, fd: int, *, before: Callable[[], None] = lambda: None
) -> None:
    """Answer requests on an inherited listening socket until told to stop."""
    import uvicorn

    from colonnade.gateway.app import build

    config = uvicorn.Config(
        build(platform, default_region=settings.region),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        backlog=2048,
    )
    before()
    with socket.socket(fileno=fd) as listener:
        uvicorn.Server(config).run(sockets=[listener])


def _stop_event() -> threading.Event:
    stop = threading.Event()

    def on_signal(*_: Any) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return stop


def _wind_down(settings: Settings, platform: Platform) -> None:
    """Stop jobs, unless they were asked to go on. Replicas end by themselves, once the server's lock is free."""
    del settings, platform
    _ = Path
