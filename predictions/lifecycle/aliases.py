"""Aliases: names by which callers ask for a version. `champion`, `challenger`, `previous` and `latest` are built in."""

import re

from django.db import models, transaction

from predictions.lifecycle import challenger, history
from predictions.lifecycle.versions import lock
from predictions.models import Alias, ModelVersion, RegisteredModel
from predictions.models.lifecycle_event import Action
from predictions.serving.schema.errors import InvalidInput, NotFound, Problem
from predictions.serving.schema.sentences import english
from predictions.serving.schema.wording import printable

CHALLENGER = "challenger"
# Aliases that people may try to set, and the remedy for each.
BUILT_IN = {
    "champion": english("champion is the version that serves: promote a version instead."),
    "previous": english("previous is the version that served before; it cannot be set."),
    "latest": english("latest is the version with the highest number; it cannot be set."),
}
# People would read "v2" as a version number, as in MLflow.
_NAME = re.compile(r"(?!v\d+$)[a-z][a-z0-9_-]{0,49}")
RULE = english("An alias has 1 to 50 of the characters a-z, 0-9, - and _, begins with a letter, and is not like v2.")


def called(model: RegisteredModel, name: str) -> "models.QuerySet[ModelVersion]":
    """A query for the version with this number or alias. It finds one version or none."""
    versions = model.versions.all()
    if name.isascii() and name.isdigit():
        return versions.filter(number=int(name)) if len(name) < 10 else versions.none()
    known = {
        "champion": model.champion_id,
        "previous": model.previous_champion_id,
        CHALLENGER: model.challenger_id,
    }
    if name in known:
        return versions.filter(pk=known[name] or 0)
    if name == "latest":
        return versions.order_by("-number")[:1]
    return versions.filter(aliases__name=name)


def set_alias(version: ModelVersion, name: str, actor: str, reason: str = "") -> None:
    """Give a version an alias. An alias of another version is moved to this one.

    Raises:
        InvalidInput: the name is not allowed for an alias.
        CannotChange: the version is archived; or the alias is `challenger`, and the version serves.
    """
    if name == CHALLENGER:
        challenger.choose(version, actor, reason)
        return
    _check(name)
    with transaction.atomic():
        model = lock(version)
        known = Alias.objects.filter(registered_model=model, name=name).first()
        if known is not None and known.version_id == version.pk:
            return
        Alias.objects.update_or_create(registered_model=model, name=name, defaults={"version": version})
        history.record(model, version, Action.ALIAS_SET, actor, reason, alias=name)


def remove_alias(model: RegisteredModel, name: str, actor: str, reason: str = "") -> None:
    """Take an alias away.

    Raises:
        InvalidInput: the alias is built in, or its name is not allowed.
        NotFound: the model does not have this alias.
        CannotChange: the alias is `challenger`, and the model has none.
    """
    if name == CHALLENGER:
        challenger.dismiss(model, actor, reason)
        return
    _check(name)
    with transaction.atomic():
        known = Alias.objects.filter(registered_model=model, name=name).select_related("version").first()
        if known is None:
            raise NotFound(english("{model} has no alias {name}.", model=model.name, name=printable(name)))
        known.delete()
        history.record(model, known.version, Action.ALIAS_REMOVED, actor, reason, alias=name)


def _check(name: str) -> None:
    problem = BUILT_IN.get(name) or ("" if _NAME.fullmatch(name) else RULE)
    if problem:
        raise InvalidInput([Problem(None, "wrong_value", problem, "/alias")])
