"""The checks that a version must pass before it serves. They raise ModelUnavailable, with a reason for analysts."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from typing import TypeAlias

import numpy as np

from predictions.serving.artifacts.manifest import Golden, Manifest
from predictions.serving.engines.base import Difference, Engine, RawPredictions, differences
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Value

Rows: TypeAlias = Sequence[Sequence[Value]]


def check_hash(sha256: str, content: bytes, what: str = "artefact") -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelUnavailable(
            english(
                "The {what} has SHA-256 {found}, registered is {sha256}. It was changed or damaged: bring the original"
                " back, or train a new version.",
                what=what,
                found=found,
                sha256=sha256,
            )
        )


def check_libraries(manifest: Manifest) -> None:
    trained, here = manifest.libraries.get("scikit-learn"), installed("scikit-learn")
    if trained != here:
        raise ModelUnavailable(
            english(
                "Trained with scikit-learn {trained}, but {here} is installed. Install that one, or run manage.py train"
                " {model}.",
                trained=trained,
                here=here,
                model=manifest.model,
            )
        )


def installed(package: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def check_golden(manifest: Manifest, engine: Engine, tolerance: float) -> None:
    expected = stored_answers(manifest.golden)
    try:
        found = compare_arrangements(engine, manifest.golden.rows, expected, tolerance, batching=manifest.batching)
    except (MemoryError, ModelUnavailable):
        raise
    except Exception as error:  # an estimator may raise anything
        raise ModelUnavailable(english("The golden rows fail; the log says why.")) from error
    if found:
        shown = "; ".join(f"{how}, {difference}" for how, difference in found[:3])
        details = f"{shown}.{_other_libraries(manifest)}"
        raise ModelUnavailable(english("The golden rows are not reproduced here. {details}", details=details))


def compare_arrangements(
    engine: Engine, rows: Rows, expected: RawPredictions, tolerance: float, *, batching: bool = True, alone: int = 256
) -> list[tuple[str, Difference]]:
    """The differences between the engine's answers and the expected ones, in several arrangements of the rows.

    At most `alone` rows, evenly spread, are predicted alone. With `batching`, the rows are also predicted together,
    shuffled, and without the rows that have missing values. Each difference comes with the name of its arrangement, and
    with a position in `rows`. Raises what the engine raises.
    """
    spread = np.unique(np.linspace(0, len(rows) - 1, min(alone, len(rows))).round().astype(int)).tolist()
    arrangements = [("alone", [place]) for place in spread]
    if batching:
        arrangements += _company(rows)
    found: list[tuple[str, Difference]] = []
    for how, places in arrangements:
        given = engine.predict([rows[place] for place in places])
        unlike = differences(_some(expected, places), given, tolerance)
        found += [(how, replace(difference, row=places[difference.row])) for difference in unlike]
    return found


def _company(rows: Rows) -> list[tuple[str, list[int]]]:
    everything = list(range(len(rows)))
    shuffled = np.random.default_rng(0).permutation(len(rows)).tolist()
    complete = [place for place in everything if None not in rows[place]]
    arrangements = [("together", everything), ("shuffled", shuffled)]
    if 0 < len(complete) < len(rows):
        arrangements.append(("beside complete rows only", complete))
    return arrangements


def _some(answers: RawPredictions, places: list[int]) -> RawPredictions:
    shares = answers.probabilities
    return RawPredictions(answers.outputs[places], None if shares is None else shares[places])


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
