from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from threadpoolctl import threadpool_info, threadpool_limits

from predictions.serving.artifacts import repository
from predictions.serving.artifacts.manifest import MANIFEST, Manifest
from predictions.serving.engines.loader import Loader
from predictions.serving.engines.sklearn import parts, use_one_job
from predictions.serving.schema.errors import ModelUnavailable
from tests.support.loading import change_manifest, make_outdated, reason
from tests.unit.serving import estimators

PLENTY = 10**9

# The fitted estimators serve here: compiled ones have tests of their own.
opener = partial(Loader, use_compiled=False)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def held(manifest: Manifest) -> int:
    """The bytes of an opened version: its estimator, and the arrays of its sureness."""
    assert manifest.sureness is not None
    return manifest.bytes + manifest.sureness.bytes


def test_get_loads_once_and_keeps(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    cache = opener(root, PLENTY)
    loaded = cache.get("fruit", 1, manifest.sha256)
    assert loaded.manifest == manifest
    assert loaded.size == held(manifest) == cache.size
    assert cache.get("fruit", 1, manifest.sha256) is loaded


def test_get_missing_file_names_the_remedy(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    repository.artefact(root, "fruit", 1).unlink()
    assert "Run manage.py train fruit" in reason(opener(root, PLENTY), 1, manifest.sha256)
    assert "Run manage.py train fruit" in reason(opener(root, PLENTY), 2, manifest.sha256)


def test_get_changed_or_missing_arrays_of_sureness_do_not_serve(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    path = repository.artefact(root, "fruit", 1, "sureness.npz")
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    assert "The file sureness.npz has SHA-256" in reason(opener(root, PLENTY), 1, manifest.sha256)
    path.unlink()
    assert "Run manage.py train fruit" in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_changed_bytes_are_never_opened(
    root: Path, store: Callable[[], Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = store()
    path = repository.artefact(root, "fruit", 1)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b" ")
    monkeypatch.setattr("joblib.load", lambda *_: pytest.fail("opened before the hash was checked"))
    assert "It was changed or damaged" in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_other_hash_than_registered(root: Path, store: Callable[[], Manifest]) -> None:
    store()
    assert f"registered is {'0' * 64}" in reason(opener(root, PLENTY), 1, "0" * 64)


def test_get_other_scikit_learn(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    change_manifest(root, 1, libraries={"scikit-learn": "0.1"})
    assert "Trained with scikit-learn 0.1, but" in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_version_of_an_earlier_release_says_to_train_again(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    make_outdated(repository.artefact(root, "fruit", 1, MANIFEST))
    assert reason(opener(root, PLENTY), 1, manifest.sha256) == (
        "Version 1 of fruit does not serve: it was made by an earlier Foretell: run manage.py train fruit."
    )


@pytest.mark.parametrize("factor", [1 + 1e-7, -1.0])
def test_get_golden_row_off(root: Path, store: Callable[[], Manifest], factor: float) -> None:
    manifest = store()
    assert manifest.golden.probabilities is not None
    probabilities = [[share * factor for share in row] for row in manifest.golden.probabilities]
    change_manifest(root, 1, golden=manifest.golden.model_copy(update={"probabilities": probabilities}))
    assert "The golden rows are not reproduced here. alone, row 1: " in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_golden_row_off_within_tolerance_serves(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    assert manifest.golden.probabilities is not None
    probabilities = [[share * (1 + 1e-11) for share in row] for row in manifest.golden.probabilities]
    change_manifest(root, 1, golden=manifest.golden.model_copy(update={"probabilities": probabilities}))
    assert opener(root, PLENTY).get("fruit", 1, manifest.sha256).size == held(manifest)


def test_get_golden_label_other(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    outputs = [1 - output for output in manifest.golden.outputs]
    change_manifest(root, 1, golden=manifest.golden.model_copy(update={"outputs": outputs}))
    assert "instead of" in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_golden_rows_without_the_probabilities_that_the_estimator_gives(
    root: Path, store: Callable[[], Manifest]
) -> None:
    manifest = store()
    change_manifest(root, 1, golden=manifest.golden.model_copy(update={"probabilities": None}))
    said = "alone, row 1: probabilities of 2 classes instead of no probabilities"
    assert said in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_golden_rows_with_probabilities_that_the_estimator_does_not_give(
    root: Path, store: Callable[..., Manifest]
) -> None:
    manifest = store(LinearSVC())
    shares = [[1 - output, output] for output in manifest.golden.outputs]
    change_manifest(root, 1, golden=manifest.golden.model_copy(update={"probabilities": shares}))
    said = "alone, row 1: no probabilities instead of probabilities of 2 classes"
    assert said in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_estimator_that_cannot_be_opened(root: Path, store: Callable[..., Manifest]) -> None:
    manifest = store(estimators.Explosive())
    assert "cannot be opened; the log says why" in reason(opener(root, PLENTY), 1, manifest.sha256)


def test_get_failure_is_remembered_for_a_while(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    path = repository.artefact(root, "fruit", 1)
    hidden = path.rename(path.with_name("hidden"))
    clock = Clock()
    cache = opener(root, PLENTY, clock)
    first = reason(cache, 1, manifest.sha256)
    hidden.rename(path)
    clock.now = 29.9
    assert reason(cache, 1, manifest.sha256) == first
    clock.now = 30.0
    assert cache.get("fruit", 1, manifest.sha256).manifest == manifest


def test_budget_drops_the_least_recently_used(root: Path, store: Callable[[], Manifest]) -> None:
    made = [store() for _ in range(3)]
    cache = opener(root, held(made[0]) * 2)
    first, second = (cache.get("fruit", m.version, m.sha256) for m in made[:2])
    cache.get("fruit", 1, made[0].sha256)
    cache.get("fruit", 3, made[2].sha256)
    assert cache.size == held(made[0]) * 2
    assert cache.get("fruit", 1, made[0].sha256) is first
    assert cache.get("fruit", 2, made[1].sha256) is not second
    assert (cache.loads, cache.evictions) == (4, 2)


def test_budget_smaller_than_a_version_keeps_it_alone(root: Path, store: Callable[[], Manifest]) -> None:
    made = [store(), store()]
    cache = opener(root, 1)
    cache.get("fruit", 1, made[0].sha256)
    second = cache.get("fruit", 2, made[1].sha256)
    assert cache.size == held(made[1])
    assert cache.get("fruit", 2, made[1].sha256) is second


def test_release_drops_everything(root: Path, store: Callable[[], Manifest]) -> None:
    manifest = store()
    cache = opener(root, PLENTY)
    cache.get("fruit", 1, manifest.sha256)
    cache.release()
    assert cache.size == 0


def test_get_from_many_threads_loads_once_and_holds_nobody_else_up(root: Path, store: Callable[..., Manifest]) -> None:
    slow, other = store(estimators.SlowClassifier()), store()
    estimators.opened.clear()
    estimators.opening.clear()
    estimators.go_on.clear()
    cache = opener(root, PLENTY)
    try:
        with ThreadPoolExecutor(8) as pool:
            waiting = [pool.submit(cache.get, "fruit", 1, slow.sha256) for _ in range(6)]
            assert estimators.opening.wait(60)
            assert pool.submit(cache.get, "fruit", 2, other.sha256).result(60).manifest == other
            assert not any(future.done() for future in waiting)
            estimators.go_on.set()
            assert len({id(future.result(60)) for future in waiting}) == 1
    finally:
        estimators.go_on.set()
    assert estimators.opened == ["slow"]


def test_get_failure_reaches_every_waiting_thread_as_its_own(root: Path, store: Callable[..., Manifest]) -> None:
    slow = store(estimators.SlowClassifier())
    change_manifest(root, 1, golden=slow.golden.model_copy(update={"outputs": [5.0] * len(slow.golden.outputs)}))
    estimators.opening.clear()
    estimators.go_on.clear()
    cache = opener(root, PLENTY)
    try:
        with ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(cache.get, "fruit", 1, slow.sha256) for _ in range(4)]
            assert estimators.opening.wait(60)
            estimators.go_on.set()
            errors = [future.exception(60) for future in waiting]
    finally:
        estimators.go_on.set()
    assert {type(error) for error in errors} == {ModelUnavailable}
    assert len({id(error) for error in errors}) == 4
    assert len({str(error) for error in errors}) == 1


def test_memory_error_is_raised_and_not_remembered(
    root: Path, store: Callable[[], Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = store()
    cache = opener(root, PLENTY)

    def starve(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as starving:
        starving.setattr("joblib.load", starve)
        with pytest.raises(MemoryError):
            cache.get("fruit", 1, manifest.sha256)
    assert cache.get("fruit", 1, manifest.sha256).manifest == manifest


def test_use_one_job_reaches_every_nested_estimator() -> None:
    x, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    forest = RandomForestClassifier(2, n_jobs=2)
    voting = VotingClassifier([("f", forest), ("l", make_pipeline(StandardScaler(), LogisticRegression()))], n_jobs=2)
    voting.fit(x, y)
    use_one_job(voting)
    jobs = [part.n_jobs for part in parts(voting) if hasattr(part, "n_jobs")]
    assert len(jobs) >= 3
    assert set(jobs) == {1}


def test_loading_limits_every_pool_to_one_thread(root: Path, store: Callable[..., Manifest]) -> None:
    manifest = store(SVC())
    threadpool_limits(2)
    opener(root, PLENTY).get("fruit", 1, manifest.sha256)
    assert {pool["num_threads"] for pool in threadpool_info()} == {1}
