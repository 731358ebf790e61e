"""Locks the model of a version, for changes that depend on both."""

from predictions.models import ModelVersion, RegisteredModel
from predictions.serving.schema.errors import CannotChange


def lock(version: ModelVersion) -> RegisteredModel:
    """Lock and return the model of a version that is not archived. The lock lasts until the transaction ends.

    Raises:
        CannotChange: the version is archived.
    """
    model = RegisteredModel.objects.select_for_update().get(pk=version.registered_model_id)
    if ModelVersion.objects.filter(pk=version.pk, is_archived=True).exists():
        raise CannotChange(f"Version {version.number} is archived. Bring it back first.")
    return model
