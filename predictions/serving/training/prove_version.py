"""Proves a stored version in a process like a worker's: `python -m predictions.serving.training.prove_version`.

The version is loaded as a worker loads it, and predicts the rows of a file, alone and in company, as the training
process did. The reason why it must not serve is written to another file; an empty file says that it may.
"""

import json
import sys
from pathlib import Path

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.repository import Golden, Manifest
from predictions.serving.engines.base import ABSOLUTE_TOLERANCE, Engine
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.opening import Loaded, limit_threads
from predictions.serving.engines.verify import compare_arrangements, stored_answers
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.training.proof import said

PLENTY = 10**12


def prove(root: Path, name: str, number: int, rows: Path) -> str:
    """Why the version must not serve; empty if it may."""
    limit_threads()
    manifest = repository.manifest(root, name, number)
    try:
        loaded = Loader(root, PLENTY).get(name, number, manifest.sha256)
        return _differences(loaded, Golden.model_validate(json.loads(rows.read_text())))
    except ModelUnavailable as error:
        return f"{error.reason} ({said(error.__cause__)})" if error.__cause__ else error.reason
    except Exception as error:  # noqa: BLE001  # an estimator may raise anything
        return said(error)


def _differences(loaded: Loaded, expected: Golden) -> str:
    manifest = loaded.manifest
    tolerance = manifest.compiled.tolerance if manifest.compiled else ABSOLUTE_TOLERANCE
    engines: list[tuple[Engine, float]] = [(loaded.pickled.open(), ABSOLUTE_TOLERANCE), (loaded.engine, tolerance)]
    return next((reason for engine, allowed in engines if (reason := _reason(engine, manifest, expected, allowed))), "")


def _reason(engine: Engine, manifest: Manifest, expected: Golden, tolerance: float) -> str:
    found = compare_arrangements(
        engine, expected.rows, stored_answers(expected), tolerance, batching=manifest.batching, alone=64
    )
    return "; ".join(f"{how}, {difference}" for how, difference in found[:3])


if __name__ == "__main__":
    root, name, number, rows, verdict = sys.argv[1:]
    Path(verdict).write_text(prove(Path(root), name, int(number), Path(rows)))
