"""Tokens for programs: a person makes and revokes their own. A secret is shown once, when it is made."""

from datetime import timedelta

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from predictions.models import ApiToken

DAYS = [("30", "30 days"), ("90", "90 days"), ("365", "a year")]


class TokenForm(forms.Form):
    name = forms.CharField(max_length=100, help_text="What will use it, so that you know it again.")
    days = forms.ChoiceField(choices=DAYS, initial="90", label="Valid for")


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def tokens(request: HttpRequest) -> HttpResponse:
    form = TokenForm(request.POST if request.method == "POST" else None)
    secret = None
    if form.is_valid():
        lasts = timedelta(days=int(form.cleaned_data["days"]))
        _, secret = ApiToken.objects.create(user=request.user, name=form.cleaned_data["name"], expiry=lasts)
        form = TokenForm()
    context = {"form": form, "secret": secret, "tokens": ApiToken.objects.of(request.user)}
    return render(request, "registration/tokens.html", context, status=422 if form.is_bound else 200)


@require_POST
@login_required
def revoke(request: HttpRequest, token_key: str) -> HttpResponse:
    ApiToken.objects.of(request.user).filter(token_key=token_key).delete()
    return redirect("tokens")
