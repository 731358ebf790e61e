"""The configuration and the statistics of a model, which Triton's tools ask for besides the protocol."""

from typing import Any

from predictions.api.inference_protocol import inputs, outputs
from predictions.api.prediction_body import MOST_ROWS
from predictions.models import MetricHistogram, ModelVersion

Json = dict[str, Any]


def configuration(version: ModelVersion) -> Json:
    """Triton's `ModelConfig`. Dimensions are those of one row, without the first one of a tensor, which counts rows."""
    return {
        "name": version.registered_model.name,
        "platform": "sklearn_joblib",
        "backend": "foretell",
        "version_policy": {"specific": {"versions": [version.number]}},
        "max_batch_size": MOST_ROWS,
        "input": [_tensor(tensor) for tensor in inputs.metadata(version.signature)],
        "output": [_tensor(tensor) for tensor in outputs.metadata(version)],
    }


def _tensor(said: Json) -> Json:
    kind = "STRING" if said["datatype"] == "BYTES" else said["datatype"]
    return {"name": said["name"], "data_type": f"TYPE_{kind}", "dims": said["shape"][1:]}


def statistics(version: ModelVersion) -> Json:
    """The statistics of all versions of the model since the installation: Foretell counts by model."""
    name = version.registered_model.name
    ended = {one.state: one for one in MetricHistogram.objects.filter(name="total", model=name)}
    timed = {
        one.name: one for one in MetricHistogram.objects.filter(name__in=["queue", "predict", "claim"], model=name)
    }
    failed = [one for state, one in ended.items() if state != "succeeded"]
    return {
        "name": name,
        "version": str(version.number),
        "last_inference": 0,
        "inference_count": ended["succeeded"].count if "succeeded" in ended else 0,
        "execution_count": timed["claim"].count if "claim" in timed else 0,
        "inference_stats": {
            "success": _sum([ended["succeeded"]] if "succeeded" in ended else []),
            "fail": _sum(failed),
            "queue": _sum([timed["queue"]] if "queue" in timed else []),
            "compute_input": _sum([]),
            "compute_infer": _sum([timed["predict"]] if "predict" in timed else []),
            "compute_output": _sum([]),
        },
        "batch_stats": [],
    }


def _sum(histograms: list[MetricHistogram]) -> Json:
    return {"count": sum(one.count for one in histograms), "ns": round(sum(one.sum for one in histograms) * 1e9)}
