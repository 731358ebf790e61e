"""Answers the inputs of finished predictions again, by another version. Only commands and workers import this."""

from collections.abc import Sequence

from predictions.models import Prediction
from predictions.serving.engines.opening import Loaded
from predictions.serving.engines.predictor import Outcome, predict
from predictions.serving.schema.errors import InvalidInput
from predictions.serving.schema.signature import Signature, Value


def answer_again(loaded: Loaded, rows: Sequence[Prediction]) -> list[Outcome]:
    """One outcome for each row, in one predict call. A row that does not fit the version has the error InvalidInput."""
    cleaned = [clean(row, loaded.manifest.signature) for row in rows]
    fitting = [values for values in cleaned if not isinstance(values, InvalidInput)]
    answers = iter(predict(loaded, fitting) if fitting else [])
    return [Outcome(None, values) if isinstance(values, InvalidInput) else next(answers) for values in cleaned]


def clean(row: Prediction, signature: Signature) -> list[Value] | InvalidInput:
    """The values of a prediction as another version takes them, or the error if they do not fit that version."""
    named = dict(zip(row.version.signature.names, row.values, strict=True))
    try:
        return list(signature.clean({name: value for name, value in named.items() if value is not None}))
    except InvalidInput as error:
        return error
