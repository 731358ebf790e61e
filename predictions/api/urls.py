from django.urls import path, re_path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from predictions.api import views

# The variant without inline scripts.
docs = SpectacularSwaggerSplitView.as_view(template_name="api/docs.html", url_name="api-schema")

urlpatterns = [
    # The addresses that are asked most stand first.
    path("models/<slug:name>/predictions/", views.predict, name="api-predict"),
    path("predictions/<uuid:prediction_id>/", views.prediction, name="api-prediction"),
    path("models/", views.models, name="api-models"),
    path("models/<slug:name>/", views.model, name="api-model"),
    path("predictions/", views.predictions, name="api-predictions"),
    path("predictions/<uuid:prediction_id>/cancel/", views.cancel, name="api-cancel"),
    path("predictions/<uuid:prediction_id>/feedback/", views.feedback, name="api-feedback"),
    path("schema/", SpectacularJSONAPIView.as_view(), name="api-schema"),
    path("docs/", docs, name="api-docs"),
    re_path(r"^(?:[\s\S]*/)?\Z", views.nothing),
]
