"""The checks when a version is opened, and the complete message for each version that does not serve."""

import gc
import hashlib
import json
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import CODE, COMPILED, ESTIMATOR, MANIFEST, Manifest
from predictions.serving.artifacts.repository import BrokenFile
from predictions.serving.engines.base import RawPredictions
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.verify import check_golden, stored_answers
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.schema.signature import Value
from tests.support.loading import change_manifest, reason

PLENTY = 10**9
opener = partial(Loader, use_compiled=False)


def replace(root: Path, file: str, content: bytes) -> str:
    """Replace a file of version 1; its new SHA-256."""
    path = repository.artefact(root, "fruit", 1, file)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


# --- The sentences ----------------------------------------------------------------------------------------------------
def test_reason_of_another_hash_than_registered(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    assert reason(opener(root, PLENTY), 1, "0" * 64) == (
        f"version.json of fruit version 1 names SHA-256 {manifest.sha256}, registered is {'0' * 64}."
    )


def test_reason_of_a_missing_version(root: Path, store: Callable[[], Manifest]) -> None:
    store()
    assert reason(opener(root, PLENTY), 2, "0" * 64) == (
        "Version 2 of fruit cannot be read here; the log says why. Run manage.py train fruit, or bring its folder to"
        " this machine."
    )


def test_reason_of_a_broken_manifest_has_each_problem(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    path = repository.artefact(root, "fruit", 1, MANIFEST)
    broken = {**json.loads(path.read_text()), "bytes": "many", "batching": "perhaps"}
    replace(root, MANIFEST, json.dumps(broken).encode())
    with pytest.raises(BrokenFile) as found:
        repository.manifest(root, "fruit", 1)
    assert len(found.value.problems) == 2
    assert reason(opener(root, PLENTY), 1, manifest.sha256) == (
        f"version.json of fruit version 1 is broken: {'; '.join(found.value.problems)}"
    )


def test_reason_of_a_changed_estimator(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    found = replace(root, ESTIMATOR, b"other")
    assert reason(opener(root, PLENTY), 1, manifest.sha256) == (
        f"The artefact has SHA-256 {found}, registered is {manifest.sha256}. It was changed or damaged: bring the"
        " original back, or train a new version."
    )


def test_reason_of_another_scikit_learn(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    change_manifest(root, 1, libraries={"scikit-learn": "0.1"})
    assert reason(opener(root, PLENTY), 1, manifest.sha256) == (
        f"Trained with scikit-learn 0.1, but {sklearn.__version__} is installed. Install that one, or run"
        " manage.py train fruit."
    )


def test_reason_of_a_compiled_estimator_that_cannot_be_opened(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    assert manifest.compiled
    sha256 = replace(root, COMPILED, b"no graph")
    change_manifest(root, 1, compiled=manifest.compiled.model_copy(update={"sha256": sha256}))
    assert reason(Loader(root, PLENTY), 1, manifest.sha256) == (
        "The compiled estimator cannot be opened; the log says why. INFERENCE_ENGINE=sklearn serves without it."
    )


@pytest.mark.parametrize(("margin", "is_asked"), [(0.0, False), (1.0, True)])
def test_estimator_is_asked_within_the_margin_of_the_manifest(
    root: Path, store: Callable[[], Manifest], margin: float, is_asked: bool
) -> None:
    """Two probabilities differ by 1 at most, so a margin of 1 sends every row to the estimator."""
    compiled = store().compiled
    assert compiled
    change_manifest(root, 1, compiled=compiled.model_copy(update={"tie_margin": margin}))
    manifest = repository.manifest(root, "fruit", 1)

    loaded = Loader(root, PLENTY).get("fruit", 1, manifest.sha256)
    loaded.engine.predict(manifest.golden.rows)

    assert loaded.pickled.is_open == is_asked


# --- The golden rows --------------------------------------------------------------------------------------------------
class Engine:
    """Predicts the golden answer of a single row. For several rows, `together` makes the result from these answers."""

    def __init__(self, manifest: Manifest, together: Callable[[RawPredictions], RawPredictions]) -> None:
        self._rows = manifest.golden.rows
        self._answers = stored_answers(manifest.golden)
        self._together = together

    def predict(self, rows: Sequence[Sequence[Value]]) -> RawPredictions:
        places = [self._rows.index(list(row)) for row in rows]
        shares = self._answers.probabilities
        answers = RawPredictions(self._answers.outputs[places], None if shares is None else shares[places])
        return answers if len(rows) == 1 else self._together(answers)


def wrong(answers: RawPredictions) -> RawPredictions:
    return RawPredictions(answers.outputs + 1, answers.probabilities)


def failing(_: RawPredictions) -> RawPredictions:
    raise ValueError("too many rows")


def test_golden_rows_are_asked_together_unless_the_version_answers_rows_alone(store: Callable[[], Manifest]) -> None:
    manifest = store()
    check_golden(manifest.model_copy(update={"batching": False}), Engine(manifest, wrong), 1e-9)
    with pytest.raises(ModelUnavailable) as caught:
        check_golden(manifest.model_copy(update={"batching": True}), Engine(manifest, wrong), 1e-9)
    named = [f"together, row {row + 1}: {said(manifest, row)}" for row in range(3)]
    assert caught.value.reason == f"The golden rows are not reproduced here. {'; '.join(named)}."


def said(manifest: Manifest, row: int) -> str:
    answer = stored_answers(manifest.golden).outputs[row].item()
    return f"{answer + 1} instead of {answer}"


def test_golden_rows_that_differ_name_the_libraries_that_differ(store: Callable[[], Manifest]) -> None:
    manifest = store()
    same = {"python": "0.1", "scikit-learn": sklearn.__version__}
    other = {**same, "numpy": "0.1", "absent": "2"}
    said = []
    for libraries in (same, other):
        with pytest.raises(ModelUnavailable) as caught:
            check_golden(manifest.model_copy(update={"libraries": libraries}), Engine(manifest, wrong), 1e-9)
        said.append(caught.value.reason)
    assert said[1] == f"{said[0]} Libraries differ: numpy 0.1 then, {np.__version__} now, absent 2 then, None now."
    assert "Libraries" not in said[0]
    assert said[0].endswith(".")


def test_golden_rows_on_which_the_engine_fails(store: Callable[[], Manifest]) -> None:
    manifest = store()
    with pytest.raises(ModelUnavailable) as caught:
        check_golden(manifest, Engine(manifest, failing), 1e-9)
    assert caught.value.reason == "The golden rows fail; the log says why."


# --- The files --------------------------------------------------------------------------------------------------------
def test_module_of_a_version_is_read_from_its_folder_and_checked(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    sha256 = replace(root, f"{CODE}/squares.py", b"x = 1\n")
    change_manifest(root, 1, code={"squares.py": sha256})
    assert opener(root, PLENTY).get("fruit", 1, manifest.sha256).manifest.code == {"squares.py": sha256}

    found = replace(root, f"{CODE}/squares.py", b"x = 2\n")
    said = reason(opener(root, PLENTY), 1, manifest.sha256)
    assert said.startswith(f"The module squares.py has SHA-256 {found}, registered is {sha256}. ")


def test_version_without_a_measured_sureness_serves_without_it(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    repository.artefact(root, "fruit", 1, "sureness.npz").unlink()
    change_manifest(root, 1, sureness=None)
    loaded = opener(root, PLENTY).get("fruit", 1, manifest.sha256)
    assert (loaded.assessor, loaded.size) == (None, manifest.bytes)


def test_arrays_of_sureness_are_never_unpickled(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    assert manifest.sureness
    path = root / "pickled.npz"
    objects: Any = {"levels": np.array([{}], dtype=object)}
    np.savez(path, **objects)
    sha256 = replace(root, "sureness.npz", path.read_bytes())
    change_manifest(root, 1, sureness=manifest.sureness.model_copy(update={"sha256": sha256}))
    with pytest.raises(ValueError, match="allow_pickle=False"):
        opener(root, PLENTY).get("fruit", 1, manifest.sha256)


def test_loader_says_which_version_it_is_about_to_read(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    told: list[tuple[Path, str, int]] = []
    opener(root, PLENTY, bring=lambda *which: told.append(which)).get("fruit", 1, manifest.sha256)
    assert told == [(root, "fruit", 1)]


def test_release_gives_back_estimators_that_refer_to_themselves(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    cache = opener(root, PLENTY)
    estimator = cache.get("fruit", 1, manifest.sha256).estimator
    estimator.itself = estimator
    alive = weakref.ref(estimator)
    del estimator
    gc.disable()
    try:
        cache.release()
    finally:
        gc.enable()
    assert alive() is None
