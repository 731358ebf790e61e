"""View-only links to a prediction that has an owner.

A link is a signature of the prediction's id, so nothing is stored. It ends after `LASTS`, and with the next change of
the owner's password, as tokens do.
"""

import uuid
from datetime import timedelta

from django.core.signing import BadSignature, TimestampSigner

from predictions.lifecycle import registry
from predictions.models import Prediction
from predictions.serving.schema.errors import NotFound
from predictions.serving.schema.sentences import english

LASTS = timedelta(days=30)


def view_token(prediction: Prediction) -> str:
    """A token with which everybody may look at the prediction."""
    return _signer(prediction).sign(prediction.pk.hex)


def find_shared(token: str) -> Prediction:
    """The prediction of a token. Raises NotFound."""
    try:
        row = Prediction.objects.select_related("owner").get(pk=uuid.UUID(token.partition(":")[0]), owner__isnull=False)
        _signer(row).unsign(token, max_age=LASTS)
    except (ValueError, BadSignature, Prediction.DoesNotExist):
        raise NotFound(
            english("This link is not valid, or its time is over. Ask the owner of the result for a new one.")
        ) from None
    return registry.attach_versions([row])[0]


def _signer(prediction: Prediction) -> TimestampSigner:
    assert prediction.owner is not None  # noqa: S101  # a prediction without an owner is seen by its link alone
    return TimestampSigner(salt=f"foretell.shared.{prediction.owner.get_session_auth_hash()}")
