"""_leader, _worker: what the supervisor starts. Not for people."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from functools import partial

from colonnade import settings
from colonnade.cli import process_log
from colonnade.supervisor.child import say_leading, tie_to_parent


def run(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser("colonnade")
    parser.add_argument("role", choices=("_leader", "_worker"))
    parser.add_argument("--name", required=True)
    parser.add_argument("--settings", required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--lock", type=int, required=True)
    parser.add_argument("--fd", type=int, help="the listening socket, for a worker")
    parser.add_argument("--ready", type=int, help="where a leader says that it leads")
    arguments = parser.parse_args(argv)
    inherited = (arguments.lock, arguments.fd, arguments.ready)
    tie_to_parent(arguments.parent, [each for each in inherited if each is not None])
    chosen = settings.from_parent(arguments.settings)
    process_log.configure(chosen, arguments.name)
    try:
        from colonnade import app

        if arguments.role == "_worker":
            app.run_worker(chosen, arguments.fd)
        else:
            app.run_leader(chosen, partial(say_leading, arguments.ready))
    except KeyboardInterrupt:
        pass
    except Exception as error:
        # A traceback belongs into the log of something that runs unwatched.
        logging.getLogger(arguments.name).critical("%s: %s", type(error).__name__, error, exc_info=error)
        return 1
    return 0
