"""The kernel's bytes depend on nothing but each customer's own past: not on cuts, company, compiler, CPU or cache."""

import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stream_app.kernel import kernel
from stream_app.kernel.layout import RULE_NUMBER
from tests.properties.kernel_cases import CUSTOMERS, digest, logs, rolling, run, seeded_log
from tests.properties.reference import DAY_MS, Item

ROOT: Final = Path(__file__).resolve().parents[2]
SPECS: Final = ("small", "bank", "recurring")
SIZE: Final = 2000
GOLDEN: Final = {
    1: {
        "small": "cd48e3860aac08c3a3aac414af316b9afab2dd7049d0e9de03f27a5ad4e92bd7",
        "bank": "00cc641e646619a63eeec0c2745805f82ba54673f9dc7504f62b7db553f35f59",
        "recurring": "9d37992994a75b56cce13a22fe1d70cf3abd3cbb2c12103e4c1aa719bd5b0cad",
    },
}
"""The digests of a seeded log for each RULE_NUMBER: whoever changes a formula raises the number and adds a line."""

calm = settings(
    max_examples=settings().max_examples // 3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def interleaved(items: Sequence[Item], order: Sequence[int]) -> tuple[list[Item], list[int]]:
    """Return items with customers in another order but each customer's own order kept, and where each stood before."""
    waiting = {c: [i for i, item in enumerate(items) if item.customer == c][::-1] for c in range(CUSTOMERS)}
    places = [waiting[items[i].customer].pop() for i in order]
    return [items[place] for place in places], places


@calm
@given(st.data(), st.sampled_from(SPECS))
def test_no_cut_into_chunks_changes_a_byte(data: st.DataObject, name: str) -> None:
    features = rolling(name, -480)
    items = data.draw(logs(features, 40))
    cuts = data.draw(st.lists(st.integers(1, len(items)), max_size=6))
    whole = run(features, items).digest()
    assert run(features, items, cuts).digest() == whole
    assert run(features, items, range(len(items))).digest() == whole


@calm
@given(st.data(), st.sampled_from(SPECS))
def test_no_interleaving_of_customers_changes_a_byte(data: st.DataObject, name: str) -> None:
    features = rolling(name, 330)
    items = data.draw(logs(features, 40))
    other, places = interleaved(items, data.draw(st.permutations(range(len(items)))))
    expected, found = run(features, items), run(features, other)
    assert found.state.tobytes() == expected.state.tobytes()
    assert found.features.tobytes() == expected.features[places].tobytes()
    assert found.verdict.tobytes() == expected.verdict[places].tobytes()


@calm
@given(st.data())
def test_no_future_changes_a_byte_of_the_past(data: st.DataObject) -> None:
    features = rolling("small", 330)
    items = data.draw(logs(features, 30))
    now = data.draw(st.integers(1, len(items)))
    future = data.draw(st.permutations(items[now:]))
    changed = [
        replace(item, time=item.time + data.draw(st.integers(0, DAY_MS)), amount=-2 * item.amount - 1, kind=0)
        for item in future
    ]
    expected = run(features, items[:now])
    for other in (items, [*items[:now], *future], [*items[:now], *changed]):
        found = run(features, other)
        assert found.features[:now].tobytes() == expected.features.tobytes()
        assert found.verdict[:now].tobytes() == expected.verdict.tobytes()


def test_long_logs_are_the_same_in_any_chunks_and_company() -> None:
    features = rolling("bank", 330)
    items = seeded_log(features, SIZE)
    rng = random.Random(1)  # noqa: S311  (a test's)
    whole = run(features, items)
    for size in (1, 2, 7, 64, 501):
        assert run(features, items, range(size, SIZE, size)).digest() == whole.digest()
    other, places = interleaved(items, rng.sample(range(SIZE), SIZE))
    found = run(features, other, sorted(rng.sample(range(1, SIZE), 50)))
    assert found.state.tobytes() == whole.state.tobytes()
    assert found.features.tobytes() == whole.features[places].tobytes()


@pytest.mark.parametrize("name", SPECS)
def test_a_changed_formula_is_a_new_rule_number(name: str) -> None:
    assert GOLDEN[RULE_NUMBER][name] == digest(name, SIZE)


@dataclass(frozen=True)
class Elsewhere:
    """What other processes found: digest by spec."""

    plain: Mapping[str, str]
    """Without JIT (and so without a cache)."""
    generic: Mapping[str, str]
    """For a generic CPU, both with one cache, one after the other."""
    compiled: Sequence[int]
    """How many files the cache held after each."""


def start(names: Sequence[str], **environment: str) -> subprocess.Popen[str]:
    """Start a process that prints the digests of these specs' seeded logs."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("NUMBA_")}
    command = [sys.executable, "-m", "tests.properties.kernel_cases", str(SIZE), *names]
    return subprocess.Popen(command, cwd=ROOT, env=clean | environment, stdout=subprocess.PIPE, text=True)


def answer(process: subprocess.Popen[str]) -> list[str]:
    """Wait for a process and return the lines it printed."""
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0
    return out.split()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Elsewhere:
    """Return what processes with other compiler settings find; those with one cache run one after the other."""
    cache = tmp_path_factory.mktemp("numba")
    generic, compiled = {}, []
    with start(SPECS, NUMBA_DISABLE_JIT="1") as plain:
        for name in SPECS:
            with start([name], NUMBA_CPU_NAME="generic", NUMBA_CACHE_DIR=str(cache)) as process:
                (generic[name],) = answer(process)
            compiled.append(len(list(cache.rglob("*.nbc"))))
        return Elsewhere(dict(zip(SPECS, answer(plain), strict=True)), generic, compiled)


@pytest.mark.parametrize("name", SPECS)
def test_without_jit_the_bytes_are_the_same(elsewhere: Elsewhere, name: str) -> None:
    assert elsewhere.plain[name] == digest(name, SIZE)


@pytest.mark.parametrize("name", SPECS)
def test_for_a_generic_cpu_the_bytes_are_the_same(elsewhere: Elsewhere, name: str) -> None:
    assert elsewhere.generic[name] == digest(name, SIZE)


def test_a_second_spec_in_a_second_process_uses_the_first_ones_cache_and_not_its_constants(
    elsewhere: Elsewhere,
) -> None:
    first, *others = elsewhere.compiled
    assert first > 0
    assert others == [first] * len(others), "a later process compiled anew, so that this shows nothing"
    assert elsewhere.generic == elsewhere.plain
    assert elsewhere.generic["small"] != elsewhere.generic["bank"]


def test_compiled_functions_read_no_global_but_constants_and_each_other() -> None:
    functions = [item for item in vars(kernel).values() if hasattr(item, "py_func") or hasattr(item, "__code__")]
    names = {name for item in functions for name in getattr(item, "py_func", item).__code__.co_names}
    read = {name: vars(kernel)[name] for name in names if name in vars(kernel)}
    table = read.pop("POW2")
    assert table.tobytes() == (0.5 ** np.arange(64)).tobytes()
    others = [name for name, value in read.items() if not isinstance(value, (int, float)) and value not in functions]
    assert sorted(others) == ["math", "np", "prefetch"], "prefetch alone comes from elsewhere: it changes no byte"
