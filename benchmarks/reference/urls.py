import views
from django.urls import path

urlpatterns = [
    path("api/predict/", views.submit),
    path("api/predict/<str:task_id>/", views.result),
    path("api/health/", views.health),
]
