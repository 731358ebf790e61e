"""Embeddings: each lets the pages of one other origin show the form of a model."""

import secrets

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models

from predictions.models.registered_model import RegisteredModel


def new_key() -> str:
    return secrets.token_urlsafe(24)


class EmbeddingQuerySet(models.QuerySet["Embedding"]):
    def of(self, user: User) -> "EmbeddingQuerySet":
        """Newest first."""
        return self.filter(user=user).order_by("-created_at", "-pk")


class Embedding(models.Model):
    """`key` is part of the embedded page's address. Public pages contain it, so it is no secret."""

    key = models.CharField(max_length=40, unique=True, default=new_key, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="embeddings")
    registered_model = models.ForeignKey(RegisteredModel, models.CASCADE, related_name="embeddings")
    origin = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = EmbeddingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "registered_model", "origin"], name="one_embedding_for_an_origin")
        ]

    def __str__(self) -> str:
        return f"{self.registered_model} in {self.origin}"
