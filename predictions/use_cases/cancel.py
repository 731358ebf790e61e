"""Cancel a prediction that has not ended."""

from predictions.models import Prediction
from predictions.queue import completions
from predictions.serving.schema.errors import CannotCancel
from predictions.use_cases.callers import Caller, check_may_change


def cancel(prediction: Prediction, caller: Caller) -> None:
    """End the prediction, tell all that wait for it, and refresh it.

    Raises:
        Forbidden: the caller may see it and not change it.
        CannotCancel: it has already ended.
    """
    check_may_change(caller, prediction)
    if not Prediction.objects.filter(pk=prediction.pk).cancel():
        raise CannotCancel
    completions.announce_in_time([prediction.pk])
    prediction.refresh_status()
