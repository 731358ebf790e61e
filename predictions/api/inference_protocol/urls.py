from django.urls import path

from predictions.api.inference_protocol import views

urlpatterns = [
    path("", views.Server.as_view()),
    path("health/live", views.Live.as_view()),
    path("health/ready", views.Ready.as_view()),
    path("models/stats", views.Statistics.as_view()),
    path("models/<str:name>", views.Model.as_view()),
    path("models/<str:name>/config", views.Config.as_view()),
    path("models/<str:name>/stats", views.Statistics.as_view()),
    path("models/<str:name>/versions/<str:number>/config", views.Config.as_view()),
    path("models/<str:name>/versions/<str:number>/stats", views.Statistics.as_view()),
    path("models/<str:name>/ready", views.ModelReady.as_view()),
    path("models/<str:name>/versions/<str:number>", views.Model.as_view()),
    path("models/<str:name>/versions/<str:number>/ready", views.ModelReady.as_view()),
    path("models/<str:name>/infer", views.Infer.as_view()),
    path("models/<str:name>/versions/<str:number>/infer", views.Infer.as_view()),
    path("repository/index", views.RepositoryIndex.as_view()),
    path("<path:anything>", views.NotOffered.as_view()),
]
