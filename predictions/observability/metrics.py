"""The metrics of /metrics, read from the database, so that one scrape covers all processes.

No query reads the history: the queue is bounded, and `predictions.maintenance.rollups` counts finished predictions.
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
    "queue": ("foretell_queue_seconds", "Time from acceptance to the claim."),
    "predict": ("foretell_predict_seconds", "Duration of the predict call that answered the row."),
    "total": ("foretell_total_seconds", "Time from acceptance to the final state."),
    "claim": ("foretell_claim_rows", "Rows predicted in one call."),
}


class DatabaseCollector(Collector):
    def collect(self) -> Iterator[Metric]:
        yield from _queue_metrics()
        yield from _finished_metrics()
        yield from _process_metrics()


def exposition() -> bytes:
    """All metrics in the text format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(DatabaseCollector())
    return generate_latest(registry)


def _queue_metrics() -> Iterator[Metric]:
    queued = GaugeMetricFamily("foretell_queued", "Queued rows.", labels=["model", "lane"])
    oldest = GaugeMetricFamily(
        "foretell_queued_oldest_seconds", "Age of the oldest queued row.", labels=["model", "lane"]
    )
    running = GaugeMetricFamily("foretell_running", "Rows claimed by a worker.", labels=["model", "lane"])
    waiting, claimed = _grouped(Prediction.objects.queued()), _grouped(Prediction.objects.running())
    none = (0, 0.0)
    listed = {(name, lane) for name in _present_models() for lane in Lane.values}
    for model, lane in sorted(listed | waiting.keys() | claimed.keys()):
        count, age = waiting.get((model, lane), none)
        queued.add_metric([model, lane], count)
        oldest.add_metric([model, lane], age)
        running.add_metric([model, lane], claimed.get((model, lane), none)[0])
    yield from (queued, oldest, running)


def _present_models() -> list[str]:
    return list(RegisteredModel.objects.filter(is_present=True).values_list("name", flat=True))


def _grouped(rows: PredictionQuerySet) -> dict[tuple[str, str], tuple[int, float]]:
    """For each model and lane: the number of rows, and the age of the oldest row in seconds."""
    groups = rows.order_by().values("version__registered_model__name", "lane")
    counted = groups.annotate(count=Count("id"), oldest=Min("created_at"), now=Now()).values_list(
        "version__registered_model__name", "lane", "count", "oldest", "now"
    )
    return {
        (model, lane): (count, max((now - oldest).total_seconds(), 0.0)) for model, lane, count, oldest, now in counted
    }


def _finished_metrics() -> Iterator[Metric]:
    settled = CounterMetricFamily("foretell_settled", "Finished predictions.", labels=["model", "state"])
    histograms = {
        name: HistogramMetricFamily(metric, description, labels=["model", "state"] if name == "total" else ["model"])
        for name, (metric, description) in HISTOGRAMS.items()
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


def _process_metrics() -> Iterator[Metric]:
    yield GaugeMetricFamily("foretell_broker_up", "1 if Redis accepts a write.", value=redis_client.is_reachable())
    canaries = GaugeMetricFamily(
        "foretell_canary_age_seconds", "Time since the last canary was answered.", labels=["lane"]
    )
    delays = GaugeMetricFamily("foretell_canary_delay_seconds", "Current delay of answers.", labels=["lane"])
    if (age := canary.age()) is not None:
        canaries.add_metric([canary.LANE], age.total_seconds())
    delays.add_metric([canary.LANE], canary.delay().total_seconds())
    beats = GaugeMetricFamily(
        "foretell_heartbeat_age_seconds", "Time since the last heartbeat of a process.", labels=["process"]
    )
    for process, since in Heartbeat.objects.ages().items():
        beats.add_metric([process], since.total_seconds())
    yield from _loaders()
    fallback = GaugeMetricFamily(
        "foretell_fallback_active",
        "1 while the fallback worker executes the lane.",
        labels=["lane"],
    )
    active = Heartbeat.objects.fallback_lanes()
    for lane in Lane.values:
        fallback.add_metric([lane], lane in active)
    yield from (canaries, delays, beats, fallback)


def _loaders() -> Iterator[Metric]:
    """The loader's metrics of each worker process, from its last heartbeat."""
    memory = GaugeMetricFamily("foretell_loader_bytes", "Estimators in a worker's memory.", labels=["process"])
    loads = CounterMetricFamily("foretell_loader_loads", "Versions that a worker opened.", labels=["process"])
    evictions = CounterMetricFamily(
        "foretell_loader_evictions", "Versions that a worker dropped to make room.", labels=["process"]
    )
    for process, detail in Heartbeat.objects.filter(name__startswith=WORKER).values_list("name", "detail"):
        memory.add_metric([process], detail["loader_bytes"])
        loads.add_metric([process], detail.get("loader_loads", 0))
        evictions.add_metric([process], detail.get("loader_evictions", 0))
    yield from (memory, loads, evictions)
