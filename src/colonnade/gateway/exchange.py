"""One request on its way through the chain, with what each step has found out about it so far."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from colonnade.kernel.operations import Call, Result
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Credential
from colonnade.kernel.streams import ByteStream

if TYPE_CHECKING:
    from colonnade.gateway.body import ArrivedBody, IncomingBody
    from colonnade.gateway.event_streams import Frames
    from colonnade.gateway.plans import Plan
    from colonnade.gateway.post_form import PostForm
    from colonnade.gateway.sigv4 import Signature

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(slots=True)
class Response:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes | ByteStream | Frames = b""


@dataclass(slots=True)
class Exchange:
    platform: Platform
    pool: Executor
    """Where synchronous operations run."""
    receive: Receive
    request_id: str
    method: str
    raw_path: str
    """The path as the client wrote it: never decoded, never normalised."""
    query: str
    """The query string as the client wrote it."""
    headers: Mapping[bytes, bytes]
    """Lower-case names; repeated headers joined by commas."""
    source: str
    """The client's address."""
    default_region: str
    """For requests that carry no credential scope."""
    whole: bytes | None = None
    """The body as it came, when all of it was there with the head; then nothing is left to `receive`."""
    uploads: Executor | None = None
    """Where operations run whose body has yet to come: however slow their clients are, the others have theirs."""
    path: str = ""
    """What routes are matched on: `raw_path`, with the bucket of a virtual host put in front."""
    signature: Signature | None = None
    plan: Plan | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    """URI labels, decoded once."""
    form: list[tuple[str, str]] | None = None
    """The pairs of a query-protocol request, decoded."""
    body: bytes = b""
    """The whole body, unless the operation streams it."""
    body_read: bool = False
    stream: IncomingBody | ArrivedBody | None = None
    post_form: PostForm | None = None
    """When an S3 upload came as a form."""
    credential: Credential | None = None
    call: Call | None = None
    result: Result = field(default_factory=dict)
    response: Response | None = None
    began: float = 0.0
    """By the clock that measures, not the one that tells the time."""
    steps_done: int = 0
    """How many steps of the chain were taken at once, before anything had to wait."""

    @property
    def region(self) -> str:
        return self.signature.region if self.signature and self.signature.region else self.default_region

    def header(self, name: bytes) -> str | None:
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")
