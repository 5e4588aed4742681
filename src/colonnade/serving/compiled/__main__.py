"""`python -m colonnade.serving.compiled <model folder> <out folder> [<runtime>]`: compile and prove a model.

Exit 0: compiled.json says `onnx` or `native`. Exit 1: the model is refused, the reason on stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(arguments: list[str]) -> int:
    if len(arguments) not in (2, 3):
        print(
            "usage: python -m colonnade.serving.compiled <model folder> <out folder> [<runtime>]",
            file=sys.stderr,
        )
        return 2
    from colonnade.algorithms.contract import UserError
    from colonnade.serving.compiled.compile import compile_model

    try:
        description = compile_model(Path(arguments[0]), Path(arguments[1]), *arguments[2:])
    except UserError as refusal:
        print(refusal, file=sys.stderr)
        return 1
    print(f"{description['kind']} {description['reason']}".strip())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
