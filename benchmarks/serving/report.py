"""The tables of `run`: ratios first, then what they are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_CONCURRENCY = ("1", "8", "32")


def text(found: Mapping[str, Any]) -> str:
    dress = "signature, session token, authorisation, two variants, metrics" + (
        ", 1 % captured" if found["capture"] else ""
    )
    lines = [
        f"# Serving, {found['at']}",
        "",
        f"{found['machine']}, load {found['load_before']} before. One CSV row of {found['features']} features a request, XGBoost as ONNX;",
        f"samples of {found['seconds']} s, the best of several; servers on one core, the load on another. Colonnade in full dress: {dress}.",
        "",
        "## Colonnade against the others",
        "",
        "Times as many requests per second, and its share of their processor time per request, measured in turns.",
        "",
        *_table(["", "c=1", "c=8", "c=32", "CPU c=1", "CPU c=8", "CPU c=32"], _ratios(found)),
        "",
        "## Figures",
        "",
    ]
    heads = [
        "",
        *(f"{what} c={c}" for c in _CONCURRENCY for what in ("req/s", "p50 ms", "p99 ms", "CPU µs")),
        "PSS MiB",
    ]
    lines += _table(heads, _figures(found))
    busiest = max(cell["client_busy"] for one in found["alone"].values() for cell in one.values())
    lines += ["", f"The load took at most {busiest:.0%} of its own core.", ""]
    for name, why in found["absent"].items():
        lines += [f"**{name} is absent**: {' '.join(why.split())}", ""]
    lines += [
        "How each is asked: "
        + "; ".join(f"{name}: {one['what']}" for name, one in found["peers"].items())
        + ".",
        "",
    ]
    lines += ["## Two workers, both cores, c=8: processor time per request", ""]
    rows = [
        [name, one.get("absent", "")[:80] or one["cpu_us"], one.get("rate", ""), one.get("pss_mib", "")]
        for name, one in found["two_workers"].items()
    ]
    lines += _table(["", "CPU µs", "req/s", "PSS MiB"], rows)
    for name, points in found["curves"].items():
        lines += ["", f"## {name}: latency against offered load, constant rate", ""]
        lines += _offers([{"at": f"{point['share']:.0%}", **point} for point in points])
    lines += ["", "## Colonnade: shapes of load", ""]
    lines += _offers([{"at": name, **one} for name, one in found["shapes"].items()])
    return "\n".join(lines)


def _ratios(found: Mapping[str, Any]) -> list[list[object]]:
    pairs = {"floor": found["alone"]} | {name: one["figures"] for name, one in found["peers"].items()}
    rows: list[list[object]] = []
    for name, figures in pairs.items():
        mine, other = figures["Colonnade"], figures[name]
        rates = [f"{mine[c]['rate'] / other[c]['rate']:.2f}" for c in _CONCURRENCY]
        costs = [f"{mine[c]['cpu_us'] / other[c]['cpu_us']:.2f}" for c in _CONCURRENCY]
        rows.append([name, *rates, *costs])
    return rows


def _figures(found: Mapping[str, Any]) -> list[list[object]]:
    rows = [_figure_row(name, one, found["pss_mib"][name]) for name, one in found["alone"].items()]
    return rows + [
        _figure_row(name, one["figures"][name], one["pss_mib"]) for name, one in found["peers"].items()
    ]


def _figure_row(name: str, figures: Mapping[str, Any], pss: float) -> list[object]:
    cells = [figures[c][member] for c in _CONCURRENCY for member in ("rate", "p50_ms", "p99_ms", "cpu_us")]
    return [name, *cells, pss]


def _offers(points: Sequence[Mapping[str, Any]]) -> list[str]:
    heads = [
        "",
        "offered/s",
        "good/s",
        "p50 ms",
        "p99 ms",
        "refused",
        "refusal p50 ms",
        "unanswered",
        "load's core",
    ]
    rows = [
        [
            point["at"], point["offered"], point["goodput"], point["p50_ms"], point["p99_ms"], point["refused"],
            point["refusal_p50_ms"] if point["refused"] else "", point["unanswered"], f"{point['client_busy']:.0%}",
        ]
        for point in points
    ]  # fmt: skip
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    told = [
        "| " + " | ".join(f"{cell:,}" if isinstance(cell, float | int) else str(cell) for cell in row) + " |"
        for row in rows
    ]
    return ["| " + " | ".join(heads) + " |", "|---" + "|--:" * (len(heads) - 1) + "|", *told]
