"""The receipt of a prediction: which artefact answered which input, by their hashes, and how long that took.

A receipt is computed when it is read, from the prediction and its version. Only the machine is stored for it.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from predictions.models import Prediction
from predictions.serving.schema.canonical_json import canonical


@dataclass(frozen=True)
class Receipt:
    """`compiled_sha256` is the hash of the compiled artefact, None if the estimator itself predicts.

    `libraries` are those that the version was made with. `input_sha256` is the hash of the features as an object in
    canonical JSON (RFC 8785), `output_sha256` that of the output, None before there is one. `machine` is the host name
    of the worker that answered, None if none has.
    """

    artifact_sha256: str
    artifact_bytes: int
    compiled_sha256: str | None
    libraries: Mapping[str, str]
    input_sha256: str
    output_sha256: str | None
    attempts: int
    machine: str | None

    @property
    def engine(self) -> str:
        return "onnx" if self.compiled_sha256 else "estimator"


def receipt_of(prediction: Prediction) -> Receipt:
    version = prediction.version
    compiled = version.manifest.get("compiled")
    features = dict(zip(version.signature.names, prediction.values, strict=True))
    return Receipt(
        artifact_sha256=version.sha256,
        artifact_bytes=version.manifest["bytes"],
        compiled_sha256=compiled["sha256"] if compiled else None,
        libraries=version.manifest["libraries"],
        input_sha256=_sha256(features),
        output_sha256=None if prediction.output is None else _sha256(prediction.output),
        attempts=prediction.attempts,
        machine=prediction.machine,
    )


def _sha256(value: object) -> str:
    return hashlib.sha256(canonical(value)).hexdigest()
