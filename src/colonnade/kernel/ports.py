"""What lower layers need from upper ones: Protocols, implemented above, wired in `app.py`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from colonnade.kernel.policy import Decision, Policy
    from colonnade.kernel.store import Transaction


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts. `arn` is what GetCallerIdentity answers (an assumed role's session, not the role)."""

    arn: str
    account: str
    user_id: str
    kind: str
    """"root", "user", "role" (an assumed role's session), "service" or "anonymous"."""
    identity_arn: str = ""
    """Whose policies count: the user or role behind `arn`."""
    session_policies: tuple[str, ...] = ()
    """JSON policies given at AssumeRole: they can only narrow."""


@dataclass(frozen=True, slots=True)
class Credential:
    access_key_id: str
    secret_access_key: str
    session_token: str | None
    expires: float | None
    """Epoch seconds; None for long-term keys."""
    principal: Principal
    signing_keys: dict[tuple[str, str, str], bytes] = field(default_factory=dict, compare=False, hash=False)
    """A verifier's cache by (date, region, service); no part of the credential itself."""


class Principals(Protocol):
    """Identity as the chain and the platform's own parts need it. Answers come from this process's snapshot, which the
    signal `identity` renews."""

    def credential(self, access_key_id: str) -> Credential | None: ...

    def allows(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> bool:
        """The decision of all policies that concern the principal: explicit deny wins, then any allow, else False.
        Root is always allowed."""
        ...

    def decide(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> Decision:
        """`allows` with its reasons: where a resource has a policy of its own (a bucket, a role's trust), silence here and an
        explicit deny are different things."""
        ...

    def decide_with(
        self,
        principal: Principal,
        action: str,
        resource: str,
        policy: Policy,
        context: Mapping[str, Any] | None = None,
        *,
        alone: bool = False,
    ) -> Decision:
        """`decide` together with the policy of a resource in the principal's own account: either may allow, none may deny. Where the
        resource's policy names the account as a whole, it lets the principal's policies decide. `alone`: those count only where it
        does (keys), so that the resource's policy is the root of all access."""
        ...

    def assume_for_service(self, role_arn: str, service: str, session: str) -> Principal:
        """The role's session for a service principal (`sagemaker.amazonaws.com`) whose trust the role must state.
        Raises ServiceError ValidationException `Could not assume role <arn>. Please ensure that the role exists and allows
        principal '<service>' to assume the role.`"""
        ...


class WorkCredentials(Protocol):
    """How a job or replica acts as its role: variables that point any AWS SDK at this server, and at a place in it where the
    work fetches temporary credentials whenever it needs new ones."""

    def grant(self, work_id: str, role: Principal, region: str) -> Mapping[str, str]:
        """The variables. Granting again gives the same ones, so that a start may be repeated."""
        ...

    def revoke(self, work_id: str) -> None:
        """No new credentials from now on; those given out last until they expire. Silent when there was no grant."""
        ...

    def fetch(self, work_id: str, token: str) -> Mapping[str, Any]:
        """Temporary credentials in the form that the SDKs' container provider reads. Raises ServiceError AccessDenied for a wrong
        token or a work without a grant."""
        ...


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    bucket: str
    key: str
    size: int
    etag: str
    """Without quotes."""
    modified: float


class ObjectContent(Protocol):
    """The bytes of one object version. They never change; they may be read more than once."""

    @property
    def info(self) -> ObjectInfo: ...

    @property
    def local_path(self) -> Path | None:
        """Where the plain bytes lie on this machine, to be copied, reflinked or bound read-only, never hard-linked or
        written; None when they do not (remote store, encrypted)."""
        ...

    def open(self) -> BinaryIO: ...


class Storage(Protocol):
    """S3 for the platform's own parts, always as somebody: policy applies as it would over the wire.

    Raises ServiceError with S3's codes: AccessDenied, NoSuchBucket, NoSuchKey.
    """

    def list(self, principal: Principal, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """In key order; `prefix` is a plain string prefix."""
        ...

    def read(self, principal: Principal, bucket: str, key: str) -> ObjectContent: ...

    def write(
        self,
        principal: Principal,
        bucket: str,
        key: str,
        source: BinaryIO,
        *,
        content_type: str = "binary/octet-stream",
        kms_key_id: str = "",
    ) -> ObjectInfo:
        """Durable and atomically visible when it returns. `source` is read to its end, in pieces. With a KMS key (id, ARN or alias)
        it is encrypted under that, else as the bucket's default says."""
        ...

    def delete(self, principal: Principal, bucket: str, key: str) -> None:
        """Silent when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class DataKey:
    key_arn: str
    plaintext: bytes = field(repr=False)
    wrapped: bytes = field(repr=False)
    """The same, encrypted under the key: what is kept beside the data."""


class Keys(Protocol):
    """KMS for services that encrypt, always as somebody: key policies, identity policies and grants apply as over the wire.

    Raises ServiceError with KMS's codes: AccessDeniedException, NotFoundException, DisabledException, KMSInvalidStateException,
    InvalidCiphertextException.
    """

    def data_key(
        self, principal: Principal, region: str, key_id: str, context: Mapping[str, str], *, service: str
    ) -> DataKey:
        """GenerateDataKey of 256 bits. `key_id` is an id, an ARN or an alias; `alias/aws/<service>` comes into being at its first
        use. `service` asks on the principal's behalf (`kms:ViaService`)."""
        ...

    def unwrap(
        self, principal: Principal, region: str, wrapped: bytes, context: Mapping[str, str], *, service: str
    ) -> bytes:
        """Decrypt. The context must be the one that the key was wrapped with."""
        ...

    def own(self, purpose: str) -> bytes:
        """256 bits for a service's own encryption, the same for the same purpose: derived from the master key, known to nobody."""
        ...


@dataclass(frozen=True, slots=True)
class LogEvent:
    timestamp: float
    """Epoch seconds when the line was written."""
    message: str


class LogStreams(Protocol):
    """CloudWatch Logs for the platform's own parts."""

    def append(
        self,
        account: str,
        region: str,
        group: str,
        stream: str,
        events: Sequence[LogEvent],
        *,
        position: int | None = None,
    ) -> None:
        """Group and stream come into being with the first append. `position` is the source's offset after these events
        (bytes of its own log, say): appending with a position that is not above the stream's last one is a no-op, so that a
        pump killed between append and bookkeeping can simply repeat itself."""
        ...

    def position(self, account: str, region: str, group: str, stream: str) -> int:
        """The last `position` appended; 0 when there is none."""
        ...


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where clients find this server: what queues and subscriptions are told as URLs."""

    url: str


class Notifications(Protocol):
    """SNS for the platform's own parts, always as somebody: the role's and the topic's policies apply.

    Raises ServiceError with SNS's codes: AuthorizationError, NotFound, InvalidParameter.
    """

    def check(self, principal: Principal, topic_arn: str) -> None:
        """Whether it may publish there. Not inside a transaction."""
        ...

    def publish(
        self,
        principal: Principal,
        topic_arn: str,
        message: str,
        *,
        subject: str = "",
        within: Transaction | None = None,
    ) -> str:
        """Durable when it returns; then each subscriber is told at least once. Answers the message's id. `within` a transaction
        of the caller's, it is published if that is, and `check` is to be asked before."""
        ...


@dataclass(frozen=True, slots=True)
class Backlog:
    """How an asynchronous endpoint's queue stands: AWS's four metrics."""

    account: str
    region: str
    endpoint: str
    size: int
    """ApproximateBacklogSize: requests that wait or are worked on."""
    per_instance: float
    """ApproximateBacklogSizePerInstance; the size itself where there is no instance."""
    oldest_seconds: float
    """ApproximateAgeOfOldestRequest; 0 where none waits."""
    without_capacity: bool
    """HasBacklogWithoutCapacity: requests wait and there is no instance."""


class Backlogs(Protocol):
    def now(self) -> Sequence[Backlog]:
        """Of every asynchronous endpoint, from the queue itself; from any process."""
        ...
