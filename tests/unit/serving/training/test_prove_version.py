"""The proof of a stored version, as the separate process makes it."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import Golden, Manifest
from predictions.serving.engines import loader, opening, sklearn
from predictions.serving.engines.base import RawPredictions
from predictions.serving.schema.errors import ModelUnavailable
from predictions.serving.schema.sentences import english
from predictions.serving.schema.signature import Value
from predictions.serving.training import prove_version
from predictions.serving.training.prove_version import prove
from project.env import BASE_DIR
from tests.support.loading import change_manifest
from tests.unit.serving.estimators import HEAVY_BYTES

Store = Callable[..., Manifest]


@pytest.fixture
def rows(tmp_path: Path) -> Callable[[Golden], Path]:
    """Writes the file of the rows to predict, with the expected answers."""

    def write(golden: Golden) -> Path:
        path = tmp_path / "rows.json"
        path.write_text(golden.model_dump_json())
        return path

    return write


def other_class(golden: Golden) -> Golden:
    """Another class for the first row, with the same probabilities."""
    first, *others = golden.outputs
    assert isinstance(first, float)
    return golden.model_copy(update={"outputs": [1.0 - first, *others]})


def only_own(manifest: Manifest, root: Path) -> Manifest:
    """The version without its compiled estimator."""
    change_manifest(root, manifest.version, compiled=None)
    return repository.manifest(root, manifest.model, manifest.version)


def test_version_that_answers_as_expected_may_serve(root: Path, store: Store, rows: Callable[[Golden], Path]) -> None:
    reason, memory = prove(root, "fruit", 1, rows(store().golden))

    assert reason == ""
    assert memory is not None


GROWTH = 5 * 10**6  # more than the files of the version have


@pytest.mark.parametrize(
    ("is_compiled", "expected"),
    [
        (True, {"serving": 2 * GROWTH, "estimator": 3 * GROWTH}),
        (False, {"serving": 2 * GROWTH, "estimator": 0}),
    ],
)
def test_memory_is_what_the_process_grows_by(
    root: Path,
    store: Store,
    rows: Callable[[Golden], Path],
    monkeypatch: pytest.MonkeyPatch,
    is_compiled: bool,
    expected: dict[str, int],
) -> None:
    """The sizes: before the version is opened once more, after that, and after its estimator was opened."""
    version = store() if is_compiled else only_own(store(), root)
    sizes = iter([GROWTH, 3 * GROWTH, 6 * GROWTH])
    monkeypatch.setattr(prove_version, "_resident", lambda: next(sizes))

    _, memory = prove(root, "fruit", 1, rows(version.golden))

    assert memory
    assert memory.model_dump() == expected


def test_memory_is_never_less_than_the_files(
    root: Path, store: Store, rows: Callable[[Golden], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store()
    assert version.compiled
    monkeypatch.setattr(prove_version, "_resident", lambda: GROWTH)

    _, memory = prove(root, "fruit", 1, rows(version.golden))

    assert memory
    assert memory.serving >= version.compiled.bytes > 0
    assert memory.estimator == version.bytes


def test_resident_memory_grows_with_what_is_held() -> None:
    before = prove_version._resident()
    held = np.ones(HEAVY_BYTES, dtype=np.uint8)
    assert HEAVY_BYTES <= prove_version._resident() - before < 2 * HEAVY_BYTES
    assert held.all()


def test_resident_memory_is_zero_where_the_system_does_not_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS has no /proc, and its allocator no malloc_trim()."""
    monkeypatch.setattr(prove_version.ctypes, "CDLL", lambda _: object())
    monkeypatch.setattr(prove_version, "Path", lambda _: tmp_path / "missing")
    assert prove_version._resident() == 0


def test_difference_names_the_arrangements_and_the_row(
    root: Path, store: Store, rows: Callable[[Golden], Path]
) -> None:
    version = store()

    reason, memory = prove(root, "fruit", 1, rows(other_class(version.golden)))

    differences = [difference.partition(", row 1: ") for difference in reason.split("; ")]
    assert [how for how, _, _ in differences] == ["alone", "together", "shuffled"]
    assert len({said for _, _, said in differences}) == 1
    assert memory is None


def test_three_differences_at_most_are_named(root: Path, store: Store, rows: Callable[[Golden], Path]) -> None:
    golden = store().golden
    others = [1.0 - output for output in golden.outputs if isinstance(output, float)]

    reason, _ = prove(root, "fruit", 1, rows(golden.model_copy(update={"outputs": others})))

    assert len(golden.rows) > 3
    assert reason.count("alone, row ") == 3
    assert reason.count("; ") == 2


def test_version_that_takes_one_row_a_call_is_asked_for_no_more(
    root: Path, store: Store, rows: Callable[[Golden], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = store()
    change_manifest(root, 1, batching=False, compiled=None)
    sizes = _count_rows(monkeypatch)

    reason, _ = prove(root, "fruit", 1, rows(version.golden))

    assert reason == ""
    assert set(sizes) == {1}


def test_sixty_four_rows_at_most_are_asked_alone(
    root: Path, store: Store, rows: Callable[[Golden], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    golden = only_own(store(), root).golden
    monkeypatch.setattr(opening, "check_golden", lambda *_: None)
    assert golden.probabilities
    many = Golden(rows=golden.rows * 40, outputs=golden.outputs * 40, probabilities=golden.probabilities * 40)
    sizes = _count_rows(monkeypatch)

    reason, _ = prove(root, "fruit", 1, rows(many))

    assert reason == ""
    assert sizes.count(1) == 2 * 64  # once as the estimator, and once as the engine that serves


def _count_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows of each call of the estimator."""
    sizes: list[int] = []
    predict = sklearn.SklearnEngine.predict

    def counted(self: sklearn.SklearnEngine, asked: Sequence[Sequence[Value]]) -> RawPredictions:
        sizes.append(len(asked))
        return predict(self, asked)

    monkeypatch.setattr(sklearn.SklearnEngine, "predict", counted)
    return sizes


@pytest.mark.parametrize("engine", ["onnx.OnnxEngine", "sklearn.SklearnEngine"])
def test_estimator_and_its_compiled_form_are_both_asked(
    root: Path, store: Store, rows: Callable[[Golden], Path], monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The estimator predicts the rows that its compiled form leaves to it."""
    version = store()
    monkeypatch.setattr(opening, "check_golden", lambda *_: None)
    monkeypatch.setattr(
        f"predictions.serving.engines.{engine}.predict",
        lambda self, asked: RawPredictions(np.full(len(asked), np.nan), None),
    )

    reason, _ = prove(root, "fruit", 1, rows(version.golden))

    assert reason.startswith("alone, row 1: ")


def test_version_that_cannot_be_opened_is_refused_with_its_reason(
    root: Path, store: Store, rows: Callable[[Golden], Path]
) -> None:
    version = store()
    change_manifest(root, 1, libraries={**version.libraries, "scikit-learn": "0.1"})

    reason, memory = prove(root, "fruit", 1, rows(version.golden))

    assert "scikit-learn" in reason
    assert memory is None


@pytest.mark.parametrize("error", [KeyError("colour"), ZeroDivisionError()])
def test_error_of_an_estimator_is_named(
    root: Path, store: Store, rows: Callable[[Golden], Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    version = store()
    monkeypatch.setattr(loader, "open_version", fail)

    reason, memory = prove(root, "fruit", 1, rows(version.golden))

    assert type(error).__name__ in reason
    assert memory is None


def test_cause_of_a_refusal_is_named(
    root: Path, store: Store, rows: Callable[[Golden], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ModelUnavailable(english("The golden rows fail; the log says why.")) from ValueError("no header")

    version = store()
    monkeypatch.setattr(loader, "open_version", fail)

    reason, _ = prove(root, "fruit", 1, rows(version.golden))

    assert reason == "The golden rows fail; the log says why. (ValueError: no header)"


def test_verdict_is_written_as_json(root: Path, store: Store, rows: Callable[[Golden], Path]) -> None:
    version = store()
    verdict = root / "verdict.json"
    words = [str(root), "fruit", "1", str(rows(version.golden)), str(verdict)]

    subprocess.run(
        [sys.executable, "-m", "predictions.serving.training.prove_version", *words], cwd=BASE_DIR, check=True
    )

    said = json.loads(verdict.read_text())
    assert said["reason"] == ""
    assert set(said["memory"]) == {"serving", "estimator"}
