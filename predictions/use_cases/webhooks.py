"""The webhook of a prediction, for the caller that asked for it."""

from predictions.models import Prediction, Source, Webhook
from predictions.use_cases.callers import Caller


def webhook_of(prediction: Prediction, caller: Caller) -> Webhook | None:
    """With its log. Its address is not shown to others who may see the prediction."""
    if caller.user is None or prediction.caller != caller.key or prediction.source != Source.API:
        return None  # without asking the database for what it cannot have
    own = Webhook.objects.filter(pk=prediction.pk, caller=caller.key)
    return own.prefetch_related("log").first()
