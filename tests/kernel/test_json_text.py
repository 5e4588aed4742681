"""JSON in texts, up to where nesting ends."""

from __future__ import annotations

import pytest

from colonnade.kernel.json_text import read


@pytest.mark.parametrize("text", ["", "{", "[1,]", "nul", b"\xff", "9" * 5000])
def test_what_is_no_json_is_a_value_error(text: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(text)


def test_values_come_as_they_are() -> None:
    assert read('{"a": [1, {"b": null}], "c": "[[["}') == {"a": [1, {"b": None}], "c": "[[["}
    assert read(b'"text"') == "text"
    assert read("1") == 1


def test_nesting_has_an_end() -> None:
    assert read("[" * 100 + "]" * 100)
    for levels in (101, 5000, 200_000):
        with pytest.raises(ValueError, match="more than 100 levels"):
            read("[" * levels + "]" * levels)
        with pytest.raises(ValueError, match="more than 100 levels"):
            read('{"a":' * levels + "1" + "}" * levels)
