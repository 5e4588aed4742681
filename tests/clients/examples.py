"""The files that docs/clients.md shows: what users read is what the tests run."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "clients.md"


def written(folder: Path) -> None:
    """Put every file of the page into the folder."""
    shown = re.findall(r"^```\w+ file=(\S+)\n(.*?)^```$", PAGE.read_text(), flags=re.DOTALL | re.MULTILINE)
    assert shown, f"{PAGE} shows no files"
    for name, text in shown:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
