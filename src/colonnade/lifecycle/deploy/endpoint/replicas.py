"""The processes behind a plan: started, looked after, replaced, and let go.

`Replicas` is one look at one endpoint: made from its document, stepped, and written back where something changed. Process
supervision goes by real time, whatever the platform's clock says.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from colonnade.executors import Environment, Executor, Input, Limits, Observation, Phase, Work
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import LogEvent, LogStreams, Principals, WorkCredentials
from colonnade.kernel.store import Key
from colonnade.lifecycle.deploy.endpoint import serverless
from colonnade.lifecycle.deploy.model.preparation import Broken, answering
from colonnade.serving import probe
from colonnade.serving.artifacts import Artifacts
from colonnade.serving.faults import log_group
from colonnade.serving.machines import machine

_MOST_EXITS = 3
"""Ends before a replica was ready, after which it is held to be broken."""
_GRACE = 30.0
_HUNG = 75.0
"""Seconds without an answer to a ping: longer than the longest invocation."""
_PROBE_EVERY = 10.0
_MOST_REFUSALS = 3
"""Pings in a row that a user's own server may answer by another status than 200."""
_SLOWEST_RESTART = 30.0
_DISK = 30 << 30
"""Bytes of unpacked models that an instance of many models keeps: its volume, on AWS 30 GiB where nothing else is asked for."""
_MODULES = {"http": "colonnade.serving.replica.program"}
"""What starts a replica of a kind, where it is not the one of ours."""

_last_answer: dict[str, float] = {}
"""When a ready replica last answered this process (monotonic), by its work's id. Lost with the process, and no harm done."""
_last_probe: dict[str, float] = {}
_refusals: dict[str, int] = {}
"""How often in a row a ready server said that it is not well."""
_first_seen: dict[str, float] = {}
"""When a replica that is not ready yet was first seen to run."""


@dataclass(frozen=True, slots=True)
class Ready:
    address: str


class Replicas:
    def __init__(self, platform: Platform, key: Key, document: Mapping[str, Any]) -> None:
        self._platform = platform
        self._executor = platform.the(Executor)
        self._key = key
        self._log_group = log_group(document["EndpointName"], document.get("InferenceComponentName", ""))
        self._id = document["_id"]
        self.slots: dict[str, dict[str, Any]] = {
            name: dict(slot) for name, slot in document.get("_replicas", {}).items()
        }

    def step(self, slot: str, variant: Mapping[str, Any], container: int, *, serving: bool) -> Ready | None:
        """Bring one replica of the variant's container of that number a step further; its address once it is ready. Raises
        Broken when it will not become so, unless it belongs to what is `serving`: that is tried for ever."""
        state = self.slots.setdefault(
            slot,
            {
                "attempt": 0,
                "exits": 0,
                "ready": False,
                "variant": variant["VariantName"],
                "container": variant["containers"][container]["hostname"],
            },
        )
        work = self._work_id(slot, state["attempt"])
        described = variant["containers"][container]
        seen = self._executor.observe(work)
        if seen.phase is Phase.ABSENT:
            self._executor.start(self._work(work, variant, described))
            return None
        self._pump(work, state)
        if seen.phase is Phase.ENDED:
            self._ended(work, state, seen, variant, serving=serving)
            return None
        if seen.phase is not Phase.RUNNING:
            return None
        seen = replace(seen, address=_address(described["prepared"], seen.address))
        if state["ready"]:
            return self._still_ready(work, seen)
        return self._becoming_ready(work, state, seen, variant, serving=serving)

    def _becoming_ready(
        self,
        work: str,
        state: dict[str, Any],
        seen: Observation,
        variant: Mapping[str, Any],
        *,
        serving: bool,
    ) -> Ready | None:
        if seen.address and probe.answers(seen.address):
            state.update(ready=True, exits=0)
            return Ready(seen.address)
        # Since this process first saw it: the machine's clock may be set meanwhile.
        now = time.monotonic()
        if now - _first_seen.setdefault(work, now) > variant["startup_seconds"]:
            if not serving:
                raise _unhealthy(state)
            self._executor.stop(work)
        return None

    def _still_ready(self, work: str, seen: Observation) -> Ready:
        """A replica at work on something long does not answer either, so it is given the time of the longest call."""
        now = time.monotonic()
        if now - _last_probe.get(work, 0.0) >= _PROBE_EVERY:
            _last_probe[work] = now
            if probe.answers(seen.address, 0.5):
                _last_answer[work] = now
                _refusals.pop(work, None)
            elif probe.refuses(seen.address):
                _refusals[work] = _refusals.get(work, 0) + 1
                if _refusals[work] >= _MOST_REFUSALS:
                    self._executor.stop(work)
            elif now - _last_answer.setdefault(work, now) > _HUNG:
                self._executor.stop(work)
        return Ready(seen.address)

    def _ended(
        self,
        work: str,
        state: dict[str, Any],
        seen: Observation,
        variant: Mapping[str, Any],
        *,
        serving: bool,
    ) -> None:
        if not state["ready"]:
            exits = state["exits"] + 1
            if not serving and (exits >= _MOST_EXITS or not seen.staged):
                self._say(work, state, seen.failure or _end_of(seen, variant))
                raise _unhealthy(state)
            wait = 0.0 if exits < _MOST_EXITS else min(0.5 * 2 ** (exits - _MOST_EXITS), _SLOWEST_RESTART)
            if seen.ended is not None and 0 <= time.time() - seen.ended < wait:
                return
            state["exits"] = exits
        self._forget(work)
        state.update(ready=False, attempt=state["attempt"] + 1)

    # Letting go

    def release(self, wanted: set[str]) -> bool:
        """Stop the replicas of all other slots, and forget them when they have ended. True when none is left."""
        for slot in [slot for slot in self.slots if slot not in wanted]:
            work, state = self._work_id(slot, self.slots[slot]["attempt"]), self.slots[slot]
            phase = self._executor.observe(work).phase
            self._pump(work, state)
            if phase in (Phase.ENDED, Phase.ABSENT):
                self._forget(work)
                del self.slots[slot]
            elif phase is not Phase.STOPPING:
                self._executor.stop(work)
        return not set(self.slots) - wanted

    def _forget(self, work: str) -> None:
        self._executor.forget(work)
        self._platform.the(WorkCredentials).revoke(work)
        _last_answer.pop(work, None)
        _last_probe.pop(work, None)
        _first_seen.pop(work, None)
        _refusals.pop(work, None)

    # Logs

    def _pump(self, work: str, state: Mapping[str, Any]) -> None:
        """What the process printed, into the endpoint's log group."""
        logs, place = self._platform.the(LogStreams), self._stream(work, state)
        while True:
            lines = self._executor.logs(work, logs.position(*place))
            if not lines.events:
                return
            logs.append(*place, lines.events, position=lines.position)

    def _say(self, work: str, state: Mapping[str, Any], text: str) -> None:
        """A line of the platform's own, where the process had no chance to say why."""
        if text:
            event = LogEvent(self._platform.clock.now(), text)
            self._platform.the(LogStreams).append(*self._stream(work, state), [event])

    def _stream(self, work: str, state: Mapping[str, Any]) -> tuple[str, str, str, str]:
        instance = f"i-{hashlib.sha256(work.encode()).hexdigest()[:17]}"
        container = "" if state["container"] == "primary" else f"/{state['container']}"
        return (
            self._key.account,
            self._key.region,
            self._log_group,
            f"{state['variant']}/{instance}{container}",
        )

    # The work

    def _work_id(self, slot: str, attempt: int) -> str:
        return f"endpoint-{self._id}-{slot}-{attempt}"

    def _work(self, work: str, variant: Mapping[str, Any], container: Mapping[str, Any]) -> Work:
        prepared = container["prepared"]
        artifacts = self._platform.the(Artifacts)
        archives = []
        if prepared["model"]:
            archives.append(Input("model", artifacts.content(prepared["model"])))
        if prepared["code"]:
            archives.append(Input("model/code", artifacts.content(prepared["code"])))
        return Work(
            id=work,
            command=["python", "-m", _MODULES.get(prepared["kind"], "colonnade.serving.replica")],
            environment=Environment(prepared["runtime"], prepared.get("requirements", "")),
            variables={
                **self._acting(work, variant),
                **_variables(container, self._key.region),
                **_of_many(container, variant["instance_type"]),
            },
            folders=["model"],
            archives=archives,
            limits=Limits(
                stop_grace_seconds=_GRACE,
                memory_bytes=serverless.memory_bytes(variant) or memory_bytes(variant["instance_type"]),
            ),
            serves=True,
        )

    def _acting(self, work: str, variant: Mapping[str, Any]) -> Mapping[str, str]:
        """What lets the process act as the model's role; nothing where there is none, or none any more: then its own calls are
        refused, while it goes on to serve."""
        if not variant["role"]:
            return {}
        try:
            role = self._platform.the(Principals).assume_for_service(
                variant["role"], "sagemaker.amazonaws.com", "SageMaker"
            )
        except ServiceError:
            return {}
        return self._platform.the(WorkCredentials).grant(work, role, self._key.region)


def _address(prepared: Mapping[str, Any], told: str) -> str:
    """As routes have it: where a replica listens, and what it speaks there."""
    if prepared["kind"] != "http" or not told:
        return told
    return f"http+{told}" if told.startswith("unix:") else f"http:{told.removeprefix('tcp:')}"


def _end_of(seen: Observation, variant: Mapping[str, Any]) -> str:
    mib = memory_bytes(variant["instance_type"]) >> 20
    return (
        f"The process ended with exit code {seen.exit_code} before it answered a ping. On {variant['instance_type']} it has "
        f"{mib} MiB of memory."
    )


def _unhealthy(state: Mapping[str, Any]) -> Broken:
    return Broken(
        f"The {state['container']} container for production variant {state['variant']} did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )


def _variables(container: Mapping[str, Any], region: str) -> dict[str, str]:
    prepared = container["prepared"]
    return {
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "SAGEMAKER_REGION": region,
        **container["definition"].get("Environment", {}),
        **answering(prepared),
    }


def _of_many(container: Mapping[str, Any], instance_type: str) -> dict[str, str]:
    if container["prepared"]["kind"] != "many":
        return {}
    setting = container["definition"].get("MultiModelConfig", {}).get("ModelCacheSetting", "Enabled")
    return {
        "SAGEMAKER_MULTI_MODEL": "true",
        "COLONNADE_MANY": "1",
        "COLONNADE_MODEL_CACHE": setting,
        "COLONNADE_MEMORY_BYTES": str(memory_bytes(instance_type)),
        "COLONNADE_DISK_BYTES": str(_DISK),
    }


def memory_bytes(instance_type: str) -> int:
    """What one instance may fill with models: what its type has, and not all of what this machine has."""
    known = machine(instance_type)
    here = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 3 // 4
    return here if known is None else min(known.memory_bytes, here)
