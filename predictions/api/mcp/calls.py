"""The functions of the tools. They call the same use cases as the JSON API."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.conf import settings

from predictions.api.http import ApiRequest
from predictions.api.mcp.schemas import parameters
from predictions.api.operations import accept_and_wait, find
from predictions.api.prediction_body import pointer_to
from predictions.api.threads import in_thread
from predictions.lifecycle import registry
from predictions.models import ModelVersion, Prediction, RegisteredModel, Source
from predictions.models.ids import new_prediction_id
from predictions.serving.schema.errors import InvalidInput, OutOfScope, Problem
from predictions.serving.schema.signature import unknown_features
from predictions.serving.schema.wording import printable
from predictions.use_cases import cancel, lookup
from predictions.use_cases.submit import PredictCommand
from predictions.use_cases.wait import subscribe, wait

# A call waits this long at most; clients give up after 30 to 60 seconds.
MOST_SECONDS = 20.0
PREFIX = "predict_"

Arguments = Mapping[str, Any]


def serving(request: ApiRequest) -> list[ModelVersion]:
    """The versions that serve, of the models that the caller's token allows."""
    only = request.caller.only_model
    models = [registry.find(model.name) for model in RegisteredModel.objects.listed().defer("champion__manifest")]
    champions = [registry.champion(model) for model in models if only in ("", model.name)]
    return [version for version in champions if version is not None]


async def predict(request: ApiRequest, name: str, arguments: Arguments) -> Prediction:
    """Accept a row and wait for its answer.

    Raises:
        OutOfScope: the caller's token does not allow this prediction.
        ForetellError: the error by which the JSON API refuses such a request.
    """
    _check_may_change(request)
    if request.caller.only_model not in ("", name):
        raise OutOfScope(f"This token is for the model {request.caller.only_model!r} only.")
    version = lookup.serving_version(await lookup.model(name), request.caller)
    rows = [_clean(version, arguments)]
    command = PredictCommand(version, rows, [new_prediction_id()], request.caller, Source.API)
    [row] = await accept_and_wait(command, min(MOST_SECONDS, settings.WAIT_MAX))
    return row


async def get_prediction(request: ApiRequest, arguments: Arguments) -> Prediction:
    """The prediction, once it has ended or `MOST_SECONDS` have passed. Raises InvalidInput, NotFound or Removed."""
    prediction_id = _id(arguments)
    with subscribe([prediction_id]) as subscription:
        row = await find(request, str(prediction_id))
        await wait([row], subscription, min(MOST_SECONDS, settings.WAIT_MAX))
    return row


async def cancel_prediction(request: ApiRequest, arguments: Arguments) -> Prediction:
    """Raises InvalidInput, NotFound, Removed, Forbidden, OutOfScope or CannotCancel."""
    _check_may_change(request)
    row = await find(request, str(_id(arguments)))
    await in_thread(cancel.cancel, row, request.caller)
    return row


def _check_may_change(request: ApiRequest) -> None:
    if not request.caller.may_predict:
        raise OutOfScope("This token may only read. Make one that may predict at /accounts/tokens/.")


def _clean(version: ModelVersion, arguments: Arguments) -> list[Any]:
    """The row of a tool's arguments. Raises InvalidInput.

    If the parameter of a feature has another name, the name of the feature is not accepted.
    """
    features = parameters(version.signature.names)
    unknown = arguments.keys() - features.keys()
    row = {features[name]: value for name, value in arguments.items() if name in features}
    problems = [_placed(problem, {}) for problem in unknown_features(unknown)]
    try:
        values = version.signature.clean(row)
    except InvalidInput as error:
        names = {feature: name for name, feature in features.items()}
        problems = [_placed(problem, names) for problem in error.problems] + problems
    if problems:
        raise InvalidInput(problems)
    return values


def _placed(problem: Problem, names: Mapping[str, str]) -> Problem:
    """The problem with the name of the parameter, and a pointer into the arguments."""
    if problem.feature is None:
        return replace(problem, pointer="")
    name = names.get(problem.feature, problem.feature)
    return replace(problem, feature=name, pointer=pointer_to(name))


def _id(arguments: Arguments) -> uuid.UUID:
    """The id of the prediction that is meant. Raises InvalidInput."""
    problems = [
        Problem(printable(name), "unknown_member", 'Only "id" belongs here.', pointer_to(printable(name)))
        for name in sorted(arguments.keys() - {"id"})[:20]
    ]
    try:
        found = uuid.UUID(str(arguments.get("id")))
    except ValueError:
        problems.append(Problem("id", "wrong_type", "Must be the id that a predict tool gave.", "/id"))
    if problems:
        raise InvalidInput(problems)
    return found
