from django.contrib import admin
from django.urls import include, path

from predictions.api.inference_protocol.views import Server

handler404 = "predictions.web.views.errors.not_found"
urlpatterns = [
    path("", include("predictions.web.urls")),
    path("api/v1/", include("predictions.api.urls")),
    # Clients of the protocol follow no redirect to a slash.
    path("v2", Server.as_view()),
    path("v2/", include("predictions.api.inference_protocol.urls")),
    path("accounts/", include("django.contrib.auth.urls")),
    path("admin/", admin.site.urls),
]
