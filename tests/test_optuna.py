"""Optuna's samplers as methods: which there are, that they follow from the seed, and how records name them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nasbench_stc import search
from nasbench_stc.benchmark import Benchmark
from nasbench_stc.errors import BadCallError
from nasbench_stc.methods import find
from nasbench_stc.methods.blackbox import Query
from nasbench_stc.methods.optuna_sampler import REFUSED, SAMPLERS, _class, is_installed
from nasbench_stc.records import read_all
from nasbench_stc.runs import simulate
from nasbench_stc.space import NUM_CELLS

StcBench = Callable[..., tuple[int, str, str]]
needs_optuna = pytest.mark.skipif(not is_installed(), reason="needs optuna: pip install 'nasbench_stc[optuna]'")


def asked(cls: type, number: int, seed: int = 0) -> list[int]:
    """The cells of the first queries; the answers have nothing to do with the cells' operations."""
    method, found = cls(None, np.random.default_rng(seed), (12,)), []
    for _ in range(number):
        cell = method.ask()
        found.append(cell.index)
        method.tell(Query(cell), float(cell.index * 7919 % NUM_CELLS))
    return found


def some(sampler: str) -> int:
    """So many queries that more than the random ones with which it begins are among them."""
    return {"GPSampler": 13, "NSGAIISampler": 60, "NSGAIIISampler": 60}.get(sampler, 25)


@needs_optuna
def test_the_samplers_that_are_listed_are_those_that_work() -> None:
    """A sampler works if it can be made and suggests cells of its own: CMA-ES draws categorical ones at random."""
    import optuna

    works = []
    for name in optuna.samplers.__all__:
        cls = getattr(optuna.samplers, name)
        if not isinstance(cls, type) or cls.__abstractmethods__:
            continue
        try:
            found = asked(_class(name), some(name))
        except TypeError:
            continue
        if name == "RandomSampler" or found != asked(_class("RandomSampler"), some(name)):
            works.append(name)
    assert sorted(works) == sorted(SAMPLERS)
    assert set(REFUSED) < set(optuna.samplers.__all__)


@needs_optuna
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_what_they_ask_are_cells_that_follow_from_the_seed(sampler: str, capfd: pytest.CaptureFixture[str]) -> None:
    cls = find(f"optuna:{sampler}").cls
    first = asked(cls, some(sampler), seed=4)
    assert first == asked(cls, some(sampler), seed=4)
    assert first[1:] != asked(cls, some(sampler), seed=5)[1:]
    assert len(set(first)) > 10
    assert all(0 <= cell < NUM_CELLS for cell in first)
    assert capfd.readouterr() == ("", "")


@needs_optuna
def test_optunas_own_logging_is_as_it_was() -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    try:
        optuna.logging.set_verbosity(optuna.logging.DEBUG)
        asked(_class("RandomSampler"), 2)
        assert optuna.logging.get_verbosity() == optuna.logging.DEBUG
    finally:
        optuna.logging.set_verbosity(before)


@needs_optuna
def test_tpe_finds_better_cells_than_the_random_ones_it_begins_with(nb201: Benchmark) -> None:
    done = simulate.run_many(simulate.plan("optuna:TPESampler", nb201), nb201, range(5), None)
    accuracy = nb201.accuracy(range(NUM_CELLS), dataset="cifar10", split="valid", epochs=12)
    for seed, run in done.runs().items():
        assert run.cells[:10] == done_at_random(nb201, seed)
        values = accuracy[run.cells]
        assert max(values[10:]) > max(values[:10])
        assert np.mean(values[-50:]) > np.mean(values[:10]) + 5


def done_at_random(benchmark: Benchmark, seed: int) -> list[int]:
    """The first ten cells of Optuna's random sampler."""
    todo = simulate.plan("optuna:RandomSampler", benchmark, changes={"evaluations": 10})
    return simulate.run_many(todo, benchmark, [seed], None).runs()[seed].cells


@needs_optuna
def test_records_name_it_so_that_it_is_found_again(tmp_path: Path) -> None:
    import optuna

    record = search("optuna:TPESampler", benchmark="analog", seed=3, evaluations=15, out=tmp_path)
    assert record.method == "optuna-TPESampler"
    assert record.versions[record.method] == f"optuna {optuna.__version__}"
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("optuna-TPESampler-cifar10-nats-bench-") and ":" not in folder.name
    again = search(record.method, benchmark="analog", seed=3, evaluations=15)
    assert (again.trajectory, again.cell) == (record.trajectory, record.cell)
    found = find(record.method)
    assert found == find("optuna:TPESampler") == pickle.loads(pickle.dumps(found))
    # Another process has not made the class yet.
    code = "import pickle, sys; found = pickle.load(sys.stdin.buffer); print(found.name, found.cls.sampler)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=pickle.dumps(found), capture_output=True, check=True)
    assert done.stdout.decode().split() == ["optuna-TPESampler", "TPESampler"]


@needs_optuna
def test_the_command_line_runs_and_lists_them(stc_bench: StcBench, tmp_path: Path) -> None:
    command = ("search", "--method", "optuna:TPESampler,rs", "--benchmark", "analog", "--protocol", "smoke")
    status, out, err = stc_bench(*command, "--seeds", "2", "--out", tmp_path)
    assert (status, err) == (0, "") and "2 runs of 12 trainings" in out
    status, out, _ = stc_bench(*command, "--seeds", "3", "--out", tmp_path)
    assert status == 0 and "optuna-TPESampler: 2 of 3 runs done before" in out
    records, problems = read_all([tmp_path])
    assert not problems
    assert [record.seed for record in records if record.method == "optuna-TPESampler"] == [0, 1, 2]
    listed = stc_bench("methods")[1]
    assert all(f"optuna:{name}" in listed for name in SAMPLERS)
    assert not any(f"optuna:{name}" in listed for name in REFUSED)
    status, out, _ = stc_bench("methods", "optuna:TPESampler")
    assert status == 0 and "\nmethod optuna-TPESampler (black-box, optuna " in out


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("optuna:CmaEsSampler", "takes no categorical parameters"),
        ("optuna:PartialFixedSampler", "another sampler"),
        ("optuna:Nothing", "unknown sampler of Optuna 'Nothing': choose from TPESampler, GPSampler"),
        ("optuna:samplers", "unknown sampler of Optuna 'samplers'"),
        ("optuna", "unknown method 'optuna': .*optuna:TPESampler"),
    ],
)
def test_what_is_no_sampler_or_cannot_be_used(name: str, says: str) -> None:
    with pytest.raises(BadCallError, match=says):
        find(name)


def test_without_optuna_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, stc_bench: StcBench) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)  # as if it were not installed
    status, _, err = stc_bench("search", "--method", "optuna:TPESampler")
    assert status == 2
    assert err.strip() == (
        "Error: method optuna:TPESampler: Optuna is not installed; pip install 'nasbench_stc[optuna]'"
    )
    status, out, _ = stc_bench("methods")
    assert status == 0
    assert [line for line in out.splitlines() if "optuna" in line] == [
        "Optuna's samplers, optuna:TPESampler and others: pip install 'nasbench_stc[optuna]'"
    ]
