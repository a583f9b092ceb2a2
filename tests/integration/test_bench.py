"""The bench as it is run, at a size of no use: it comes to its end, and what it writes can be read."""

import subprocess
import sys
from pathlib import Path

import msgspec

from schemas import spec_file
from tests.bench.figures import Report
from tests.bundles import random_bundle
from tests.kit import java, require
from tests.kit.processes import ROOT


def test_the_bench_measures_and_writes_its_report(tmp_path: Path) -> None:
    require.need(require.KAFKA, java.missing_kafka())
    require.need(require.REDIS, require.missing_redis())
    bundle, out = random_bundle(tmp_path / "bundle", spec_file.bank()).path, tmp_path / "report.json"
    sizes = [
        "--quick",
        "--records",
        "4000",
        "--only",
        "passthrough",
        "drain",
        "growth",
        "million",
        "--million",
        "2000",
        "--seconds",
        "2",
    ]
    command = [sys.executable, "-m", "tests.bench", *sizes, "--bundle", str(bundle), "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(out.read_bytes(), type=Report)
    expected = {
        "pass-through without decoding",
        "drain exactly_once, 20k customers Zipf 1.1",
        "2,000 customers on one worker, beside ticks: scores p99",
        "most types whose row fits",
    }
    assert expected <= {figure.name for figure in report.figures}
