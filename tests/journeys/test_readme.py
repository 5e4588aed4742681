"""What the README shows is what happens."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from colonnade.testing.server import Server

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_example_trains_deploys_and_predicts_as_printed(server: Server, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.DOTALL)
    script = tmp_path / "first_model.py"
    script.write_text(example)

    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **server.environment()}
    ran = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, timeout=240, check=False
    )

    assert ran.returncode == 0, ran.stderr
    status, score = ran.stdout.splitlines()[0], ran.stdout.splitlines()[-1]
    assert status.startswith("Completed ")
    assert "train:auc" in status
    assert 0.9 < float(score.strip("b'")) <= 1.0, "0.9 > 0.1 is as clear as it gets"
