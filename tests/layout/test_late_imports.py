"""What is large is not there until somebody needs it: start-up time and idle memory are features."""

from __future__ import annotations

import subprocess
import sys

LATE = ("cryptography", "numpy", "onnxruntime", "xgboost", "sklearn", "pandas")


def test_no_operation_needs_a_large_library_to_be_registered() -> None:
    code = f"""
import sys
from colonnade.app import load_operations
load_operations()
import colonnade.cloud.kms.service_keys, colonnade.cloud.s3.storage, colonnade.kernel.sealing, colonnade.objects.sealed
print([name for name in {LATE!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
