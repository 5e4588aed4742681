"""No isolation: the work runs as the server's user and sees the whole machine, its folder at its real place.

What names `/opt/ml` in the command or its variables is rewritten, and `SAGEMAKER_BASE_DIR` tells the toolkits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_BASE = re.compile(r"/opt/ml(?![\w.-])")


def command(words: Sequence[str], ml: Path) -> list[str]:
    return [rewritten(word, ml) for word in words]


def variables(given: Mapping[str, str], ml: Path) -> dict[str, str]:
    return {"SAGEMAKER_BASE_DIR": str(ml)} | {name: rewritten(value, ml) for name, value in given.items()}


def rewritten(text: str, ml: Path) -> str:
    """`text` with the contract's folder in its real place.

    >>> rewritten("--model-dir /opt/ml/model", Path("/work/7/ml"))
    '--model-dir /work/7/ml/model'
    >>> rewritten("/opt/mlx", Path("/work/7/ml"))
    '/opt/mlx'
    """
    return _BASE.sub(lambda _: str(ml), text)
