"""Versions that are served by their compiled estimator."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.description import Description
from predictions.serving.artifacts.manifest import COMPILED, MANIFEST, Manifest
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.onnx import LARGEST, OnnxEngine, open_session
from predictions.serving.engines.predictor import predict
from predictions.serving.engines.sklearn import SklearnEngine
from predictions.serving.schema.errors import ModelFailure, ModelUnavailable
from tests.support.loading import change_manifest, reason
from tests.unit.serving import estimators

PLENTY = 10**9
CHECKOUT = Path(__file__).resolve().parents[4]

SERVE = """
import sys
from pathlib import Path
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.opening import limit_threads
from predictions.serving.engines.predictor import predict
limit_threads()
loaded = Loader(Path(sys.argv[1]), 10**9).get("fruit", 1, sys.argv[2])
(outcome,) = predict(loaded, [[40.0, 90.0]])
assert outcome.output
print(*sorted({"sklearn", "scipy", "joblib", "skl2onnx", "onnx", "onnxruntime"} & set(sys.modules)))
"""


@pytest.fixture(scope="module")
def usual() -> RandomForestClassifier:
    return RandomForestClassifier(5, random_state=0)


def compiled_file(root: Path) -> Path:
    path = repository.artefact(root, "fruit", 1, COMPILED)
    path.chmod(0o644)
    return path


def test_registered_version_is_compiled_and_serves_so(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    assert (manifest.not_compiled, manifest.libraries.keys() >= {"onnxruntime", "skl2onnx"}) == (None, True)
    assert manifest.compiled is not None
    assert compiled_file(root).stat().st_size == manifest.compiled.bytes
    loaded = Loader(root, PLENTY).get("fruit", 1, manifest.sha256)
    assert isinstance(loaded.engine, OnnxEngine)
    assert manifest.sureness is not None
    assert loaded.size == manifest.compiled.bytes + manifest.sureness.bytes


def test_outcomes_are_those_of_the_estimator(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    rows = [[float(side), 50.0 if side % 2 else None] for side in range(10, 100)]
    as_compiled = predict(Loader(root, PLENTY).get("fruit", 1, manifest.sha256), rows)
    assert as_compiled == predict(Loader(root, PLENTY, use_compiled=False).get("fruit", 1, manifest.sha256), rows)
    assert all(type(share) is float for o in as_compiled if o.output for share in o.output["probabilities"].values())


def test_missing_value_fails_as_with_the_estimator(root: Path, store: Callable[..., Manifest]) -> None:
    manifest = store(LogisticRegression())
    outcomes = predict(Loader(root, PLENTY).get("fruit", 1, manifest.sha256), [[40.0, None], [40.0, 90.0]])
    assert isinstance(outcomes[0].error, ModelFailure)
    assert outcomes[1].output is not None


def test_estimator_opens_when_it_is_needed(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    assert manifest.compiled is not None
    assert manifest.sureness is not None
    cache = Loader(root, PLENTY)
    loaded = cache.get("fruit", 1, manifest.sha256)
    assert isinstance(loaded.estimator, RandomForestClassifier)
    assert loaded.estimator is loaded.estimator
    assert cache.size == manifest.compiled.bytes + manifest.bytes + manifest.sureness.bytes


def test_version_that_could_not_be_compiled_says_why(root: Path, store: Callable[..., Manifest]) -> None:
    manifest = store(estimators.Cautious())
    assert manifest.compiled is None
    assert (manifest.not_compiled or "").startswith("ONNX cannot express it: ")
    assert not repository.artefact(root, "fruit", 1, COMPILED).exists()
    assert isinstance(Loader(root, PLENTY).get("fruit", 1, manifest.sha256).engine, SklearnEngine)


def test_manifest_of_before_serves_by_the_estimator(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    path = repository.artefact(root, "fruit", 1, MANIFEST)
    path.chmod(0o644)
    path.write_text(manifest.model_dump_json(exclude={"compiled", "not_compiled"}))
    assert isinstance(Loader(root, PLENTY).get("fruit", 1, manifest.sha256).engine, SklearnEngine)


def test_switch_serves_by_the_estimator(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    compiled_file(root).unlink()
    assert isinstance(Loader(root, PLENTY, use_compiled=False).get("fruit", 1, manifest.sha256).engine, SklearnEngine)


def test_changed_file_is_never_opened(
    root: Path, store: Callable[[], Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = store()
    compiled_file(root).write_bytes(compiled_file(root).read_bytes() + b" ")
    monkeypatch.setattr(
        "predictions.serving.engines.onnx.open_session", lambda _: pytest.fail("opened before the hash was checked")
    )
    assert reason(Loader(root, PLENTY), 1, manifest.sha256).startswith("The compiled estimator has SHA-256 ")


def test_missing_file_is_unavailable(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    compiled_file(root).unlink()
    assert "Run manage.py train fruit" in reason(Loader(root, PLENTY), 1, manifest.sha256)


def test_changed_estimator_is_unavailable_though_it_is_not_opened(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    path = repository.artefact(root, "fruit", 1)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    assert reason(Loader(root, PLENTY), 1, manifest.sha256).startswith("The artefact has SHA-256 ")


@pytest.mark.parametrize(("off", "serves"), [(0.9e-5, True), (1.2e-5, False)])
def test_golden_rows_hold_within_the_recorded_tolerance(
    root: Path, store: Callable[[], Manifest], off: float, serves: bool
) -> None:
    manifest = store()
    assert manifest.golden.probabilities is not None
    shares = [[share + off for share in row] for row in manifest.golden.probabilities]
    change_manifest(root, 1, golden=manifest.golden.model_copy(update={"probabilities": shares}))
    if serves:
        assert Loader(root, PLENTY).get("fruit", 1, manifest.sha256)
    else:
        assert "not reproduced here" in reason(Loader(root, PLENTY), 1, manifest.sha256)


class Asked:
    """Predicts as the estimator does, and counts the rows."""

    def __init__(self, engine: SklearnEngine) -> None:
        self.engine, self.rows = engine, 0

    def predict(self, rows: Any) -> Any:
        self.rows += len(rows)
        return self.engine.predict(rows)


def test_row_too_close_to_call_is_asked_of_the_estimator(root: Path, store: Callable[..., Manifest]) -> None:
    manifest = store(LogisticRegression())
    loaded = Loader(root, PLENTY).get("fruit", 1, manifest.sha256)
    asked = Asked(loaded.pickled.open())
    engine = loaded.engine
    assert isinstance(engine, OnnxEngine)
    rows = [[10.0, 90.0], [55.0, 50.0], [100.0, 90.0]]
    shares = engine.predict(rows).probabilities
    assert shares is not None
    gap = abs(float(shares[1, 0] - shares[1, 1]))
    doubting = OnnxEngine(
        engine.session, engine.signature, engine.classes, "table", engine.float_type, True, gap, lambda: asked
    )
    assert doubting.predict(rows).outputs.tolist() == asked.engine.predict(rows).outputs.tolist()
    assert asked.rows == 1


def test_number_that_float32_cannot_hold_is_asked_of_the_estimator(
    root: Path, description: Description, store: Callable[[], Manifest]
) -> None:
    manifest = store()
    loaded = Loader(root, PLENTY).get("fruit", 1, manifest.sha256)
    # The forest itself refuses such a number, so the prediction must fail.
    assert isinstance(predict(loaded, [[40.0, LARGEST * 10]])[0].error, ModelFailure)


def test_serving_imports_no_scikit_learn(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(root), manifest.sha256], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "onnxruntime\n"), done.stderr


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")
def test_session_of_the_parent_answers_in_forked_children(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    loaded = Loader(root, PLENTY).get("fruit", 1, manifest.sha256)
    rows = [[float(side), 50.0] for side in range(10, 100)]
    expected = predict(loaded, rows)
    content = compiled_file(root).read_bytes()
    children = [_fork(lambda: predict(loaded, rows) == expected and bool(open_session(content))) for _ in range(4)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
    assert predict(loaded, rows) == expected


def _fork(check: Callable[[], bool]) -> int:
    """Fork a child that ends with status 0 if the check holds, and by a signal if it hangs. Returns its process id."""
    import signal

    if child := os.fork():
        return child
    signal.alarm(20)
    try:
        os._exit(0 if all(check() for _ in range(20)) else 1)
    except BaseException:  # noqa: BLE001  # the child must not go on with the test
        os._exit(2)


def test_session_starts_no_thread(root: Path, store: Callable[[], Manifest]) -> None:
    store()
    content = compiled_file(root).read_bytes()
    open_session(content)
    before = len(list(Path("/proc/self/task").iterdir()))
    sessions = [open_session(content) for _ in range(3)]
    assert len(list(Path("/proc/self/task").iterdir())) == before
    assert len(sessions) == 3


def test_unavailable_estimator_is_said_by_its_own_error(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    loaded = Loader(root, PLENTY).get("fruit", 1, manifest.sha256)
    path = repository.artefact(root, "fruit", 1)
    path.chmod(0o644)
    path.write_bytes(b"x")
    with pytest.raises(ModelUnavailable, match="changed or damaged"):
        _ = loaded.estimator
