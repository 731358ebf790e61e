"""What a version must stand before it serves. Whatever fails is ModelUnavailable, with a reason for analysts."""

import hashlib
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from predictions.serving.artifacts.repository import Golden, Manifest
from predictions.serving.engines.base import Engine, RawPredictions, differences
from predictions.serving.schema.errors import ModelUnavailable


def check_hash(sha256: str, content: bytes, what: str = "artefact") -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelUnavailable(
            f"The {what} has SHA-256 {found}, registered is {sha256}. It was changed or damaged: bring the "
            f"original back, or train a new version."
        )


def check_libraries(manifest: Manifest) -> None:
    trained, here = manifest.libraries.get("scikit-learn"), installed("scikit-learn")
    if trained != here:
        raise ModelUnavailable(
            f"Trained with scikit-learn {trained}, but {here} is installed. Install that one, or run "
            f"manage.py train {manifest.model}."
        )


def installed(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_golden(manifest: Manifest, oracle: Engine, tolerance: float) -> None:
    try:
        differing = differences(stored_answers(manifest.golden), oracle.ask(manifest.golden.rows), tolerance)
    except (MemoryError, ModelUnavailable):
        raise
    except Exception as error:  # an estimator may raise anything
        raise ModelUnavailable("The golden rows fail; the log says why.") from error
    if differing:
        shown = "; ".join(differing[:3])
        raise ModelUnavailable(f"The golden rows are not reproduced here. {shown}.{_other_libraries(manifest)}")


def _other_libraries(manifest: Manifest) -> str:
    other = [
        f"{n} {v} then, {installed(n)} now"
        for n, v in manifest.libraries.items()
        if n != "python" and installed(n) != v
    ]
    return f" Libraries differ: {', '.join(other)}." if other else ""


def stored_answers(golden: Golden) -> RawPredictions:
    given = golden.probabilities
    probabilities = None if given is None else np.array(given, dtype=np.float64)
    return RawPredictions(np.array(golden.outputs, dtype=np.float64), probabilities)
