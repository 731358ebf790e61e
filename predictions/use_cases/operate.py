"""What an operator changes, on the page and by the API. The web proves nothing: see `lifecycle.changes`."""

from dataclasses import dataclass

from predictions.lifecycle import changes
from predictions.models import ModelVersion, RegisteredModel
from predictions.serving.schema.errors import CannotChange, InvalidInput, NotFound, Problem
from predictions.serving.schema.sentences import english

OPERATE = "predictions.operate_models"
LONGEST_REASON = 500
OF_VERSIONS = ("promote", "archive", "restore")
OF_MODELS = ("pause", "resume", "rollback")


@dataclass(frozen=True, slots=True)
class Change:
    """`what` is one of OF_VERSIONS, with the number of a version, or of OF_MODELS. `reason` is kept."""

    what: str
    version: int | None
    reason: str
    actor: str


def change(model: RegisteredModel, asked: Change) -> str:
    """Make a change. The sentence that says what was done.

    Raises:
        InvalidInput: there is no such change, or it needs a version or a reason.
        NotFound: the model has no such version.
        CannotChange: it cannot be made now.
    """
    _check(asked)
    if asked.what == "pause":
        changes.pause(model, asked.actor, asked.reason)
        return english("The model accepts no new predictions.")
    if asked.what == "resume":
        changes.resume(model, asked.actor)
        return english("The model accepts predictions again.")
    version = _before(model) if asked.what == "rollback" else _version(model, asked.version)
    if asked.what == "archive":
        changes.archive(version, asked.actor, asked.reason)
        return english("Version {version} is archived.", version=version.number)
    if asked.what == "restore":
        changes.restore(version, asked.actor)
        return english("Version {version} can be promoted again.", version=version.number)
    changes.request_promotion(version, asked.actor, asked.reason)
    return english(
        "A worker proves version {version} now. It serves once it has reproduced its stored answers.",
        version=version.number,
    )


def _check(asked: Change) -> None:
    if asked.what not in (*OF_VERSIONS, *OF_MODELS):
        message = english("Must be one of: {choices}.", choices=", ".join((*OF_VERSIONS, *OF_MODELS)))
        raise InvalidInput([Problem(None, "unknown_choice", message, "/change")])
    if asked.what in OF_VERSIONS and asked.version is None:
        raise InvalidInput([Problem(None, "missing", english("Say which version."), "/version")])
    if asked.what == "pause" and not asked.reason:
        raise InvalidInput([Problem(None, "missing", english("Say why: those who ask are told it."), "/reason")])


def _version(model: RegisteredModel, number: int | None) -> ModelVersion:
    found = None if number is None else model.versions.filter(number=number).first()
    if found is None:
        raise NotFound(english("{model} has no version {version}.", model=model.name, version=number))
    found.registered_model = model
    return found


def _before(model: RegisteredModel) -> ModelVersion:
    if model.previous_champion is None:
        raise CannotChange(english("{model} has no version that served before.", model=model.name))
    model.previous_champion.registered_model = model
    return model.previous_champion
