"""Latency and goodput against offered load, drawn as SVG without any library. `run` calls it with what it measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_WIDTH, _HEIGHT, _LEFT, _TOP, _BETWEEN = 760, 260, 70, 34, 90
_COLOURS = {"Colonnade": "#1f6feb", "floor": "#8b949e"}


def svg(curves: dict[str, Sequence[dict[str, Any]]]) -> str:
    """Above: p99 in milliseconds, logarithmic. Below: good answers per second. `curves` by server, each point with offered,
    goodput, p99_ms."""
    most = max(point["offered"] for points in curves.values() for point in points)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH + 160}" height="{2 * _HEIGHT + 2 * _BETWEEN}" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/><g font-family="sans-serif">',
    ]
    slowest = max(_finite(point["p99_ms"]) for points in curves.values() for point in points)
    decades = max(1, math.ceil(math.log10(max(slowest, 1.0))) + 1)  # from 0.1 ms

    def by_latency(value: float) -> float:
        return 1 - (math.log10(max(_finite(value), 0.1)) + 1) / decades

    highest = max(point["goodput"] for points in curves.values() for point in points) * 1.1
    parts += _panel(
        "p99, ms", 0, most, [(10.0 ** (n - 1), by_latency(10.0 ** (n - 1))) for n in range(decades + 1)]
    )
    parts += _panel(
        "good answers per second",
        1,
        most,
        [(highest * n / 4, 1 - n / 4) for n in range(5)],
    )
    for number, (name, points) in enumerate(curves.items()):
        colour = _COLOURS.get(name, "#d29922")
        parts += _line(points, 0, most, colour, lambda point: by_latency(point["p99_ms"]))
        parts += _line(points, 1, most, colour, lambda point: 1 - point["goodput"] / highest)
        parts.append(
            f'<text x="{_LEFT + _WIDTH - 60}" y="{_TOP + 16 * number + 14}" fill="{colour}">{name}</text>'
        )
    return "\n".join([*parts, "</g></svg>"])


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.1


def _origin(panel: int) -> float:
    return _TOP + panel * (_HEIGHT + _BETWEEN)


def _panel(title: str, panel: int, most: float, marks: Sequence[tuple[float, float]]) -> list[str]:
    top = _origin(panel)
    parts = [f'<text x="{_LEFT}" y="{top - 10}" font-weight="bold">{title}</text>']
    for value, at in marks:
        y = top + at * _HEIGHT
        parts.append(f'<line x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#d0d7de"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.4g}</text>')
    for number in range(5):
        value, x = most * number / 4, _LEFT + _WIDTH * number / 4
        parts.append(f'<text x="{x:.1f}" y="{top + _HEIGHT + 18}" text-anchor="middle">{value:,.0f}</text>')
    parts.append(
        f'<text x="{_LEFT + _WIDTH / 2}" y="{top + _HEIGHT + 36}" text-anchor="middle">offered, requests/s</text>'
    )
    return parts


def _line(points: Sequence[dict[str, Any]], panel: int, most: float, colour: str, height: Any) -> list[str]:
    top = _origin(panel)
    places = [
        (_LEFT + point["offered"] / most * _WIDTH, top + min(1.0, max(0.0, height(point))) * _HEIGHT)
        for point in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    return [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>', *dots]
