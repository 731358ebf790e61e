from django.urls import path, re_path, register_converter
from django.urls.converters import UUIDConverter
from drf_spectacular.views import SpectacularJSONAPIView

from predictions.api import batches, described, docs, explanations, receipts, resources, webhooks


class AnyCase(UUIDConverter):
    """A UUID, which some programs write in upper case."""

    regex = UUIDConverter.regex.replace("a-f", "a-fA-F")


register_converter(AnyCase, "id")

urlpatterns = [
    path("models/<slug:name>/predictions/", described.predict, name="api-predict"),
    path("predictions/<id:prediction_id>/", described.prediction, name="api-prediction"),
    path("predictions/<id:prediction_id>/events/", described.events, name="api-events"),
    path("", resources.index, name="api-index"),
    path("models/", resources.models, name="api-models"),
    path("models/<slug:name>/", resources.model, name="api-model"),
    path("models/<slug:name>/changes/", resources.changes, name="api-changes"),
    path("predictions/", resources.predictions, name="api-predictions"),
    path("predictions/<id:prediction_id>/cancel/", resources.cancel, name="api-cancel"),
    path("predictions/<id:prediction_id>/feedback/", resources.feedback, name="api-feedback"),
    path("predictions/<id:prediction_id>/explanation/", explanations.explanation, name="api-explanation"),
    path("predictions/<id:prediction_id>/what-if/", explanations.what_if, name="api-what-if"),
    path("predictions/<id:prediction_id>/receipt/", receipts.receipt, name="api-receipt"),
    path("predictions/<id:prediction_id>/webhook/", webhooks.log, name="api-webhook"),
    path("webhooks/secret/", webhooks.secret, name="api-webhook-secret"),
    path("batches/", batches.batches, name="api-batches"),
    path("batches/<id:job_id>/", batches.read, name="api-batch"),
    path("batches/<id:job_id>/results/", batches.results, name="api-batch-results"),
    path("batches/<id:job_id>/errors/", batches.errors, name="api-batch-errors"),
    path("batches/<id:job_id>/cancel/", batches.cancel, name="api-batch-cancel"),
    path("batches/<id:job_id>/corrections/", batches.corrections, name="api-batch-corrections"),
    path("schema/", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("docs/", docs.docs, name="api-docs"),
    re_path(r"^(?:[\s\S]*/)?\Z", resources.nothing, name="api-nothing"),
]
