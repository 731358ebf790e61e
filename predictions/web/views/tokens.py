"""Tokens for programs: people make and revoke their own. A secret is shown once, after it was made."""

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from predictions.models import ApiToken, RegisteredModel
from predictions.models.api_token import Scope
from predictions.use_cases.operate import OPERATE

# The session entry that keeps the secret of a new token until the page that shows it.
NEW_SECRET = "new_token_secret"  # noqa: S105 - the name of the entry
DAYS = [("30", gettext_lazy("30 days")), ("90", gettext_lazy("90 days")), ("365", gettext_lazy("a year"))]


class TokenForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("What will use it, so that you know it again."),
    )
    days = forms.ChoiceField(choices=DAYS, initial="90", label=gettext_lazy("Valid for"))
    scope = forms.ChoiceField(
        choices=Scope.choices[:2], initial=Scope.PREDICT, label=gettext_lazy("It may"), required=False
    )
    model = forms.ChoiceField(choices=[("", gettext_lazy("All models"))], label=gettext_lazy("For"), required=False)

    def __init__(self, *args: Any, may_operate: bool, **options: Any) -> None:
        super().__init__(*args, **options)
        models = [(model.name, model.title) for model in RegisteredModel.objects.listed()]
        self.fields["model"].choices = [("", gettext("All models")), *models]  # type: ignore[attr-defined]
        if may_operate:
            self.fields["scope"].choices = Scope.choices  # type: ignore[attr-defined]


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    """The list and the form. The page after the redirect shows a new secret once, so a reload makes no second token."""
    may_operate = request.user.has_perm(OPERATE)
    form = TokenForm(request.POST if request.method == "POST" else None, may_operate=may_operate)
    if form.is_valid():
        secret = _make(request.user, form.cleaned_data)
        request.session[NEW_SECRET] = secret
        return redirect("tokens")
    own = ApiToken.objects.of(request.user)
    context = {"form": form, "secret": request.session.pop(NEW_SECRET, None), "tokens": own}
    return render(request, "registration/tokens.html", context, status=422 if form.is_bound else 200)


def _make(user: Any, said: dict[str, Any]) -> str:
    """Create a token, and return its secret."""
    _, secret = ApiToken.objects.create(
        user=user,
        name=said["name"],
        expiry=timedelta(days=int(said["days"])),
        scope=said["scope"] or Scope.PREDICT,
        model_name=said["model"],
    )
    return str(secret)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def revoke(request: HttpRequest, token_key: str) -> HttpResponse:
    """GET asks for confirmation, and POST revokes. A token of another user, or one that is gone, is a 404."""
    token = ApiToken.objects.of(request.user).filter(token_key=token_key).first()
    if token is None:
        raise Http404("no such token")
    if request.method != "POST":
        return render(request, "registration/revoke.html", {"token": token})
    token.delete()
    messages.success(request, gettext("The token “%(name)s” is revoked.") % {"name": token.name})
    return redirect("tokens")
