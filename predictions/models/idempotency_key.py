"""Idempotency keys: the prediction or job that a caller's key made. They last `KEY_LIFE`, by the database's clock."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from django.db import IntegrityError, connection, models
from django.db.models.functions import Now

KEY_LIFE = timedelta(hours=24)


class KeyTaken(IntegrityError):
    """The caller has already used the key for another prediction or job."""


class IdempotencyKeyQuerySet(models.QuerySet["IdempotencyKey"]):
    def expired(self) -> "IdempotencyKeyQuerySet":
        return self.filter(created_at__lt=Now() - KEY_LIFE)

    def current(self, caller: str, key: str) -> "IdempotencyKey | None":
        """The caller's key, if it has not expired."""
        return self.filter(caller=caller, key=key, created_at__gte=Now() - KEY_LIFE).first()

    def current_among(self, caller: str, keys: Sequence[str]) -> "dict[str, IdempotencyKey]":
        """Those of `keys` that the caller has used and that have not expired, by key."""
        kept = self.filter(caller=caller, key__in=keys, created_at__gte=Now() - KEY_LIFE)
        return {found.key: found for found in kept}

    def take(self, keys: "Sequence[IdempotencyKey]") -> None:
        """Insert the keys, in one statement each. An expired key is replaced.

        Call it in the transaction that inserts the predictions: then a key never refers to a row that was not stored.

        Raises:
            KeyTaken: one of the keys is in use. The transaction must be rolled back.
        """
        # Sorted, so that two transactions with the same keys cannot wait for each other.
        ordered = sorted(keys, key=lambda key: (key.caller, key.key))
        prepared = IdempotencyKey._meta.get_field("prediction_id").get_db_prep_value
        statement, age = _insert(connection.vendor)
        rows = [(k.caller, k.key, prepared(k.prediction_id, connection), k.request_hash, *age) for k in ordered]
        with connection.cursor() as cursor:
            cursor.executemany(statement, rows)
            if cursor.rowcount != len(rows):
                raise KeyTaken("an idempotency key of this caller is in use")

    def release(self, prediction_ids: Sequence[uuid.UUID]) -> int:
        """Delete the keys of predictions that are removed."""
        return self.filter(prediction_id__in=prediction_ids).delete()[0]

    def remove_expired(self, limit: int) -> int:
        """Delete at most `limit` expired keys, oldest first. Returns how many."""
        ids = list(self.expired().order_by("created_at").values_list("pk", flat=True)[:limit])
        # Guarded once more: a key may have been replaced by a new one since it was read.
        return self.expired().filter(pk__in=ids).delete()[0]


@cache
def _insert(vendor: str) -> tuple[str, tuple[Any, ...]]:
    """The INSERT for a database vendor, and its last parameters. It affects no row if the key is in use."""
    compiler = IdempotencyKey.objects.all().query.get_compiler(connection=connection)
    now, _ = compiler.compile(Now())
    oldest, age = compiler.compile((Now() - KEY_LIFE).resolve_expression(compiler.query))
    statement = f"""
INSERT INTO predictions_idempotencykey (caller, key, prediction_id, request_hash, created_at)
VALUES (%s, %s, %s, %s, {now})
ON CONFLICT (caller, key) DO UPDATE
SET prediction_id = excluded.prediction_id, request_hash = excluded.request_hash, created_at = excluded.created_at
WHERE predictions_idempotencykey.created_at < {oldest}
"""  # noqa: S608 - no user input: two expressions that Django wrote
    return statement, tuple(age)


class IdempotencyKey(models.Model):
    """`prediction_id` is the id of a prediction or of a batch job, so it is no foreign key.

    Removing the prediction or the job deletes the key.
    """

    caller = models.CharField(max_length=80)
    key = models.CharField(max_length=255)
    prediction_id = models.UUIDField(db_index=True)
    request_hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_index=True)

    objects = IdempotencyKeyQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key"], name="one_idempotency_key_per_caller")]

    def __str__(self) -> str:
        return f"{self.key} of {self.caller}"
