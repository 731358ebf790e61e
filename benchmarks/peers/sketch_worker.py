"""Run by `python sketch_worker.py`: a worker process of the sketch.

It claims up to 64 rows, predicts those of one model in one call, and stores the outputs together with the next claim.
"""

import os
import sqlite3
import time

import msgspec
import onnx_sessions
import sketch_store
from redis import Redis
from redis.exceptions import RedisError

# Rows without a notification are found after this time.
BELL_SECONDS = 1

decode = msgspec.json.Decoder(list[float]).decode
encode = msgspec.json.Encoder().encode

Outputs = list[tuple[str, msgspec.Raw]]


def main() -> None:
    sessions = onnx_sessions.load(["lr", "rf"])
    redis = Redis(port=int(os.environ["SKETCH_REDIS"]))
    connection = sketch_store.connect("NORMAL")
    while True:
        wait_for_bell(redis)
        work(connection, redis, sessions)


def wait_for_bell(redis: Redis) -> None:
    try:
        redis.brpop("bell", BELL_SECONDS)
        # One claim takes the rows of several notifications.
        redis.delete("bell")
    except RedisError:
        time.sleep(0.1)


def work(connection: sqlite3.Connection, redis: Redis, sessions: dict[str, onnx_sessions.Session]) -> None:
    """Work until no row is queued."""
    with sketch_store.transaction(connection):
        rows = sketch_store.claim(connection)
    while rows:
        outputs = predict(rows, sessions)
        with sketch_store.transaction(connection):
            sketch_store.settle(connection, [(id_, bytes(output).decode()) for id_, output in outputs])
            rows = sketch_store.claim(connection)
        redis.publish("announcements", encode(outputs))


def predict(rows: list[sketch_store.Row], sessions: dict[str, onnx_sessions.Session]) -> Outputs:
    outputs: Outputs = []
    for model in {model for _, model, _ in rows}:
        ids = [id_ for id_, other, _ in rows if other == model]
        features = [decode(text) for _, other, text in rows if other == model]
        for id_, (label, probabilities) in zip(ids, sessions[model].labels_and_probabilities(features), strict=True):
            outputs.append((id_, msgspec.Raw(encode({"label": label, "probabilities": probabilities}))))
    return outputs


if __name__ == "__main__":
    main()
