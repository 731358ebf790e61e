"""What /metrics tells, read from the database: it is right for any number of processes, and none has to be asked.

Nothing here reads history: the queue is bounded, and what has ended is counted by `predictions.maintenance.rollups`.
"""

from collections.abc import Iterator
from itertools import accumulate

from django.db.models import Count, Min
from django.db.models.functions import Now
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from predictions.maintenance import canary, rollups
from predictions.models import Heartbeat, Lane, MetricHistogram, Prediction, RegisteredModel
from predictions.models.heartbeat import WORKER
from predictions.models.prediction import PredictionQuerySet
from predictions.queue import redis_client

HISTOGRAMS = {
    "queue": ("foretell_queue_seconds", "From acceptance to the claim."),
    "predict": ("foretell_predict_seconds", "The predict call that a row was in."),
    "total": ("foretell_total_seconds", "From acceptance to the end."),
    "claim": ("foretell_claim_rows", "Rows that were predicted in one call."),
}


class FromDatabase(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from _waiting()
        yield from _ended()
        yield from _signs_of_life()


def exposition() -> bytes:
    """Everything, in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FromDatabase())
    return generate_latest(registry)


def _waiting() -> Iterator[Metric]:
    queued = GaugeMetricFamily("foretell_queued", "Rows that wait.", labels=["model", "lane"])
    oldest = GaugeMetricFamily("foretell_queued_oldest_seconds", "Age of the oldest.", labels=["model", "lane"])
    running = GaugeMetricFamily("foretell_running", "Rows that a worker has claimed.", labels=["model", "lane"])
    waiting, claimed = _grouped(Prediction.objects.queued()), _grouped(Prediction.objects.running())
    nothing = (0, 0.0)
    listed = {(name, lane) for name in _listed() for lane in Lane.values}
    for model, lane in sorted(listed | waiting.keys() | claimed.keys()):
        count, age = waiting.get((model, lane), nothing)
        queued.add_metric([model, lane], count)
        oldest.add_metric([model, lane], age)
        running.add_metric([model, lane], claimed.get((model, lane), nothing)[0])
    yield from (queued, oldest, running)


def _listed() -> list[str]:
    return list(RegisteredModel.objects.filter(is_present=True).values_list("name", flat=True))


def _grouped(rows: PredictionQuerySet) -> dict[tuple[str, str], tuple[int, float]]:
    """The number of rows and the age of the oldest in seconds, by model and lane."""
    groups = rows.order_by().values("version__registered_model__name", "lane")
    counted = groups.annotate(count=Count("id"), oldest=Min("created_at"), now=Now()).values_list(
        "version__registered_model__name", "lane", "count", "oldest", "now"
    )
    return {
        (model, lane): (count, max((now - oldest).total_seconds(), 0.0)) for model, lane, count, oldest, now in counted
    }


def _ended() -> Iterator[Metric]:
    settled = CounterMetricFamily("foretell_settled", "Predictions that ended.", labels=["model", "state"])
    histograms = {
        name: HistogramMetricFamily(called, meaning, labels=["model", "state"] if name == "total" else ["model"])
        for name, (called, meaning) in HISTOGRAMS.items()
    }
    for histogram in MetricHistogram.objects.order_by("name", "model", "state"):
        labels = [histogram.model, histogram.state] if histogram.name == "total" else [histogram.model]
        histograms[histogram.name].add_metric(labels, _cumulative(histogram), histogram.sum)
        if histogram.name == "total":
            settled.add_metric(labels, histogram.count)
    yield from (settled, *histograms.values())


def _cumulative(histogram: MetricHistogram) -> list[tuple[str, float]]:
    bounds = [str(bound) for bound in (rollups.ROWS if histogram.name == "claim" else rollups.SECONDS)]
    counts = accumulate(histogram.buckets.get(bound, 0) for bound in bounds)
    return [*zip(bounds, counts, strict=True), ("+Inf", histogram.count)]


def _signs_of_life() -> Iterator[Metric]:
    yield GaugeMetricFamily("foretell_broker_up", "Whether Redis answers.", value=redis_client.is_reachable())
    canaries = GaugeMetricFamily("foretell_canary_age_seconds", "Since one came back.", labels=["lane"])
    delays = GaugeMetricFamily("foretell_canary_delay_seconds", "How late answers are.", labels=["lane"])
    for lane in Lane.values:
        if (age := canary.age(lane)) is not None:
            canaries.add_metric([lane], age.total_seconds())
        delays.add_metric([lane], canary.delay(lane).total_seconds())
    beats = GaugeMetricFamily("foretell_heartbeat_age_seconds", "Since a process beat.", labels=["process"])
    for process, since in Heartbeat.objects.ages().items():
        beats.add_metric([process], since.total_seconds())
    memory = GaugeMetricFamily("foretell_loader_bytes", "Estimators in a worker's memory.", labels=["process"])
    for process, detail in Heartbeat.objects.filter(name__startswith=WORKER).values_list("name", "detail"):
        memory.add_metric([process], detail["loader_bytes"])
    fallback = GaugeMetricFamily(
        "foretell_fallback_active",
        "1 while the fallback worker executes the lane.",
        labels=["lane"],
    )
    active = Heartbeat.objects.fallback_lanes()
    for lane in Lane.values:
        fallback.add_metric([lane], lane in active)
    yield from (canaries, delays, beats, memory, fallback)
