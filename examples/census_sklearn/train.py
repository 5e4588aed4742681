"""Logistic regression on the census data, in SageMaker's script mode: trained as a program, then imported to serve.

As a program it finds its data and the place of its model in the SM_* variables. As a module it gives the four functions that
the scikit-learn container calls: model_fn once, then input_fn, predict_fn and output_fn for every request.
"""

import argparse
import io
import os
from pathlib import Path

import joblib
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

MODEL_FILE = "model.joblib"


def main() -> None:
    arguments = parse_arguments()
    rows, labels = read_channel(arguments.train)
    print(f"training on {len(rows)} rows of {rows.shape[1]} columns", flush=True)
    # Every column is a category, and age does better as one too: employment rises and falls with it.
    model = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegression(C=arguments.inverse_regularization, max_iter=arguments.max_iter),
    )
    model.fit(rows, labels)

    held_out, truth = read_channel(arguments.validation)
    auc = roc_auc_score(truth, model.predict_proba(held_out)[:, 1])
    # The job's MetricDefinitions look for this line.
    print(f"validation-auc={auc:.5f}", flush=True)
    joblib.dump(model, Path(arguments.model_dir) / MODEL_FILE)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inverse-regularization", type=float, default=1.0)
    parser.add_argument("--max-iter", type=int, default=200)
    parser.add_argument("--model-dir", default=os.environ.get("SM_MODEL_DIR"))
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--validation", default=os.environ.get("SM_CHANNEL_VALIDATION"))
    return parser.parse_args()


def read_channel(folder: str) -> tuple[np.ndarray, np.ndarray]:
    """All CSV files of a channel: the label first, no header."""
    tables = [np.loadtxt(file, delimiter=",", ndmin=2) for file in sorted(Path(folder).glob("*.csv"))]
    if not tables:
        raise SystemExit(f"no CSV file in {folder}")
    table = np.concatenate(tables)
    return table[:, 1:], table[:, 0]


def model_fn(model_dir):
    return joblib.load(Path(model_dir) / MODEL_FILE)


def input_fn(body, content_type):
    if content_type.split(";")[0] != "text/csv":
        raise ValueError(f"this model reads text/csv, not {content_type}")
    text = body.decode() if isinstance(body, bytes) else body
    return np.loadtxt(io.StringIO(text), delimiter=",", ndmin=2)


def predict_fn(rows, model):
    return model.predict_proba(rows)[:, 1]


def output_fn(probabilities, accept):
    return "\n".join(f"{probability:.6f}" for probability in probabilities), "text/csv"


if __name__ == "__main__":
    main()
