"""What Prometheus is told."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stream_app.bundle import Bundle
from stream_app.metrics import Metrics
from stream_app.offline.replay import emissions
from stream_app.shelf import Shelf
from tests.chunks import transaction
from tests.properties.test_replay import captured, dense, made, row

LOG = [*dense(60), row(transaction(type="unheard", customer_id="u")), (0, b"k", b"{", None)]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Make a bundle."""
    return made(Path(tmp_path_factory.mktemp("metrics")), score_on_customer=False)


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(metrics.page().decode())
    return {(item.name, *item.labels.values()): item.value for family in families for item in family.samples}


def test_what_is_emitted_is_counted(bundle: Bundle) -> None:
    metrics, scores, alerts, letters, unknown = Metrics(), 0, 0, 0, 0
    for chunk, emission, _ in emissions(captured(LOG), Shelf(bundle), 7):
        metrics.count(chunk, emission)
        scores += sum(len(part.record) for part in emission.scores)
        alerts, letters = alerts + len(emission.alerts), letters + len(emission.dead_letters)
        unknown += emission.unknown_types
    found = samples(metrics)
    assert found["foretell_events_total",] == len(LOG)
    assert found["foretell_scores_total",] == scores > 0
    assert sum(value for name, value in found.items() if name[0] == "foretell_alerts_total") == alerts > 0
    assert sum(value for name, value in found.items() if name[0] == "foretell_dead_letters_total") == letters > 0
    assert found["foretell_dead_letters_total", "malformed"] == 1
    assert found["foretell_unknown_total", "type"] == unknown > 0
    assert found["foretell_unknown_total", "value"] > 0


def test_labels_are_rules_reasons_and_causes_and_never_a_customers_data(bundle: Bundle) -> None:
    metrics = Metrics()
    for chunk, emission, _ in emissions(captured(LOG), Shelf(bundle)):
        metrics.count(chunk, emission)
    known = {rule.name for rule in bundle.spec.rules} | {"duplicate", "malformed", "type", "value"}
    labels = {
        value
        for family in text_string_to_metric_families(metrics.page().decode())
        for item in family.samples
        for label, value in item.labels.items()
        if label != "le"
    }
    assert labels <= known


def test_each_worker_has_metrics_of_its_own() -> None:
    first, second = Metrics(), Metrics()
    first.resets.labels("KafkaError").inc()
    first.lag.labels(3).set(7)
    assert samples(first)["foretell_resets_total", "KafkaError"] == 1
    assert samples(first)["foretell_lag", "3"] == 7
    assert ("foretell_resets_total", "KafkaError") not in samples(second)


def test_times_and_sizes_are_histograms() -> None:
    metrics = Metrics()
    metrics.commit_s.observe(0.003)
    metrics.chunks.observe(64)
    found = samples(metrics)
    assert (found["foretell_commit_seconds_count",], found["foretell_commit_seconds_sum",]) == (1, 0.003)
    assert (found["foretell_chunk_records_bucket", "64.0"], found["foretell_chunk_records_bucket", "16.0"]) == (1, 0)
