"""Idempotency keys get a table of their own; the histograms of the metrics get the field's name.

An existing database keeps the keys of the last 24 hours: an older one is no longer valid.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models.functions import Now

import predictions.models.ids

KEY_LIFE = timedelta(hours=24)
BATCH = 1000


def copy_keys(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Prediction = apps.get_model("predictions", "Prediction")
    IdempotencyKey = apps.get_model("predictions", "IdempotencyKey")
    recent = Prediction.objects.filter(idempotency_key__isnull=False, created_at__gt=Now() - KEY_LIFE)
    columns = recent.values_list("caller", "idempotency_key", "pk", "request_hash", "created_at")
    IdempotencyKey.objects.bulk_create(
        (
            IdempotencyKey(caller=caller, key=key, prediction_id=pk, request_hash=request_hash, created_at=created_at)
            for caller, key, pk, request_hash, created_at in columns.iterator(BATCH)
        ),
        batch_size=BATCH,
    )


def return_keys(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Prediction = apps.get_model("predictions", "Prediction")
    for key in apps.get_model("predictions", "IdempotencyKey").objects.iterator(BATCH):
        Prediction.objects.filter(pk=key.prediction_id).update(idempotency_key=key.key, request_hash=key.request_hash)


def rename_watermark(before: str, after: str) -> migrations.RunPython:
    def rename(old: str, new: str) -> Callable[[Any, BaseDatabaseSchemaEditor], None]:
        def run(apps: Any, schema_editor: BaseDatabaseSchemaEditor) -> None:
            apps.get_model("predictions", "Watermark").objects.filter(name=old).update(name=new)

        return run

    return migrations.RunPython(rename(before, after), rename(after, before))


class Migration(migrations.Migration):
    dependencies = [("predictions", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="IdempotencyKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("caller", models.CharField(max_length=80)),
                ("key", models.CharField(max_length=255)),
                ("prediction_id", models.UUIDField(db_index=True)),
                ("request_hash", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("caller", "key"), name="one_idempotency_key_per_caller")
                ],
            },
        ),
        migrations.RunPython(copy_keys, return_keys),
        migrations.RemoveConstraint(model_name="prediction", name="one_row_per_idempotency_key"),
        migrations.RemoveField(model_name="prediction", name="idempotency_key"),
        migrations.RemoveField(model_name="prediction", name="request_hash"),
        migrations.AlterField(
            model_name="prediction",
            name="id",
            field=models.UUIDField(
                default=predictions.models.ids.new_prediction_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        migrations.RenameModel(old_name="Tally", new_name="MetricHistogram"),
        migrations.RemoveConstraint(model_name="metrichistogram", name="one_tally_each"),
        migrations.AddConstraint(
            model_name="metrichistogram",
            constraint=models.UniqueConstraint(
                fields=("name", "model", "state"), name="one_histogram_per_series"
            ),
        ),
        rename_watermark("tallies", "histograms"),
    ]
