"""The file of a version comes to harm while it serves. It is answered from memory, or refused; never by other bytes."""

from pathlib import Path

import joblib

from tests.chaos.scenario import Scene, scenario
from tests.chaos.stage import HARMED
from tests.worker.estimators import Tripled

# From memory, or not at all.
OR_ELSE = ("model_unavailable",)


def _corrupt(artefact: Path) -> None:
    content = artefact.read_bytes()
    artefact.unlink()
    artefact.write_bytes(content[: len(content) // 2])


def _replace(artefact: Path) -> None:
    artefact.unlink()
    joblib.dump(Tripled(), artefact)


HARM = dict(zip(HARMED, (_corrupt, Path.unlink, _replace), strict=True))


@scenario("T16", seconds=8, refuses=True)
def artefacts_come_to_harm(scene: Scene) -> None:
    """The artefact of one version is cut short, that of another deleted, and that of a third replaced by an estimator
    with other answers; then the workers are started anew. The version beside them serves on."""
    first = [scene.ask(model=model) for model in HARM]
    scene.check(all(first), "a version serves before its artefact comes to harm")
    scene.wait_until(lambda: scene.have_ended(first), 30, "it has answered")
    for model, harm in HARM.items():
        harm(next((scene.stage.models / model).glob("versions/*/estimator.joblib")))
        scene.strike()
        scene.ask(model=model, or_else=OR_ELSE)
    for name in ("worker", "relief"):
        scene.stack[name].terminate()
        scene.stack[name].start()
    for _ in scene.beats(1.0):
        for model in HARM:
            scene.ask(model=model, or_else=OR_ELSE)
    scene.check(not any(scene.ask(model=model, or_else=OR_ELSE) for model in HARM), "what cannot be trusted is refused")
