"""Predict the values of an earlier prediction again, by the version that serves or by a given one."""

from predictions.models import ModelVersion, Prediction, Source
from predictions.models.ids import new_prediction_id
from predictions.use_cases import lookup
from predictions.use_cases.callers import Caller
from predictions.use_cases.submit import PredictCommand, submit_row


def retry(earlier: Prediction, caller: Caller) -> Prediction:
    """A new prediction of the same values, by the version that serves now.

    Raises:
        NotFound, ModelUnavailable: the model is gone, or no version of it serves.
        InvalidInput: the version that serves now needs other values.
        TooMany, QueueFull: a limit is reached; `retry_after` says when to try again.
    """
    version = lookup.serving_version(lookup.find_model(earlier.version.registered_model.name), caller)
    values = version.signature.clean(dict(zip(earlier.version.signature.names, earlier.values, strict=True)))
    return submit_row(PredictCommand(version, [values], [new_prediction_id()], caller, Source.FORM))


def replay(earlier: Prediction, version: ModelVersion, caller: Caller) -> Prediction:
    """A new prediction of the same values, by another version of the model.

    Raises:
        ModelUnavailable: the model is paused, or the version does not serve.
        InvalidInput: the version needs other values.
        TooMany, QueueFull: a limit is reached; `retry_after` says when to try again.
    """
    named = zip(earlier.version.signature.names, earlier.values, strict=True)
    values = version.signature.clean({name: value for name, value in named if value is not None})
    command = PredictCommand(version, [values], [new_prediction_id()], caller, Source.FORM, is_pinned=True)
    return submit_row(command)
