"""The webhook of a prediction, for the caller that asked for it."""

from predictions.models import Prediction, Source, Webhook
from predictions.use_cases.callers import Caller


def webhook_of(prediction: Prediction, caller: Caller) -> Webhook | None:
    """The webhook with its log; None for other callers, who may see the prediction but not the webhook's URL."""
    if caller.user is None or prediction.caller != caller.key or prediction.source != Source.API:
        return None  # without a query, since it has no webhook of this caller
    own = Webhook.objects.filter(pk=prediction.pk, caller=caller.key)
    return own.prefetch_related("log").first()
