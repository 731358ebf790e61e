"""The bodies of the JSON API, for the OpenAPI schema.

`prediction_body` and `feedback_body` read the bodies, and `representation` writes them. A test compares these
descriptions with real answers.
"""

from typing import Any

from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema_field
from rest_framework import serializers

from predictions.maintenance.webhook_request import URL
from predictions.models import Source, State
from predictions.models.webhook import MOST_URL
from predictions.serving.schema.errors import ERRORS


class Urls(serializers.Serializer[Any]):
    self = serializers.URLField()
    page = serializers.URLField()
    cancel = serializers.URLField()


class Advice(serializers.Serializer[Any]):
    feature = serializers.CharField()
    code = serializers.ChoiceField(["below_training_range", "above_training_range", "unseen_category"])
    message = serializers.CharField()


class PredictionError(serializers.Serializer[Any]):
    code = serializers.ChoiceField(sorted(ERRORS))
    message = serializers.CharField()
    retryable = serializers.BooleanField()


class Timing(serializers.Serializer[Any]):
    queued_ms = serializers.FloatField(allow_null=True)
    predict_ms = serializers.FloatField(allow_null=True)
    total_ms = serializers.FloatField(allow_null=True)


class Evidence(serializers.Serializer[Any]):
    """How often answers like this were right among rows that the estimator had not seen."""

    right = serializers.IntegerField()
    of = serializers.IntegerField()


class Classification(serializers.Serializer[Any]):
    """Outside the training data (`grade` is `outside`) there is no `prediction_set`. An empty one means that the row is
    unusual for every class."""

    kind = serializers.ChoiceField(["classification"])
    label = serializers.CharField()  # type: ignore[assignment]  # a field; the framework has an attribute of that name
    probabilities = serializers.DictField(child=serializers.FloatField(), allow_null=True)
    prediction_set = serializers.ListField(child=serializers.CharField(), allow_null=True)
    coverage = serializers.FloatField(allow_null=True)
    grade = serializers.ChoiceField(
        ["clear", "uncertain", "outside"],
        allow_null=True,
        help_text="clear: the set holds the answer alone, and on held-out rows such answers were not wrong more than "
        "twice as often as the coverage allows. uncertain: any other set. "
        "outside: the row lies outside the training data. null: nothing is known.",
    )
    grade_evidence = Evidence(
        allow_null=True,
        help_text="Right answers among the held-out rows with this answer and this grade; null for outside.",
    )


class Regression(serializers.Serializer[Any]):
    """Outside the training data (`grade` is `outside`) there is no `interval`. A number has no other grade."""

    kind = serializers.ChoiceField(["regression"])
    value = serializers.FloatField()
    unit = serializers.CharField(allow_null=True)
    interval = serializers.ListField(child=serializers.FloatField(), min_length=2, max_length=2, allow_null=True)
    coverage = serializers.FloatField(allow_null=True)
    grade = serializers.ChoiceField(["outside"], allow_null=True)
    grade_evidence = Evidence(
        allow_null=True, help_text="Held-out rows whose interval held the true value (right), and how many there were."
    )


@extend_schema_field(
    PolymorphicProxySerializer("TargetOutput", {"classification": Classification, "regression": Regression}, "kind")
)
class TargetOutput(serializers.JSONField):
    """The answer for one of several targets: the members of an answer with one target."""


class Multi(serializers.Serializer[Any]):
    """One answer for each of several targets, by its name."""

    kind = serializers.ChoiceField(["multi"])
    outputs = serializers.DictField(child=TargetOutput())


@extend_schema_field(
    PolymorphicProxySerializer(
        "Output", {"classification": Classification, "regression": Regression, "multi": Multi}, "kind"
    )
)
class Output(serializers.JSONField):
    """The answer, with a `kind` that says which members it has."""


@extend_schema_field(
    {
        "anyOf": [
            {"type": "string", "maxLength": 200},
            {"type": "number"},
            {
                "type": "object",
                "additionalProperties": {"anyOf": [{"type": "string", "maxLength": 200}, {"type": "number"}]},
                "minProperties": 1,
            },
            {"type": "null"},
        ]
    }
)
class Truth(serializers.JSONField):
    """The label of a class, or a number. For several targets: an object with the targets that are known."""


class Feedback(serializers.Serializer[Any]):
    """Your feedback on an answer."""

    was_right = serializers.BooleanField(allow_null=True)
    actual = Truth()
    comment = serializers.CharField(allow_blank=True)


class PredictionBody(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    model = serializers.CharField()
    version = serializers.IntegerField()
    status = serializers.ChoiceField(State.choices)
    features = serializers.DictField()
    output = Output(allow_null=True)
    advice = Advice(many=True)
    error = PredictionError(allow_null=True)
    feedback = Feedback(allow_null=True)
    source = serializers.ChoiceField(Source.choices)  # type: ignore[assignment]  # as `label` above
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    deadline_at = serializers.DateTimeField()
    timing = Timing()
    retry_after = serializers.IntegerField(allow_null=True)
    urls = Urls()


class PredictionPage(serializers.Serializer[Any]):
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = PredictionBody(many=True)


class PredictionList(serializers.Serializer[Any]):
    results = PredictionBody(many=True)


@extend_schema_field(
    {
        "anyOf": [
            {"type": "object", "additionalProperties": {}},
            {"type": "array", "items": {}, "minItems": 1, "maxItems": 10_000},
        ]
    }
)
class Row(serializers.JSONField):
    """Values by the name of the feature, or in the order of the signature."""


@extend_schema_field({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]})
class Version(serializers.JSONField):
    """The number of a version, or an alias: `champion`, `challenger`, `previous`, `latest`, or one of your own."""


class WebhookTarget(serializers.Serializer[Any]):
    """The address to which the server sends the result of each prediction, signed as Standard Webhooks specifies. The
    request needs a token."""

    url = serializers.RegexField(URL, max_length=MOST_URL)


class OneRow(serializers.Serializer[Any]):
    features = Row()
    version = Version(required=False, allow_null=True)
    webhook = WebhookTarget(required=False, allow_null=True)


class SeveralRows(serializers.Serializer[Any]):
    rows = serializers.ListField(child=Row(), min_length=1, max_length=1000)
    version = Version(required=False, allow_null=True)
    webhook = WebhookTarget(required=False, allow_null=True)


# The members of a body show which of the two it is.
PredictRequest = PolymorphicProxySerializer("PredictRequest", [OneRow, SeveralRows], None)
PredictReply = PolymorphicProxySerializer("PredictReply", [PredictionBody, PredictionList], None)


class IndexUrls(serializers.Serializer[Any]):
    models = serializers.URLField()
    predictions = serializers.URLField()
    schema = serializers.URLField()
    docs = serializers.URLField()


class Index(serializers.Serializer[Any]):
    name = serializers.CharField()
    urls = IndexUrls()


class ModelUrls(serializers.Serializer[Any]):
    self = serializers.URLField()
    predictions = serializers.URLField()
    page = serializers.URLField()


class ModelLine(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    task = serializers.ChoiceField(["classification", "regression", "outliers", "clusters"])
    version = serializers.IntegerField(allow_null=True)
    urls = ModelUrls()


class ModelList(serializers.Serializer[Any]):
    results = ModelLine(many=True)


class VersionLine(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    champion = serializers.BooleanField()
    available = serializers.BooleanField()
    metrics = serializers.DictField(child=serializers.FloatField())


class ChallengerBody(serializers.Serializer[Any]):
    """The version that is compared with the one that serves; `canary_percent` of the callers get its answers."""

    version = serializers.IntegerField()
    canary_percent = serializers.IntegerField()


class ModelBody(ModelLine):
    summary = serializers.CharField(allow_blank=True)
    signature = serializers.DictField(allow_null=True)
    versions = VersionLine(many=True)
    aliases = serializers.DictField(child=serializers.IntegerField())
    challenger = ChallengerBody(allow_null=True)
    metrics = serializers.DictField(child=serializers.FloatField())
    example = serializers.DictField(allow_null=True)


class ProblemEntry(serializers.Serializer[Any]):
    pointer = serializers.CharField(allow_blank=True)
    code = serializers.CharField()
    message = serializers.CharField()


class ProblemBody(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = ProblemEntry(many=True, required=False)  # type: ignore[assignment]  # as `label` above


class FeedbackBody(serializers.Serializer[Any]):
    """`actual` is the true class label, or the true number; or an object of these by target. One member is needed."""

    was_right = serializers.BooleanField(required=False, allow_null=True)
    actual = Truth(required=False)
    comment = serializers.CharField(required=False, allow_blank=True, max_length=2000)


class FeedbackAnswer(Feedback):
    prediction = serializers.UUIDField()
