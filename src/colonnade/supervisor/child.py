"""What a child does first: tie its life to the supervisor's, and keep what it inherited from its own children. What a
leader does once it leads: say so."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterable

LEADING = 255
"""The byte down the supervisor's pipe; no signal has this number."""
_PR_SET_PDEATHSIG = 1


def tie_to_parent(parent: int, inherited: Iterable[int]) -> None:
    """From here on this process is killed when the supervisor dies, even by SIGKILL. Call it from the main thread, first.

    SIGKILL, not SIGTERM: a leader told to terminate would stop the jobs, which are to be taken up by the next server.
    """
    for descriptor in inherited:
        os.set_inheritable(descriptor, False)
    if sys.platform == "linux":
        import ctypes  # here, since the supervisor imports this file too and does without

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:
        sys.exit("the supervisor has gone already")


def say_leading(pipe: int) -> None:
    os.write(pipe, bytes([LEADING]))
