"""What no input may bring about."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from .stage import Answer

SECONDS = 1.0


def wrong(answer: Answer, *, timed: bool = True) -> str | None:
    """The first rule that the answer breaks. Time is a rule for `make fuzz`: a busy machine must not fail a test."""
    if answer.accident:
        return f"an accident\n{answer.accident[-3000:]}"
    if answer.status >= 500 and answer.status != 501:
        return f"status {answer.status}: {answer.body[:500]!r}"
    if timed and answer.seconds > SECONDS:
        return f"{answer.seconds:.2f} s of the processor"
    if len(answer.body) > 1024 * 1024 and answer.status >= 400:
        return f"a refusal of {len(answer.body)} bytes"
    return _form(answer)


def _form(answer: Answer) -> str | None:
    kind = answer.headers.get(b"content-type", b"")
    if answer.status >= 400 and b"html" in kind + answer.body[:200].lower():
        return "HTML"
    if not {b"x-amzn-requestid", b"x-amz-request-id"} & set(answer.headers):
        return "no request id"
    try:
        if answer.body and b"json" in kind:
            json.loads(answer.body)
        elif answer.body and b"xml" in kind and answer.status >= 400:
            ElementTree.fromstring(answer.body)
    except (ValueError, ElementTree.ParseError) as error:
        return f"a body that is not {kind.decode()}: {error}: {answer.body[:500]!r}"
    return None
