"""Run by `uvicorn sketch_web:app --workers 2`: the web process of the sketch.

It stores a prediction, notifies a worker through a Redis list, and answers with the output that the worker publishes.
"""

import asyncio
import os
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import msgspec
import sketch_store
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

WAIT_SECONDS = 30.0
# With several requests at once, a commit waits for this time for more rows.
GATHER_SECONDS = 0.001

Output = msgspec.Raw


class PredictionRequest(msgspec.Struct):
    model: str
    features: list[float]


class Prediction(msgspec.Struct):
    id: str
    status: str
    output: Output
    features: list[float]
    created: float


decode = msgspec.json.Decoder(PredictionRequest).decode
decode_announcement = msgspec.json.Decoder(list[tuple[str, Output]]).decode
encode = msgspec.json.Encoder().encode


class Predictions:
    """The unanswered predictions of this process."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._connection = sketch_store.connect("FULL")
        self._writer = ThreadPoolExecutor(1)
        self._rows: list[tuple[object, ...]] = []
        self._answers: dict[str, asyncio.Future[Output]] = {}
        self._committing: asyncio.Task[None] | None = None

    async def predict(self, request: PredictionRequest) -> Prediction:
        id_, created = uuid.uuid4().hex, time.time()
        self._answers[id_] = asyncio.get_running_loop().create_future()
        self._rows.append((id_, request.model, "visitor", encode(request.features).decode(), created))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        try:
            # Workers see committed rows only, so an answer means that the row is stored.
            output = await asyncio.wait_for(self._answers[id_], WAIT_SECONDS)
        finally:
            del self._answers[id_]
        return Prediction(id_, "succeeded", output, request.features, created)

    async def _commit(self) -> None:
        """Group commit: rows that arrive during a commit share the next one."""
        try:
            while self._rows:
                rows, self._rows = self._rows, []
                await self._insert(rows)
                if self._rows:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._committing = None

    async def _insert(self, rows: list[tuple[object, ...]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._writer, sketch_store.insert, self._connection, rows)
            await self._redis.lpush("bell", 1)
        except sqlite3.Error as error:
            for row in rows:
                self._settle(str(row[0]), error)

    async def listen(self) -> None:
        async with self._redis.pubsub() as announcements:
            await announcements.subscribe("announcements")
            async for message in announcements.listen():
                if message["type"] == "message":
                    for id_, output in decode_announcement(message["data"]):
                        self._settle(id_, output)

    def _settle(self, id_: str, outcome: Output | Exception) -> None:
        answer = self._answers.get(id_)
        if answer is None or answer.done():
            return
        if isinstance(outcome, Exception):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with Redis(port=int(os.environ["SKETCH_REDIS"])) as redis:
        app.state.predictions = Predictions(redis)
        listening = asyncio.create_task(app.state.predictions.listen())
        yield
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def health(request: Request) -> Response:
    return Response(b'{"status": "ok"}', media_type="application/json")


async def predict(request: Request) -> Response:
    try:
        asked = decode(await request.body())
    except msgspec.ValidationError as error:
        return Response(str(error), status_code=422)
    prediction = await request.app.state.predictions.predict(asked)
    return Response(encode(prediction), media_type="application/json")


app = Starlette(
    routes=[Route("/health", health), Route("/predict", predict, methods=["POST"])],
    lifespan=lifespan,
)
