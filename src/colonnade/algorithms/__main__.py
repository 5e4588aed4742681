"""`python -m colonnade.algorithms <name>`: train one built-in algorithm on the folder laid out at /opt/ml.

The executor starts it; the base folder comes from SM_BASE or SAGEMAKER_BASE_DIR where /opt/ml could not be mounted.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from colonnade.algorithms import load, names
from colonnade.algorithms.contract.job import run


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in names():
        print(f"usage: python -m colonnade.algorithms {{{','.join(names())}}}", file=sys.stderr)
        return 2
    base = os.environ.get("SM_BASE") or os.environ.get("SAGEMAKER_BASE_DIR") or "/opt/ml"
    return run(load(arguments[0]), Path(base))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
