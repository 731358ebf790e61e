from django.urls import path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from predictions.api import described, resources

# The variant without inline scripts.
docs = SpectacularSwaggerSplitView.as_view(template_name="api/docs.html", url_name="api-schema")

urlpatterns = [
    path("models/<slug:name>/predictions/", described.predict, name="api-predict"),
    path("predictions/<uuid:prediction_id>/", described.prediction, name="api-prediction"),
    path("models/", resources.models, name="api-models"),
    path("models/<slug:name>/", resources.model, name="api-model"),
    path("predictions/", resources.predictions, name="api-predictions"),
    path("predictions/<uuid:prediction_id>/cancel/", resources.cancel, name="api-cancel"),
    path("predictions/<uuid:prediction_id>/feedback/", resources.feedback, name="api-feedback"),
    path("schema/", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("docs/", docs, name="api-docs"),
    re_path(r"^(?:[\s\S]*/)?\Z", resources.nothing),
]
