"""The short way to the two operations that programs ask for hundreds of times a second: to predict, and to look.

A thread for each request, and what Django and Django REST framework wrap around a view, take longer than the operation
itself. Here a request stays on the event loop, which costs nothing while it waits; what needs the database gathers
with what others need of it (`predictions.queue.together`). The parts are those of the long way: the same signature,
submission, representation and problems.

Whatever is not quite usual, and whatever is refused before a row is kept, is handed back untouched and goes the long
way from its beginning: so there is one place that says what is wrong with a request.
"""

import asyncio
import io
import re
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import SuspiciousOperation
from django.db import close_old_connections
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.urls.converters import SlugConverter, UUIDConverter
from rest_framework.exceptions import APIException, NotAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.views import APIView

from predictions.api import problems, resources
from predictions.api.authentication import BearerAuthentication
from predictions.api.headers import PredictOptions, content_length, wishes
from predictions.api.parsers import StrictJSONParser
from predictions.api.permissions import MayPredict
from predictions.api.resources import ApiReply
from predictions.lifecycle import registry
from predictions.models import Prediction, Source
from predictions.models.ids import new_prediction_id
from predictions.queue import completions
from predictions.queue.together import Together, each
from predictions.use_cases import submit
from predictions.use_cases.callers import caller_of
from predictions.use_cases.submit import DATABASE_AWAY

# Rows that come within this time are committed together, when several come.
GATHER_SECONDS = 0.002
# Stands in an address for a model's name, and for a prediction's id.
NAME, ID = "name", uuid.UUID(int=0)
# Refused before a row is kept: the long way knows what to say.
REFUSED = (APIException, Http404, SuspiciousOperation)
# A longer body would hold up the loop while it is read.
MOST_BYTES = 10_000

_bearer, _may_predict, _json, _renderer = BearerAuthentication(), MayPredict(), StrictJSONParser(), JSONRenderer()


@dataclass(frozen=True)
class _Row:
    """What is asked, with all that can be known of it without the database."""

    request: HttpRequest
    request_id: str
    model: str
    body: Any
    wishes: PredictOptions
    id: uuid.UUID


@dataclass(frozen=True)
class _Look:
    request: HttpRequest
    id: uuid.UUID


class Express:
    """Make one for each event loop, on it."""

    def __init__(self) -> None:
        # One for each: a frozen database then holds none of them up for longer than its own time.
        threads = ThreadPoolExecutor(3, thread_name_prefix="express")
        self._keep = Together(_keep, threads, DATABASE_AWAY, GATHER_SECONDS)
        self._find = Together(_find, threads, DATABASE_AWAY)
        self._see = Together(_see, threads, DATABASE_AWAY)
        self._expected = _Expected()
        self._predict_path = _pattern(reverse("api-predict", args=[NAME]), NAME, SlugConverter.regex)
        self._look_path = _pattern(reverse("api-prediction", args=[ID]), str(ID), UUIDConverter.regex)
        self._prefixes = (reverse("api-models"), reverse("api-predictions"))

    def takes(self, path: str) -> bool:
        """Whether a request for this path is worth asking about."""
        return path.startswith(self._prefixes)

    async def answer(self, request: HttpRequest, request_id: str) -> HttpResponse | None:
        """None if the request is for the long way; nothing has come of it then."""
        try:
            if request.method == "POST" and (found := self._predict_path.fullmatch(request.path_info)):
                return await self._predict(request, request_id, found[1]) if _is_usual(request) else None
            if request.method == "GET" and (found := self._look_path.fullmatch(request.path_info)):
                return await self._show(request, uuid.UUID(found[1])) if _is_usual(request) else None
        except REFUSED:
            return None
        except Exception as error:
            if (response := problems.handle(error, {})) is None:
                raise
            headers = {**dict(response.items()), "Content-Type": problems.MEDIA_TYPE}
            return _rendered(ApiReply(response.data, response.status_code, headers))
        return None

    async def _predict(self, request: HttpRequest, request_id: str, model: str) -> HttpResponse | None:
        if request.content_type != StrictJSONParser.media_type:
            return None
        body = _json.parse(io.BytesIO(request.body))
        asked = _Row(request, request_id, model, body, wishes(request), new_prediction_id())
        with self._expected(asked.id) as news:
            row = await self._keep(asked)
            if row.pk == asked.id:
                await self._wait(row, news, asked.wishes.wait)
                return _rendered(resources.accepted(request, row, asked.wishes))
        # The key had been used: wait for the prediction that it belongs to.
        with self._expected(row.pk) as news:
            news.set()
            await self._wait(row, news, asked.wishes.wait)
        return _rendered(resources.accepted(request, row, asked.wishes))

    async def _wait(self, row: Prediction, news: asyncio.Event, seconds: float) -> None:
        """Look at each announcement and at the end of the time, never in between."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        alarm = loop.call_at(end, news.set)
        try:
            while not row.is_terminal and loop.time() < end:
                await news.wait()
                news.clear()
                if seen := await self._see(row.pk):
                    row.refresh_status(seen)
        except DATABASE_AWAY:
            pass  # it was accepted all the same, and is shown as it was last seen
        finally:
            alarm.cancel()

    async def _show(self, request: HttpRequest, prediction_id: uuid.UUID) -> HttpResponse:
        return _rendered(resources.shown(request, await self._find(_Look(request, prediction_id))))


def _pattern(path: str, placeholder: str, stands_for: str) -> re.Pattern[str]:
    return re.compile(re.escape(path).replace(re.escape(placeholder), f"({stands_for})"))


def _is_usual(request: HttpRequest) -> bool:
    """A session, a connection or a host that should be another, and a body that takes long to read: the long way.

    Raises:
        DisallowedHost: likewise for the long way.
    """
    request.get_host()
    return (
        settings.SESSION_COOKIE_NAME not in request.COOKIES
        and (request.is_secure() or not settings.SECURE_SSL_REDIRECT)
        and "HTTP_CONTENT_ENCODING" not in request.META
        and content_length(request) <= MOST_BYTES
    )


def _rendered(said: ApiReply) -> HttpResponse:
    """JSON, unless the headers say what else it is."""
    content = b"" if said.body is None else _renderer.render(said.body)
    headers = {"Content-Type": _json.media_type, **said.headers, "Content-Length": str(len(content))}
    response = HttpResponse(content, status=said.status, headers=headers)
    if said.body is None:
        del response["Content-Type"]
    return response


class _Expected:
    """The predictions that coroutines wait for. Announcements are heard by the thread that hears them for all."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news: dict[str, list[asyncio.Event]] = {}
        completions.waiters.also_tell(self._hear)

    @contextmanager
    def __call__(self, prediction_id: uuid.UUID) -> Iterator[asyncio.Event]:
        """An event, set when the prediction has probably ended. Enter before the row is committed or read."""
        key, news = prediction_id.hex, asyncio.Event()
        self._news.setdefault(key, []).append(news)
        try:
            yield news
        finally:
            self._news[key].remove(news)
            if not self._news[key]:
                del self._news[key]

    def _hear(self, keys: Sequence[str] | None) -> None:
        awaited = None if keys is None else [key for key in keys if key in self._news]
        if awaited is None or awaited:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._wake, awaited)

    def _wake(self, keys: Sequence[str] | None) -> None:
        for key in list(self._news) if keys is None else keys:
            for news in self._news.get(key, ()):
                news.set()


# --- In threads: what needs the database ------------------------------------------------------------------------------
def _keep(asked: Sequence[_Row]) -> list[Prediction | Exception]:
    close_old_connections()
    requests = each(_request, asked, DATABASE_AWAY)
    kept = iter(submit.submit_each([one for one in requests if isinstance(one, submit.Request)]))
    return [one if isinstance(one, Exception) else next(kept) for one in requests]


def _request(row: _Row) -> submit.Request:
    _authenticate(row.request)
    return submit.Request(
        resources.find_model(row.model),
        resources.features_of(row.body),
        caller_of(row.request),
        Source.API,
        row.wishes.idempotency_key,
        row.wishes.time_allowed,
        row.id,
        row.request_id,
    )


def _find(looks: Sequence[_Look]) -> list[Prediction | Exception]:
    close_old_connections()
    rows = Prediction.objects.find_all([look.id for look in looks])

    def found(look: _Look) -> Prediction:
        _authenticate(look.request)
        row = rows.get(look.id)
        if row is None or not row.is_visible_to(look.request.user):
            raise Http404
        return registry.complete([row])[0]

    return each(found, looks, DATABASE_AWAY)


def _see(ids: Sequence[uuid.UUID]) -> list[tuple[Any, ...] | None]:
    close_old_connections()
    seen = Prediction.objects.look(ids)
    return [seen.get(prediction_id) for prediction_id in ids]


def _authenticate(request: HttpRequest) -> None:
    asked: Any = request  # the framework's parts look at what its request has in common with Django's
    known = _bearer.authenticate(asked)
    request.user = known[0] if known else AnonymousUser()
    if not _may_predict.has_permission(asked, APIView()):
        raise NotAuthenticated
