"""Ask again with the values of an earlier prediction."""

from predictions.models import Prediction, Source
from predictions.models.ids import new_prediction_id
from predictions.use_cases import lookup
from predictions.use_cases.callers import Caller
from predictions.use_cases.submit import PredictCommand, submit_row


def retry(earlier: Prediction, caller: Caller) -> Prediction:
    """A new prediction of the same values, by the version that serves now.

    Raises:
        NotFound, ModelUnavailable: the model is gone, or no version of it serves.
        InvalidInput: the version that serves now needs other values.
        TooMany, QueueFull: not now; both say when.
    """
    version = lookup.serving_version(lookup.find_model(earlier.version.registered_model.name), caller)
    values = version.signature.clean(dict(zip(earlier.version.signature.names, earlier.values, strict=True)))
    return submit_row(PredictCommand(version, [values], [new_prediction_id()], caller, Source.FORM))
