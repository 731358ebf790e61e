"""Computes requests, in workers only. If a process dies, the lease of its request runs out."""

import logging
from typing import Any

from predictions.explanations.contributions import contributions
from predictions.explanations.surface import NotExplained, surface
from predictions.explanations.what_if import what_if
from predictions.models import Computation
from predictions.models.computation import Kind
from predictions.serving.engines.opening import Loaded
from predictions.serving.schema.errors import ModelUnavailable
from predictions.worker import preload

logger = logging.getLogger(__name__)

# The seconds that sampling may take for one explanation, so that the explanation is ready within two seconds.
SECONDS = 1.2


def compute(computation_id: int) -> None:
    """Compute a request and store the result, unless another worker has it."""
    found = Computation.objects.claim(computation_id)
    if found is None:
        return
    try:
        loaded = preload.load_registered(found.prediction.version_id)
        result, code = _computed(loaded, found), ""
    except ModelUnavailable as error:
        preload.record_failure(found.prediction.version_id, error)
        result, code = {}, error.code
    except MemoryError:
        raise
    except Exception:
        logger.warning("computation %d failed", computation_id, exc_info=True)
        result, code = {}, "model_error"
    found.settle(result, code)


def _computed(loaded: Loaded, asked: Computation) -> dict[str, Any]:
    row = asked.prediction.values
    if asked.kind == Kind.WHAT_IF:
        return what_if(loaded, row, asked.arguments.get("values"))
    try:
        return _explanation(loaded, row)
    except NotExplained as reason:
        return {"reason": str(reason)}


def _explanation(loaded: Loaded, row: list[Any]) -> dict[str, Any]:
    shown = surface(loaded, row)
    background = loaded.manifest.background
    found = contributions(shown.answer, row, background, SECONDS)
    names = loaded.manifest.signature.names
    return {
        "scale": shown.scale,
        "label": shown.label,
        "method": found.method,
        "base": found.base,
        "answer": found.answer,
        "rows": len(background),
        "contributions": dict(zip(names, found.values, strict=True)),
    }
