"""A client of Foretell's JSON API.

    with Client("http://127.0.0.1:8000") as foretell:
        prediction = foretell.predict("iris", [5.1, 3.5, 1.4, 0.2])
        print(prediction.output)

A request that is repeated after a lost connection carries the same Idempotency-Key, so no row is predicted twice.
"""

from foretell_client.async_client import AsyncClient
from foretell_client.client import Client
from foretell_client.errors import (
    ForetellError,
    JobEnded,
    JobNotFinished,
    NoAnswer,
    NotFinished,
    Problem,
    Refused,
    Unreachable,
)
from foretell_client.results import (
    Advice,
    Classification,
    Corrections,
    Failure,
    Feedback,
    Job,
    Model,
    ModelDetail,
    Multi,
    Prediction,
    Regression,
)

__all__ = [
    "Advice",
    "AsyncClient",
    "Classification",
    "Client",
    "Corrections",
    "Failure",
    "Feedback",
    "ForetellError",
    "Job",
    "JobEnded",
    "JobNotFinished",
    "Model",
    "ModelDetail",
    "Multi",
    "NoAnswer",
    "NotFinished",
    "Prediction",
    "Problem",
    "Refused",
    "Regression",
    "Unreachable",
]
