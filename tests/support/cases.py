"""The models of tests/cases, with the right answer to each row that is asked of them."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.env import BASE_DIR

CASES = BASE_DIR / "tests/cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())
# The compiled estimators of these cases differ from their estimators by less than this.
TOLERANCE = 1e-6

TRAIN = """
import sys
from pathlib import Path
from tests.support.trained import train_all
train_all(Path(sys.argv[1]))
"""


@dataclass(frozen=True)
class Asked:
    """A row, and the estimator's answer to it alone."""

    model: str
    features: Mapping[str, Any]
    answer: Any
    probabilities: Mapping[str, float] | None

    def is_answered_by(self, output: Mapping[str, Any], tolerance: float = TOLERANCE) -> bool:
        if "value" in output:
            return math.isclose(output["value"], self.answer, rel_tol=1e-9, abs_tol=tolerance)
        given, expected = output["probabilities"], self.probabilities or {}
        close = all(math.isclose(given[label], share, abs_tol=tolerance) for label, share in expected.items())
        return bool(output["label"] == self.answer and close)


def asked_of(name: str) -> list[Asked]:
    lines = json.loads((CASES / name / "asked.json").read_text())
    return [Asked(name, line["features"], line["answer"], line.get("probabilities")) for line in lines]


def train_elsewhere(models: Path) -> None:
    """Train a version of each case in another process, so that this process imports no modules of the cases."""
    command = [sys.executable, "-c", TRAIN, str(models)]
    done = subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
