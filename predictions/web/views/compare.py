"""Compare two results of one model: `?id=<prediction>&id=<prediction>`. With one id, another one is chosen first."""

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from predictions.lifecycle import registry
from predictions.models import Prediction, State
from predictions.use_cases.callers import Caller, history_of
from predictions.use_cases.lookup import find_prediction
from predictions.web.access import for_predictors
from predictions.web.comparison import ChoicePresenter, ComparisonPresenter
from predictions.web.visitors import caller_of

# The page offers this many results. Older ones can be chosen in the list of predictions.
MOST_OFFERED = 30
NOT_TWO = gettext_lazy("Choose two results to compare, no more and no fewer.")
NOT_ONE_MODEL = gettext_lazy(
    "These results are of different models, so their values have nothing in common. Choose two of one model."
)


@require_safe
@never_cache
@for_predictors
def compare(request: HttpRequest) -> HttpResponse:
    caller, ids = caller_of(request), _ids(request)
    if ids is None or not 1 <= len(ids) <= 2:
        return _refused(request, NOT_TWO)
    found = [find_prediction(one, caller) for one in ids]
    if len(found) == 1:
        return render(request, "predictions/compare_with.html", {"choice": _choice(found[0], caller)})
    if len({row.version.registered_model_id for row in found}) > 1:
        return _refused(request, NOT_ONE_MODEL)
    return render(request, "predictions/compare.html", {"comparison": ComparisonPresenter(*found)})


def _ids(request: HttpRequest) -> list[uuid.UUID] | None:
    """The ids of the query without duplicates; None if one of them is no UUID."""
    try:
        return list(dict.fromkeys(uuid.UUID(text) for text in request.GET.getlist("id")))
    except ValueError:
        return None


def _choice(chosen: Prediction, caller: Caller) -> ChoicePresenter:
    model = chosen.version.registered_model_id
    others = history_of(caller).filter(version__registered_model=model, state=State.SUCCEEDED).exclude(pk=chosen.pk)
    return ChoicePresenter(chosen, registry.attach_versions(others[:MOST_OFFERED]))


def _refused(request: HttpRequest, problem: str | Promise) -> HttpResponse:
    return render(request, "predictions/compare_refused.html", {"problem": problem}, status=422)
