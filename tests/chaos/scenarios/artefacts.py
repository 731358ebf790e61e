"""The artefact of a version is damaged while the version serves. Workers answer from memory or refuse the rows."""

from pathlib import Path

import joblib

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import DAMAGED
from tests.worker.estimators import Tripled

# Rows are answered from memory, or fail with this code.
ALLOWED_ERRORS = ("model_unavailable",)


def _corrupt(artefact: Path) -> None:
    content = artefact.read_bytes()
    artefact.unlink()
    artefact.write_bytes(content[: len(content) // 2])


def _replace(artefact: Path) -> None:
    artefact.unlink()
    joblib.dump(Tripled(), artefact)


DAMAGES = dict(zip(DAMAGED, (_corrupt, Path.unlink, _replace), strict=True))


@scenario("T16", seconds=8, refuses=True)
def artefacts_are_damaged(scene: Scene) -> None:
    """The artefact of one version is truncated, that of another deleted, and that of a third replaced by an estimator
    with other answers. Then the workers are restarted. An undamaged version continues to serve."""
    first = [scene.submit(model=model) for model in DAMAGES]
    scene.check(all(first), "a version serves before its artefact is damaged")
    scene.wait_until(lambda: scene.are_finished(first), 30, "its first row is finished")
    for model, damage in DAMAGES.items():
        damage(next((scene.stage.models / model).glob("versions/*/estimator.joblib")))
        scene.mark_fault()
        scene.submit(model=model, allowed_errors=ALLOWED_ERRORS)
    for name in ("worker", "worker-2"):
        scene.stack[name].terminate()
        scene.stack[name].start()
    for _ in scene.every(1.0):
        for model in DAMAGES:
            scene.submit(model=model, allowed_errors=ALLOWED_ERRORS)

    def are_refused() -> bool:
        return not any(scene.submit(model=model, allowed_errors=ALLOWED_ERRORS) for model in DAMAGES)

    # The workers may take longer to start than the fault lasts.
    scene.wait_until(are_refused, 30, "rows for a damaged version are refused")
