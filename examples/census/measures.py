"""The few numbers that the examples report, in plain Python, so that they run wherever boto3 does."""

import math
from collections.abc import Sequence


def accuracy(labels: Sequence[int], scores: Sequence[float]) -> float:
    return sum((score >= 0.5) == bool(label) for label, score in zip(labels, scores, strict=True)) / len(
        labels
    )


def auc(labels: Sequence[int], scores: Sequence[float]) -> float:
    """The chance that a random positive scores above a random negative; equal scores count half.

    >>> auc([1, 1, 0, 0], [0.9, 0.4, 0.6, 0.1])
    0.75
    """
    positives = sum(labels)
    negatives = len(labels) - positives
    if not positives or not negatives:
        return math.nan
    ranked = sorted(zip(scores, labels, strict=True))
    positive_ranks = 0.0
    start = 0
    while start < len(ranked):
        end = start
        while end < len(ranked) and ranked[end][0] == ranked[start][0]:
            end += 1
        # Ranks count from 1; every member of a tie gets the middle one.
        positive_ranks += (start + 1 + end) / 2 * sum(label for _, label in ranked[start:end])
        start = end
    return (positive_ranks - positives * (positives + 1) / 2) / (positives * negatives)


def three_sigma(calls: int, share: float) -> tuple[int, int]:
    """Between which counts 997 of 1000 fair draws of `calls` calls fall, each taken with chance `share`.

    >>> three_sigma(2000, 0.5)
    (933, 1067)
    """
    reach = 3 * math.sqrt(calls * share * (1 - share))
    return math.ceil(calls * share - reach), math.floor(calls * share + reach)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all values do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns in plain text: the first to the left, the others to the right."""
    cells = [list(heads), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    lines = [
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])
