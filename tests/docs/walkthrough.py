"""Does the walk-through "your own data" of the README as it is written: from a CSV file to live scores.

    python -m tests.docs.walkthrough

types its commands into one shell, in a temporary folder that holds the two files, and looks at what they leave. It
ends with 1 where a command fails, where it takes longer than it may, or where not every transaction has its score.
"""

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from tests.kit import banksim
from tests.kit.compose import ROOT

WITHIN_S: Final = 300.0
"""How long the whole walk-through may take."""
SAMPLE: Final = ROOT / "tests" / "data" / "online_retail_sample.csv"
_FOLDERS: Final = ("payments", "shop")


def commands(text: str) -> list[str]:
    """Return the commands of the walk-through in a text: after each prompt, lines that go on put together."""
    marked = re.findall(r"<!-- own-data -->\n(.*?)<!-- /own-data -->\n", text, re.DOTALL)
    blocks = re.findall(r"^```console\n(.*?)^```", "".join(marked), re.DOTALL | re.MULTILINE)
    return re.findall(r"^\$ (.*)$", "".join(blocks).replace("\\\n", " "), re.MULTILINE)


def furnish(place: Path, customers: int = 900) -> Path:
    """Put the two files that the walk-through takes into a folder and return it."""
    banksim.write(place / "banksim.csv", customers)
    shutil.copy(SAMPLE, place)
    return place


def script(lines: list[str]) -> list[str]:
    """Return how to type lines into one shell, which shows each, stops at the first that fails, and finds foretell."""
    path = shlex.quote(str(Path(sys.executable).parent))
    # Not `set -e`, which overlooks the first of two commands that `&&` joins.
    return ["bash", "-c", "\n".join([f"PATH={path}:$PATH", "set -x", *(f"{line} || exit $?" for line in lines)])]


def problems(place: Path, said: str) -> list[str]:
    """Return what the walk-through should have left in a folder or said and has not."""
    left = [f"{name}-bundle/{file}" for name in _FOLDERS for file in ("model.onnx", "report.html")]
    missing = [f"no {name}" for name in left if not (place / name).is_file()]
    logs = [place / name / "transactions.parquet" for name in _FOLDERS]
    wanted = [f"{pq.read_metadata(log).num_rows:,}" for log in logs if log.is_file()]
    scored = re.findall(r"^ *scored +([\d,]+)", said, re.MULTILINE)
    return missing if scored == wanted else [*missing, f"expected {wanted} transactions scored live, found {scored}"]


def main() -> int:
    """Do it; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, default=ROOT / "README.md", help="where it is written (README.md)")
    lines = commands(parser.parse_args().text.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        place, started = furnish(Path(folder)), time.monotonic()
        code, said = _typed(lines, place)
        took = time.monotonic() - started
        wrong = [f"exit code {code}"] if code or not lines else problems(place, said)
    wrong += [f"{took:.0f} s, where {WITHIN_S:.0f} s are allowed"] if took > WITHIN_S else []
    _say(f"walk-through: {len(lines)} lines in {took:.0f} s; {'; '.join(wrong) or 'all as it should be'}\n")
    return 1 if wrong else 0


def _typed(lines: list[str], place: Path) -> tuple[int, str]:
    """Run lines in a shell of its own process group, pass on what they say, and stop them when time is long over."""
    said: list[str] = []
    with subprocess.Popen(
        script(lines), cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, process_group=0
    ) as shell:
        watch = signal.signal(signal.SIGALRM, lambda *_: os.killpg(shell.pid, signal.SIGTERM))
        signal.alarm(round(2 * WITHIN_S))
        for line in shell.stdout or ():
            said.append(line)
            _say(line)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, watch)
        return shell.wait(), "".join(said)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
