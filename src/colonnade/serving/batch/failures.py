"""What goes wrong with a file, as users read it: in the job's FailureReason, and in the data-log that AWS writes beside the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from colonnade.formats import csv
from colonnade.serving.batch.answering import OURS
from colonnade.serving.batch.payloads import Payload
from colonnade.serving.batch.plan import Plan
from colonnade.serving.frames import Answer

_LONGEST_REASON = 1024
_LONGEST_TEXT = 4000
_ELSEWHERE = "See job logs for more information"


@dataclass(frozen=True, slots=True)
class Failure:
    name: str
    """Of the file: `<bucket>/<key>`."""
    place: str
    """`line 17`, `lines 1 to 500`, `record 3`; empty for the file as a whole."""
    status: int
    """The model's; 0 where it gave none."""
    text: str
    by_user: bool
    """Whether the input is to blame, rather than the model."""

    @property
    def category(self) -> str:
        return "ClientError" if self.by_user else "AlgorithmError"

    def __str__(self) -> str:
        where = ", ".join(filter(None, (self.name, self.place)))
        status = f" ({self.status})" if self.status else ""
        return f"{where}{status}: {self.text}"


def of_answer(name: str, payload: Payload, plan: Plan, answer: Answer) -> Failure:
    """`answer` failed, and says which record is to blame where that is known."""
    relative = int(answer.custom_attributes or 0)
    text = answer.body.decode("utf-8", "replace").strip()
    if relative + payload.first > 2:
        text = text.replace(csv.PERHAPS_A_HEADER, csv.NUMBERS_ONLY)
    ours = answer.content_type == OURS
    by_user = 400 <= answer.status < 500
    return Failure(name, _place(payload, plan, relative), 0 if ours else answer.status, text, by_user)


def _place(payload: Payload, plan: Plan, relative: int) -> str:
    noun = "line" if plan.split in ("Line", "None") else "record"
    if relative or payload.count == 1:
        alone = plan.split == "None" and not relative
        return "" if alone else f"{noun} {payload.first + max(relative, 1) - 1}"
    return f"{noun}s {payload.first} to {payload.first + payload.count - 1}"


def reason(failures: list[Failure]) -> str:
    """For the job's description."""
    more = f" ({len(failures) - 1} more files failed.)" if len(failures) > 1 else ""
    text = f"{failures[0].category}: {_ELSEWHERE}. {failures[0]}"
    return text[: _LONGEST_REASON - len(more)] + more


def settings(plan: Plan) -> str:
    """The data-log's first line."""
    strategy = "SINGLE_RECORD" if plan.single_record else "MULTI_RECORD"
    return stamped(
        f"MaxConcurrentTransforms={plan.lanes}, MaxPayloadInMB={plan.max_payload_mb}, BatchStrategy={strategy}"
    )


def told(failure: Failure) -> Iterator[str]:
    """The data-log's lines about a failed file."""
    what = (
        f"ClientError: {failure.status}" if failure.by_user else "Bad HTTP status received from algorithm: "
    )
    if not failure.by_user:
        what += str(failure.status)
    place = f" ({failure.place})" if failure.place else ""
    lines = ["", "Message:", *failure.text[:_LONGEST_TEXT].splitlines()] if failure.status else []
    for line in [f"{what if failure.status else failure.text[:_LONGEST_TEXT]}{place}", *lines]:
        yield stamped(f"{failure.name}: {line}")


def stamped(text: str) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return f"{now}:[sagemaker logs]: {text}"
