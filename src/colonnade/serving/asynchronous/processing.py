"""One asynchronous request, from its claim to its end. Awaited on the worker's event loop; what blocks runs in the given threads."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principal, Storage
from colonnade.kernel.store import Stored
from colonnade.serving.artifacts import s3_place
from colonnade.serving.asynchronous import outcome, queue
from colonnade.serving.connection import ReplicaLost
from colonnade.serving.router import Answer, Invocation, Router
from colonnade.serving.routes import Measure

_log = logging.getLogger(__name__)
LARGEST_INPUT = 1024 * 1024 * 1024
EXPIRED = (
    "The request waited in the queue for longer than {seconds:g} seconds (RequestTTLSeconds) and has expired."
)
POISON = (
    "A process of the server ended while it worked on this request, {deaths} times: it is not tried again."
)
DELETED = "The endpoint was deleted before it had processed the request."
_PAUSE = 1.0
"""Seconds before something that went wrong is tried again."""
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processing:
    platform: Platform
    router: Router
    threads: Executor

    async def process(self, request: Stored, variant: str, measure: Measure) -> None:
        """Until it has ended, or is back in the queue for somebody else. Never raises."""
        began = time.perf_counter()
        try:
            if request.document["deaths"] >= queue.MOST_DEATHS:
                text = POISON.format(deaths=request.document["deaths"])
                await self._blocking(outcome.fail, self.platform, request, text, measure)
            else:
                await self._try(request, variant, measure)
                measure("TotalProcessingTime", (time.perf_counter() - began) * 1e3)
        except LookupError as lost:
            _log.warning("%s", lost)
        except ReplicaLost:  # two of them, which is when the router gives up
            await self._release(request, died=2)
        except _Unavailable:
            await asyncio.sleep(_PAUSE)
            await self._release(request, died=0)
        except asyncio.CancelledError:  # this worker ends: another one goes on
            queue.release(self.platform.store, request, died=0)
            raise
        except Exception:  # noqa: BLE001 - logged, and tried again a few times: one request must not end the dispatcher
            _log.exception("%s could not be processed", request.key)
            await asyncio.sleep(_PAUSE)
            await self._release(request, died=1)

    async def expire(self, request: Stored, measure: Measure) -> None:
        measure("ExpiredRequests")
        seconds = request.document["expires"] - request.document["accepted"]
        try:
            await self._blocking(
                outcome.fail, self.platform, request, EXPIRED.format(seconds=seconds), measure
            )
        except Exception:  # noqa: BLE001 - logged, and tried again
            _log.exception("%s could not be told that it expired", request.key)
            await asyncio.sleep(_PAUSE)
            await self._release(request, died=0)

    async def _release(self, request: Stored, *, died: int) -> None:
        await self._blocking(queue.release, self.platform.store, request, died=died)

    async def _try(self, request: Stored, variant: str, measure: Measure) -> None:
        measure("TimeInBacklog", (self.platform.clock.now() - request.document["accepted"]) * 1e3)
        try:
            role = await self._blocking(outcome.role_of, self.platform, request)
            if await self._went_on(role, request, measure):
                return
            answer = await self._ask(role, request, variant, measure)
            content_type = answer.content_type
            began = time.perf_counter()
            request = await self._blocking(
                _upload, self.platform, role, request, answer.body, content_type, measure
            )
            measure("ResponseUploadLatency", (time.perf_counter() - began) * 1e6)
        except ServiceError as error:
            if error.code in ("ModelError", "ModelNotReadyException"):
                measure("InvocationFailures")
            original = str(error.members.get("OriginalMessage", "")).encode()
            await self._blocking(
                outcome.fail, self.platform, request, error.message, measure, answer=original
            )
            return
        await self._blocking(
            outcome.complete, self.platform, role, request, answer.body, content_type, measure
        )
        measure("InvocationsProcesssed")

    async def _went_on(self, role: Principal, request: Stored, measure: Measure) -> bool:
        """Whether a process that is gone had come as far as the output: then only the telling is left."""
        if "writing" not in request.document:
            return False
        found = await self._blocking(outcome.written_before, self.platform, request)
        if found is None:
            return False
        content_type = request.document["writing"]["content_type"]
        await self._blocking(outcome.complete, self.platform, role, request, None, content_type, measure)
        measure("InvocationsProcesssed")
        return True

    async def _ask(self, role: Principal, request: Stored, variant: str, measure: Measure) -> Answer:
        began = time.perf_counter()
        body = await self._blocking(_download, self.platform, role, request, measure)
        measure("RequestDownloadLatency", (time.perf_counter() - began) * 1e6)
        asked = request.document
        invocation = Invocation(
            body,
            asked["content_type"],
            asked["accept"],
            asked["custom_attributes"],
            target_variant=variant,
            inference_id=asked["id"],
        )
        try:
            return await self.router.run(queue.endpoint_of(request.key), invocation, seconds=asked["timeout"])
        except ServiceError as error:
            if error.code in ("ServiceUnavailable", "ValidationError"):
                # Its instances went, or a change of the endpoint took the variant away: the queue knows what there is now.
                raise _Unavailable from error
            raise

    async def _blocking(self, work: Callable[P, T], *given: P.args, **named: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: work(*given, **named))


class _Unavailable(Exception):  # noqa: N818 - a condition
    """Not now."""


def _download(platform: Platform, role: Principal, request: Stored, measure: Measure) -> bytes:
    if "content" in request.document:
        with platform.store.read() as reader:
            inline = reader.content(request.document["content"])
        if inline is None:
            raise LookupError(f"{request.key} has ended meanwhile")
        return inline
    url = request.document["input"]
    try:
        content = platform.the(Storage).read(role, *s3_place(url))
        if content.info.size > LARGEST_INPUT:
            raise ServiceError(
                "ValidationError",
                f"The input has {content.info.size} bytes; at most {LARGEST_INPUT} can be processed.",
            )
        with content.open() as source:
            return source.read()
    except ServiceError as error:
        measure("RequestDownloadFailures")
        text = (
            f"Failed to download the request from {url}. Please ensure that the object exists and that the endpoint's "
            f"execution role has permissions to read it ({error})."
        )
        raise ServiceError(error.code, text) from error


def _upload(
    platform: Platform, role: Principal, request: Stored, body: bytes, content_type: str, measure: Measure
) -> Stored:
    try:
        return outcome.write_output(platform, role, request, body, content_type)
    except ServiceError as error:
        measure("ResponseUploadFailures")
        text = (
            f"Failed to upload the response to {request.document['output']}. Please ensure that the bucket exists and that "
            f"the endpoint's execution role has permissions to write to it ({error})."
        )
        raise ServiceError(error.code, text) from error
