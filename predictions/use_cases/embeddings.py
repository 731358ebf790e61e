"""Embeddings: who may make one, which of them are served, and the addresses of their results."""

import re
import uuid

from django.conf import settings
from django.contrib.auth.models import AnonymousUser, User
from django.core.signing import BadSignature, Signer

from predictions.lifecycle import registry
from predictions.models import Embedding, Prediction, RegisteredModel, Tombstone
from predictions.models.embedding import EmbeddingQuerySet
from predictions.serving.schema.errors import NotFound, Removed
from predictions.use_cases.operate import OPERATE

# The most embeddings of one model by one user.
MOST = 50
LONGEST_HOST = 253
ORIGIN = re.compile(r"(https?)://([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)(?::([0-9]{1,5}))?/?", re.IGNORECASE)
DEFAULT_PORTS = {"http": "80", "https": "443"}


class NotAnOrigin(ValueError):
    """The text names no origin, or a host whose name is not ASCII."""


def origin_of(text: str) -> str:
    """The origin as browsers write it: lower case, without the default port.

    Raises:
        NotAnOrigin: it has a path, a wildcard, or another scheme.
    """
    found = ORIGIN.fullmatch(text.strip())
    if not found or len(found[2]) > LONGEST_HOST or not 0 < int(found[3] or 1) <= 65535:
        raise NotAnOrigin
    scheme, host, port = found[1].lower(), found[2].lower(), found[3] and str(int(found[3]))
    return f"{scheme}://{host}" if port in (None, DEFAULT_PORTS[scheme]) else f"{scheme}://{host}:{port}"


def may_embed(user: User | AnonymousUser) -> bool:
    """Whether the user may make embeddings, which let strangers use a model.

    Where predictions are public, every signed-in user may; elsewhere only operators.
    """
    return user.is_authenticated and user.is_active and (settings.PUBLIC_PREDICTIONS or user.has_perm(OPERATE))


def embeddings_for(user: User | AnonymousUser, model: RegisteredModel) -> EmbeddingQuerySet:
    """The embeddings of a model that the user may revoke: for an operator all, for others their own."""
    of_model = Embedding.objects.filter(registered_model_id=model.pk).select_related("user").order_by("-created_at")
    if not isinstance(user, User) or not may_embed(user):
        return of_model.none()
    return of_model if user.has_perm(OPERATE) else of_model.filter(user=user)


def find_embedding(key: str) -> Embedding:
    """The embedding with this key.

    Raises:
        NotFound: there is none, or the user who made it may no longer make embeddings.
    """
    found = Embedding.objects.select_related("user", "registered_model").filter(key=key).first()
    if found is None or not may_embed(found.user):
        raise NotFound
    return found


# --- Results ----------------------------------------------------------------------------------------------------------
def seal(embedding: Embedding, prediction_id: uuid.UUID) -> str:
    """The last part of a result's address: the id with a signature, valid for this embedding only."""
    return _signer(embedding).sign(prediction_id.hex)


def unseal(embedding: Embedding, sealed: str) -> uuid.UUID:
    """The id in the address of a result. Raises NotFound if the signature is not valid for this embedding."""
    try:
        return uuid.UUID(_signer(embedding).unsign(sealed))
    except (BadSignature, ValueError):
        raise NotFound from None


def find_result(embedding: Embedding, prediction_id: uuid.UUID) -> Prediction:
    """A prediction that was asked through the embedding.

    Raises:
        NotFound: there is no such prediction.
        Removed: its data was removed.
    """
    row = Prediction.objects.filter(pk=prediction_id, caller=f"embed:{embedding.pk}").first()
    if row is None:
        raise Removed if Tombstone.objects.stands_for(prediction_id) else NotFound
    return registry.attach_versions([row])[0]


def _signer(embedding: Embedding) -> Signer:
    return Signer(salt=f"foretell.embedding.{embedding.key}")
