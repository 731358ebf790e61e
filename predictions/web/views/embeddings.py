"""A model's embeddings: make one for an origin, copy its HTML, revoke it."""

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from predictions.models import Embedding, RegisteredModel
from predictions.use_cases.embeddings import MOST, NotAnOrigin, embeddings_for, may_embed, origin_of
from predictions.use_cases.lookup import find_model
from predictions.web.embedding import EmbeddingPresenter


class EmbeddingForm(forms.Form):
    origin = forms.CharField(
        max_length=300,
        label=gettext_lazy("Site"),
        help_text=gettext_lazy(
            "Where the form shall stand, as https://shop.example.org. Pages of other sites do not show it."
        ),
        widget=forms.TextInput(attrs={"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_origin(self) -> str:
        try:
            return origin_of(self.cleaned_data["origin"])
        except NotAnOrigin:
            message = gettext(
                "Write the scheme and the host without a path: https://shop.example.org, http://localhost:3000."
            )
            raise forms.ValidationError(message, code="not_an_origin") from None


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def embeddings(request: HttpRequest, name: str) -> HttpResponse:
    model = _model(request, name)
    form = EmbeddingForm(request.POST if request.method == "POST" else None)
    if form.is_valid() and _make(request, model, form):
        return redirect("embeddings", model.name)
    context: dict[str, Any] = {
        "model": model,
        "form": form,
        "embeddings": [EmbeddingPresenter(one, request) for one in embeddings_for(request.user, model)],
    }
    return render(request, "embed/manage.html", context, status=422 if form.is_bound else 200)


def _make(request: HttpRequest, model: RegisteredModel, form: EmbeddingForm) -> bool:
    """Create an embedding, or keep the one that the origin already has. False if the user has too many."""
    user = cast(User, request.user)
    own = Embedding.objects.filter(user=user, registered_model_id=model.pk)
    if own.count() >= MOST:
        text = gettext("You have %(count)s embeddings of this model. Revoke one first.")
        form.add_error(None, text % {"count": MOST})
        return False
    origin = form.cleaned_data["origin"]
    own.get_or_create(user=user, registered_model_id=model.pk, origin=origin)
    text = gettext("Pages of %(site)s may show the form. Copy the HTML below into one.")
    messages.success(request, text % {"site": origin})
    return True


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def revoke(request: HttpRequest, name: str, key: str) -> HttpResponse:
    """GET asks for confirmation, and POST revokes. An embedding that the user may not revoke is a 404."""
    model = _model(request, name)
    embedding = embeddings_for(request.user, model).filter(key=key).first()
    if embedding is None:
        raise Http404("no such embedding")
    if request.method != "POST":
        return render(request, "embed/revoke.html", {"model": model, "embedding": embedding})
    embedding.delete()
    messages.success(request, gettext("Pages of %(site)s no longer show the form.") % {"site": embedding.origin})
    return redirect("embeddings", model.name)


def _model(request: HttpRequest, name: str) -> RegisteredModel:
    model = find_model(name)
    if not may_embed(request.user):
        raise PermissionDenied
    return model
