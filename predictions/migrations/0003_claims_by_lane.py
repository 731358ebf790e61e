"""A claim takes the oldest rows of a lane, whatever their version."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("predictions", "0002_idempotency_keys")]

    operations = [
        migrations.RemoveIndex(model_name="prediction", name="queue"),
        migrations.AddIndex(
            model_name="prediction",
            index=models.Index(condition=models.Q(("state", "queued")), fields=["lane", "created_at"], name="queue"),
        ),
    ]
