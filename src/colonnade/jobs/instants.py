"""Instants that the executor measured, on the platform's clock."""

from __future__ import annotations

import time

from colonnade.kernel.platform import Platform


def by_platform_clock(platform: Platform, real: float) -> float:
    """The same one, unless that clock is driven by hand."""
    return platform.clock.now() - max(0.0, time.time() - real)
