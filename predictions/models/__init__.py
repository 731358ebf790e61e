"""The database models: registered models and their versions, predictions with their states, files, and the rest."""

from predictions.models.api_token import ApiToken
from predictions.models.batch_chunk import BatchChunk
from predictions.models.batch_job import BatchJob
from predictions.models.claim import Claim
from predictions.models.comparison import ComparedAnswer, Comparison
from predictions.models.computation import Computation
from predictions.models.embedding import Embedding
from predictions.models.feedback import Feedback
from predictions.models.heartbeat import Heartbeat
from predictions.models.idempotency_key import IdempotencyKey
from predictions.models.lifecycle_event import LifecycleEvent
from predictions.models.metric_histogram import MetricHistogram, Watermark
from predictions.models.prediction import Prediction
from predictions.models.registered_model import Alias, ModelVersion, RegisteredModel
from predictions.models.states import JobState, Lane, Source, State
from predictions.models.tombstone import Tombstone
from predictions.models.webhook import Webhook, WebhookAttempt

__all__ = [
    "Alias",
    "ApiToken",
    "BatchChunk",
    "BatchJob",
    "Claim",
    "ComparedAnswer",
    "Comparison",
    "Computation",
    "Embedding",
    "Feedback",
    "Heartbeat",
    "IdempotencyKey",
    "JobState",
    "Lane",
    "LifecycleEvent",
    "MetricHistogram",
    "ModelVersion",
    "Prediction",
    "RegisteredModel",
    "Source",
    "State",
    "Tombstone",
    "Watermark",
    "Webhook",
    "WebhookAttempt",
]
