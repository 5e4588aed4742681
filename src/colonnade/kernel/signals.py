"""How one process tells the others that something changed, and knows that they have taken it in.

The store holds the truth; a signal only says "look again". A publisher waits until every live process has run its
handlers, so that "InService" or a changed policy is reported only once it holds everywhere. A process that dies is
no longer waited for; one that starts reads the store anyway.

Topics in use: `reconcile` (subject: a resource's key), `routes` (subject: an endpoint), `identity` (credentials, policies).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

Handler = Callable[[str], None]
"""Takes the subject. Runs on the signal's own thread: be quick, or hand over. An exception is told to the publisher."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A live process could not take the change in."""

    process: str
    reason: str


class Signals(Protocol):
    def subscribe(self, topic: str, handler: Handler) -> None:
        """Handlers of a topic run in the order of subscription, in each process that subscribed."""
        ...

    def publish(self, topic: str, subject: str = "", *, timeout: float = 10.0) -> Sequence[Refusal]:
        """Returns when every live process has answered, with the refusals; a process silent past `timeout` refuses."""
        ...

    def notify(self, topic: str, subject: str = "") -> None:
        """Like `publish`, without waiting and without an answer: for wake-ups, where a later look would do as well."""
        ...

    def close(self) -> None: ...


class LocalSignals:
    """All within one process: `--ephemeral` and tests."""

    def __init__(self) -> None:
        self._handlers: dict[str, list[Handler]] = {}
        self._lock = threading.Lock()

    def subscribe(self, topic: str, handler: Handler) -> None:
        with self._lock:
            self._handlers.setdefault(topic, []).append(handler)

    def deliver(self, topic: str, subject: str) -> str | None:
        """Run this process's handlers; the text of the first failure, or None."""
        with self._lock:
            handlers = list(self._handlers.get(topic, ()))
        for handler in handlers:
            try:
                handler(subject)
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is the publisher's to judge
                return f"{type(error).__name__}: {error}"
        return None

    def publish(self, topic: str, subject: str = "", *, timeout: float = 10.0) -> Sequence[Refusal]:
        reason = self.deliver(topic, subject)
        return [] if reason is None else [Refusal("this process", reason)]

    def notify(self, topic: str, subject: str = "") -> None:
        self.deliver(topic, subject)

    def close(self) -> None:
        with self._lock:
            self._handlers.clear()
