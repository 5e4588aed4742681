"""The tables that a run ends with."""

from collections.abc import Sequence
from typing import Any

from .measures import accuracy, auc, percentile, table
from .traffic import Answer, labels_and_scores
from .training import final_auc


def report(
    jobs: Sequence[dict[str, Any]],
    even: Sequence[Answer],
    shifted: Sequence[Answer],
    answers: Sequence[Answer],
) -> str:
    job_table = table(
        ["training job", "status", "seconds", "validation:auc"],
        [
            [
                job["TrainingJobName"],
                job["TrainingJobStatus"],
                f"{(job['TrainingEndTime'] - job['TrainingStartTime']).total_seconds():.1f}",
                f"{final_auc(job):.4f}",
            ]
            for job in jobs
        ],
    )
    variant_table = table(
        ["variant", "calls", "share at 1:1", "at 80:20", "accuracy", "AUC", "p50 ms", "p99 ms"],
        [variant_row(variant, even, shifted, answers) for variant in ("Model-A", "Model-B")],
    )
    return f"\n{job_table}\n\n{variant_table}"


def variant_row(
    variant: str, even: Sequence[Answer], shifted: Sequence[Answer], answers: Sequence[Answer]
) -> list[Any]:
    labels, scores = labels_and_scores(answers, variant)
    latencies = [answer.milliseconds for answer in answers if answer.variant == variant]
    shares = [sum(a.variant == variant for a in part) / len(part) for part in (even, shifted)]
    return [
        variant,
        len(labels),
        *(f"{share:.1%}" for share in shares),
        f"{accuracy(labels, scores):.3f}",
        f"{auc(labels, scores):.4f}",
        f"{percentile(latencies, 0.50):.1f}",
        f"{percentile(latencies, 0.99):.1f}",
    ]
