"""Callers: who asks, and what each may see and change. The pages and the APIs make them from HTTP requests."""

import uuid
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.contrib.auth.models import User
from django.utils.crypto import salted_hmac

from predictions.models import BatchJob, Embedding, Prediction
from predictions.models.prediction import PredictionQuerySet
from predictions.serving.schema.errors import Forbidden
from predictions.use_cases.addresses import counted_as

LOCAL_ADDRESSES = ("127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `key` names the caller in rows: `user:…`, `visitor:…`, `address:…` or `embed:…`.

    `has_history` is False for an address that several people may share: it has no list of its own predictions.
    `address` is a keyed hash of the network address of a caller without an account. Limits hold for it too, because
    such a caller can renew its cookie, and with it `key`, at any time. `may_predict`, `may_operate` and
    `only_model` are the limits of a token: whether it may do more than read, whether it may change what serves, and the
    one model that it is for (empty: all models). `token` is the digest of the token (empty: there is none).
    """

    key: str
    user: User | None = None
    has_history: bool = True
    address: uuid.UUID | None = None
    may_predict: bool = True
    may_operate: bool = False
    only_model: str = ""
    token: str = ""

    @property
    def routed_as(self) -> str:
        """The key by which a canary chooses callers: the address of one without an account, who may drop its cookie."""
        return self.key if self.address is None else f"address:{self.address.hex}"

    @property
    def limited_as(self) -> list[str]:
        """The names whose requests the rate limit counts."""
        names = [] if self.address is None else [f"address:{self.address.hex}"]
        return [*names, *({self.key} - set(names))]


def of_user(user: User) -> Caller:
    return Caller(key_of(user), user)


def of_visitor(visitor: str, address: str) -> Caller:
    """A person without an account, known by a cookie."""
    return Caller(f"visitor:{visitor}", address=_hashed_address(address))


def of_address(address: str) -> Caller:
    """The caller behind a network address, of which only a keyed hash is kept: enough to tell callers apart, too
    little to say who they are."""
    return _of_address(address, is_this_machine(address))


@lru_cache(maxsize=1024)
def _of_address(address: str, has_history: bool) -> Caller:
    hashed = _hashed_address(address)
    return Caller(f"address:{hashed.hex}", has_history=has_history, address=hashed)


def of_embedding(embedding: Embedding, address: str) -> Caller:
    """A person who asks in a page of another site. All people who use one embedding have the same key."""
    return Caller(f"embed:{embedding.pk}", has_history=False, address=_hashed_address(address))


@lru_cache(maxsize=1024)
def _hashed_address(address: str) -> uuid.UUID:
    counted = counted_as(address) or address
    return uuid.UUID(salted_hmac("foretell.address", counted, algorithm="sha256").hexdigest()[:32])


def key_of(user: User) -> str:
    return f"user:{user.pk}"


def is_this_machine(address: str) -> bool:
    """Whether a client is on this machine; outside development False, since clients of a proxy seem local."""
    return address in LOCAL_ADDRESSES and settings.DEVELOPMENT and not settings.PRODUCTION


def history_of(caller: Caller) -> PredictionQuerySet:
    """The caller's predictions, newest first."""
    own = Prediction.objects.asked_by(caller.key) if caller.has_history else Prediction.objects.none()
    return own.filter(version__registered_model__name=caller.only_model) if caller.only_model else own


def may_see(caller: Caller, prediction: Prediction | BatchJob) -> bool:
    """Whether the caller may see a prediction or a job: its owner and analysts may. Where predictions are public, every
    caller may see one without an owner.

    A token for one model shows predictions of that model only.
    """
    if caller.only_model and prediction.version.registered_model.name != caller.only_model:
        return False
    if prediction.owner_id is None and settings.PUBLIC_PREDICTIONS:
        return True
    user = caller.user
    return user is not None and (prediction.owner_id == user.pk or user.has_perm("predictions.view_monitor"))


def may_change(caller: Caller, prediction: Prediction | BatchJob) -> bool:
    """Whether the caller may change a prediction or a job. With an owner, every caller that may see it may change it.

    Without an owner, only the caller that asked for it may: a link is for reading.
    """
    return owns(caller, prediction) if prediction.owner_id is None else may_see(caller, prediction)


def owns(caller: Caller, prediction: Prediction | BatchJob) -> bool:
    """Whether a prediction or a job is the caller's own. Analysts see, and may cancel, those of others too."""
    if prediction.owner_id is None:
        return caller.key == prediction.caller
    return caller.user is not None and prediction.owner_id == caller.user.pk


def check_may_change(caller: Caller, prediction: Prediction | BatchJob) -> None:
    """Raises Forbidden."""
    if not may_change(caller, prediction):
        raise Forbidden
