"""`foretell compare`: two bundles side by side, and an honest word where that says little."""

from pathlib import Path

import msgspec
import pytest

from schemas.errors import BundleError
from stream_app import bundle as bundles
from stream_app.bundle import MODEL, Bundle
from stream_app.cli import main
from stream_app.offline.comparing import Comparison, compare
from tests.bundles import random_bundle
from tests.logs import spec_of
from tests.unit.conftest import Tiny


def changed(bundle: Bundle, path: Path, **changes: object) -> Bundle:
    manifest = msgspec.structs.replace(bundle.manifest, **changes)
    return bundles.write(path, manifest, {MODEL: bundle.model})


def worse(tiny: Tiny, path: Path) -> Bundle:
    """Return the bundle with a worse ROC AUC and a smaller, which is better, log loss of a task."""
    metrics = msgspec.json.decode(msgspec.json.encode(tiny.bundle.manifest.metrics))
    network = metrics["churn"]["tick"]["network"]
    network["roc_auc"], network["log_loss"] = network["roc_auc"] - 0.1, network["log_loss"] - 0.01
    return changed(tiny.bundle, path, metrics=metrics)


def test_measures_stand_side_by_side_and_say_who_is_better(tiny_bundle: Tiny, tmp_path: Path) -> None:
    found = compare(tiny_bundle.bundle, worse(tiny_bundle, tmp_path / "worse"))
    churn = {item.measure: item for item in found.measures if (item.task, item.rows) == ("churn", "tick")}

    assert found.same_data
    assert (churn["roc_auc"].better, churn["log_loss"].better, churn["pr_auc"].better) == ("a", "b", "")
    assert churn["roc_auc"].a == pytest.approx(churn["roc_auc"].b + 0.1)
    assert churn["roc_auc"].interval_a is not None
    assert churn["roc_auc"].interval_a[0] <= churn["roc_auc"].a <= churn["roc_auc"].interval_a[1]
    assert churn["pr_auc"].interval_a is None, "the interval is the headline's"
    facts = {fact.name: (fact.a, fact.b) for fact in found.facts}
    assert facts["customers"] == (150, 150)
    assert len(set(facts["bundle"])) == 2


def test_other_data_are_told(tiny_bundle: Tiny, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = changed(tiny_bundle.bundle, tmp_path / "other", data=tiny_bundle.bundle.manifest.data | {"seed": 9})
    assert not compare(tiny_bundle.bundle, other).same_data

    assert main(["compare", str(tiny_bundle.bundle.path), str(other.path)]) == 0
    told = capsys.readouterr().out
    assert "Trained or tested on other data" in told
    assert main(["compare", str(tiny_bundle.bundle.path), str(tiny_bundle.bundle.path)]) == 0
    assert "Trained or tested on other data" not in capsys.readouterr().out
    assert main(["compare", str(tiny_bundle.bundle.path), str(other.path), "--json"]) == 0
    assert msgspec.json.decode(capsys.readouterr().out, type=Comparison).measures


def test_bundles_of_other_tasks_cannot_be_compared(tiny_bundle: Tiny, tmp_path: Path) -> None:
    spec = spec_of('[[tasks]]\nname = "else"\nkind = "binary"\nlabel = "inactive"\nhorizon_days = 10\n')
    with pytest.raises(BundleError, match="Expected two bundles with a task in common, found churn"):
        compare(tiny_bundle.bundle, random_bundle(tmp_path / "other", spec))


def test_a_bundle_of_before_there_were_intervals_is_compared_too(tiny_bundle: Tiny, tmp_path: Path) -> None:
    metrics = msgspec.json.decode(msgspec.json.encode(tiny_bundle.bundle.manifest.metrics))
    for kinds in metrics.values():
        for entry in kinds.values():
            del entry["intervals"]
    found = compare(tiny_bundle.bundle, changed(tiny_bundle.bundle, tmp_path / "old", metrics=metrics))
    assert all(item.interval_b is None for item in found.measures)
