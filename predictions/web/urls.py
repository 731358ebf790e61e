from django.urls import include, path

from predictions.web.views import (
    account,
    answers,
    batches,
    catalogue,
    compare,
    embedded,
    embeddings,
    health,
    metrics,
    mine,
    monitor,
    operators,
    reference,
    tokens,
    why,
)

models = [
    path("", catalogue.model, name="model"),
    path("card/", catalogue.card, name="card"),
    path("versions/", catalogue.versions, name="versions"),
    path("versions/change/", operators.change, name="change-versions"),
    path("embed/", embeddings.embeddings, name="embeddings"),
    path("embed/<str:key>/revoke/", embeddings.revoke, name="revoke-embedding"),
    path("api/", reference.reference, name="model-api"),
    path("predictions/", catalogue.predict, name="predict"),
]
prediction = [
    path("", answers.prediction, name="prediction"),
    path("status/", answers.status, name="status"),
    path("cancel/", answers.cancel, name="cancel"),
    path("retry/", answers.retry, name="retry"),
    path("feedback/", answers.feedback, name="feedback"),
    path("explanation/", why.explanation, name="explanation"),
    path("what-if/", why.what_if, name="what-if"),
    path("csv/", answers.csv, name="prediction-csv"),
]
embed = [
    path("", embedded.form, name="embedded"),
    path("results/<str:sealed>/", embedded.result, name="embedded-result"),
    path("results/<str:sealed>/status/", embedded.status, name="embedded-status"),
]
batch = [
    path("", batches.batch, name="batch"),
    path("status/", batches.status, name="batch-status"),
    path("cancel/", batches.cancel, name="batch-cancel"),
    path("corrections/", batches.corrections, name="batch-corrections"),
    path("results/", batches.results, name="batch-results"),
    path("errors/", batches.errors, name="batch-errors"),
]
urlpatterns = [
    path("", catalogue.home, name="home"),
    path("models/<slug:name>/", include(models)),
    path("predictions/", mine.mine, name="predictions"),
    path("predictions/csv/", mine.as_csv, name="predictions-csv"),
    path("predictions/compare/", compare.compare, name="compare"),
    path("predictions/<uuid:prediction_id>/", include(prediction)),
    path("embed/height.js", embedded.height, name="embed-height"),
    path("embed/<str:key>/", include(embed)),
    path("batches/", batches.mine, name="batches"),
    path("batches/new/", batches.new, name="new-batch"),
    path("batches/template/", batches.template, name="batch-template"),
    path("batches/<uuid:job_id>/", include(batch)),
    path("accounts/", account.account, name="account"),
    path("accounts/data/", account.export, name="export-data"),
    path("accounts/data/remove/", account.remove, name="remove-data"),
    path("accounts/tokens/", tokens.tokens, name="tokens"),
    path("accounts/tokens/<str:token_key>/revoke/", tokens.revoke, name="revoke-token"),
    path("healthz/live", health.live, name="live"),
    path("healthz/ready", health.ready, name="ready"),
    path("metrics", metrics.metrics, name="metrics"),
    path("monitor/", monitor.monitor, name="monitor"),
    path("monitor/feed/", monitor.feed, name="feed"),
]
