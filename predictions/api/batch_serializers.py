"""The bodies of files in the JSON API, for the OpenAPI schema: jobs, uploads and corrections."""

from typing import Any

from rest_framework import serializers

from predictions.api.serializers import Urls
from predictions.models import JobState

VERSION = "The number or the alias of a version, instead of the one that serves."


class BatchUrls(Urls):
    results = serializers.URLField()
    errors = serializers.URLField()  # type: ignore[assignment]  # a field; the framework has an attribute of that name
    corrections = serializers.URLField()


class BatchError(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField(allow_blank=True)


class BatchLayout(serializers.Serializer[Any]):
    format = serializers.ChoiceField(["csv", "jsonl", "xlsx", "ods", "parquet"])
    encoding = serializers.CharField()
    delimiter = serializers.CharField()
    decimal = serializers.CharField()
    header = serializers.BooleanField()
    sheet = serializers.CharField(allow_null=True)
    absent = serializers.ListField(
        child=serializers.CharField(),
        help_text="Optional features for which no column was found: they are taken as missing in each row.",
    )


class BatchCorrections(serializers.Serializer[Any]):
    """The corrections that were sent last."""

    rows = serializers.IntegerField(allow_null=True, help_text="How many rows were sent; null if they were not read.")
    unused = serializers.IntegerField(
        allow_null=True, help_text="How many of them changed nothing: no bad row has their line."
    )
    lines = serializers.ListField(child=serializers.IntegerField(), help_text="The first lines of unused rows.")
    error = BatchError(allow_null=True, help_text="Why not all of the other rows were scored.")


class BatchBody(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(JobState.choices)
    filename = serializers.CharField()
    rows = serializers.IntegerField(help_text="Found so far: a file is read while its first rows are scored.")
    done = serializers.IntegerField()
    good = serializers.IntegerField()
    bad = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="The same as `bad`.")
    rows_per_second = serializers.FloatField(allow_null=True)
    seconds_left = serializers.FloatField(allow_null=True)
    corrections = BatchCorrections(allow_null=True)
    layout = BatchLayout()
    error = BatchError(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    deadline_at = serializers.DateTimeField()
    urls = BatchUrls()


class BatchPage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = BatchBody(many=True)


class CorrectionFile(serializers.Serializer[Any]):
    file = serializers.FileField(help_text="The file of bad rows, corrected: `line` says which row is meant.")


class BatchFile(serializers.Serializer[Any]):
    """A file to score. Members that describe its layout may be left out: the server then detects them."""

    model = serializers.CharField(min_length=1)
    file = serializers.FileField(help_text="CSV, Excel (.xlsx, .ods), Parquet or JSON lines.")
    version = serializers.CharField(required=False, help_text=VERSION)
    encoding = serializers.CharField(required=False)
    delimiter = serializers.CharField(required=False)
    decimal = serializers.CharField(required=False)
    header = serializers.ChoiceField(["true", "false"], required=False)
    sheet = serializers.CharField(required=False)


class CorrectionRows(serializers.Serializer[Any]):
    rows = serializers.ListField(child=serializers.JSONField(), allow_empty=False)


class BatchRows(CorrectionRows):
    model = serializers.CharField(min_length=1)
    version = serializers.CharField(required=False, help_text=VERSION)
