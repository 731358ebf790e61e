"""The changes that operators make, on the page and by the API. Workers prove versions: see `lifecycle.changes`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from predictions.lifecycle import aliases, challenger, changes, replays
from predictions.models import ModelVersion, RegisteredModel
from predictions.serving.schema.errors import CannotChange, InvalidInput, NotFound, Problem
from predictions.serving.schema.sentences import english
from predictions.serving.schema.wording import printable

OPERATE = "predictions.operate_models"
LONGEST_REASON = 500


@dataclass(frozen=True, slots=True)
class Change:
    """A change that an operator asks for. `what` is one of `CHANGES`.

    `version` is the number or the alias of a version, `alias` the alias to set or to remove, `percent` the share of a
    shadow or a canary, `last` the number of inputs of a replay. `reason` is stored in the history.
    """

    what: str
    version: str | None
    reason: str
    actor: str
    alias: str = ""
    percent: int | None = None
    last: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A sentence that says what was done. `is_done` is False if a worker does the rest."""

    sentence: str
    is_done: bool = True


def change(model: RegisteredModel, asked: Change) -> Made:
    """Make a change. The model is read again, since `model` may be out of date.

    Raises:
        InvalidInput: there is no such change, or a part of it is missing.
        NotFound: the model has no such version or alias.
        CannotChange: the change cannot be made now.
    """
    _check(asked)
    now = RegisteredModel.objects.select_related("champion", "previous_champion", "challenger").get(pk=model.pk)
    return CHANGES[asked.what](now, asked)


def _check(asked: Change) -> None:
    if asked.what not in CHANGES:
        message = english("Must be one of: {choices}.", choices=", ".join(CHANGES))
        raise InvalidInput([Problem(None, "unknown_choice", message, "/change")])
    if asked.what in OF_VERSIONS and asked.version is None:
        raise InvalidInput([Problem(None, "missing", english("Say which version."), "/version")])
    if asked.what in OF_ALIASES and not asked.alias:
        raise InvalidInput([Problem(None, "missing", english("Say which alias."), "/alias")])
    if asked.what in OF_SHARES and (asked.percent is None or not 0 <= asked.percent <= 100):
        raise InvalidInput([Problem(None, "missing", _whole_number(0, 100), "/percent")])
    if asked.what == "replay" and (asked.last is None or not 1 <= asked.last <= replays.MOST):
        raise InvalidInput([Problem(None, "missing", _whole_number(1, replays.MOST), "/last")])
    if asked.what == "pause" and not asked.reason:
        raise InvalidInput([Problem(None, "missing", english("Say why: those who ask are told it."), "/reason")])


def _whole_number(least: int, most: int) -> str:
    return english("Must be a whole number from {least} to {most}.", least=least, most=most)


# --- Versions ---------------------------------------------------------------------------------------------------------
def _promote(model: RegisteredModel, asked: Change) -> Made:
    return _request(_version(model, asked), asked)


def _roll_back(model: RegisteredModel, asked: Change) -> Made:
    if model.previous_champion is None:
        raise CannotChange(english("{model} has no version that served before.", model=model.name))
    model.previous_champion.registered_model = model
    return _request(model.previous_champion, asked)


def _request(version: ModelVersion, asked: Change) -> Made:
    changes.request_promotion(version, asked.actor, asked.reason)
    return Made(
        english(
            "A worker proves version {version} now. It serves once it has reproduced its stored answers.",
            version=version.number,
        ),
        False,
    )


def _archive(model: RegisteredModel, asked: Change) -> Made:
    version = _version(model, asked)
    changes.archive(version, asked.actor, asked.reason)
    return Made(english("Version {version} is archived.", version=version.number))


def _restore(model: RegisteredModel, asked: Change) -> Made:
    version = _version(model, asked)
    changes.restore(version, asked.actor)
    return Made(english("Version {version} can be promoted again.", version=version.number))


def _version(model: RegisteredModel, asked: Change) -> ModelVersion:
    found = None if asked.version is None else aliases.called(model, asked.version).first()
    if found is None:
        raise NotFound(english("{model} has no version {version}.", model=model.name, version=printable(asked.version)))
    found.registered_model = model
    return found


# --- Models -----------------------------------------------------------------------------------------------------------
def _pause(model: RegisteredModel, asked: Change) -> Made:
    changes.pause(model, asked.actor, asked.reason)
    return Made(english("The model accepts no new predictions."))


def _resume(model: RegisteredModel, asked: Change) -> Made:
    changes.resume(model, asked.actor)
    return Made(english("The model accepts predictions again."))


# --- Aliases and the challenger ---------------------------------------------------------------------------------------
def _set_alias(model: RegisteredModel, asked: Change) -> Made:
    version = _version(model, asked)
    aliases.set_alias(version, asked.alias, asked.actor, asked.reason)
    return Made(english("{alias} is version {version}.", alias=asked.alias, version=version.number))


def _remove_alias(model: RegisteredModel, asked: Change) -> Made:
    aliases.remove_alias(model, asked.alias, asked.actor, asked.reason)
    return Made(english("There is no alias {alias} any more.", alias=asked.alias))


def _set_shadow(model: RegisteredModel, asked: Change) -> Made:
    share = asked.percent or 0
    challenger.set_shadow(model, share, asked.actor, asked.reason)
    if not share:
        return Made(english("The challenger answers no copies any more."))
    text = english(
        "The challenger answers {share} % of the predictions again; no caller sees its answers.", share=share
    )
    return Made(text)


def _set_canary(model: RegisteredModel, asked: Change) -> Made:
    share = asked.percent or 0
    if not share:
        challenger.stop_canary(model, asked.actor, asked.reason)
        return Made(english("The version that serves answers all callers."))
    challenger.request_canary(model, share, asked.actor, asked.reason)
    text = english("A worker proves the challenger now. Then it answers {share} % of the callers.", share=share)
    return Made(text, False)


def _replay(model: RegisteredModel, asked: Change) -> Made:
    version = _version(model, asked)
    replays.start(version, asked.last or 0)
    text = english(
        "A worker answers the last {last} inputs by version {version}.", last=asked.last, version=version.number
    )
    return Made(text, False)


CHANGES: Mapping[str, Callable[[RegisteredModel, Change], Made]] = {
    "promote": _promote,
    "rollback": _roll_back,
    "archive": _archive,
    "restore": _restore,
    "pause": _pause,
    "resume": _resume,
    "alias": _set_alias,
    "remove_alias": _remove_alias,
    "shadow": _set_shadow,
    "canary": _set_canary,
    "replay": _replay,
}
OF_VERSIONS = ("promote", "archive", "restore", "alias", "replay")
OF_ALIASES = ("alias", "remove_alias")
OF_SHARES = ("shadow", "canary")
