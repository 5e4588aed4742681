"""`colonnade version`."""

from __future__ import annotations

import argparse

from colonnade import __version__
from colonnade.cli.terminal import print_json


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    if arguments.json:
        print_json({"version": __version__})
    else:
        print(f"colonnade {__version__}")
    return 0
