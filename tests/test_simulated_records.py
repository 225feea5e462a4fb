"""Records of many simulated runs: nothing is lost or mixed up, by kills, damage, more seeds, or two at a time."""

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from subprocess import DEVNULL, PIPE

import numpy as np
import pytest
from claims import claimed_elsewhere
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import GUARD, Held, wait_until

from nasbench_stc import open_benchmark, search
from nasbench_stc.engine.simulation import Incumbent, Run
from nasbench_stc.errors import BadCallError, DataError, RunError
from nasbench_stc.records import SimulatedRun, read_all, simulated
from nasbench_stc.runs import simulate as runner
from nasbench_stc.runs.simulate import plan, run_many
from nasbench_stc.space import NUM_CELLS, Cell

BUDGET = {"budget": 3000}
SESSION = {"versions": {}, "device": "a processor", "git_revision": "unknown", "finished": "2026-01-01T00:00:00+00:00"}


@pytest.fixture(scope="module")
def analog():
    return open_benchmark("analog")


@pytest.fixture
def todo(timed):
    return plan("rea", timed, changes=BUDGET)


def path_of(out):
    (path,) = out.glob(f"*/{simulated.FILE_NAME}")
    return path


def lasting(done):
    """The record without what a clock says."""
    return replace(done, sessions=[session["seeds"] for session in done.sessions])


runs = st.builds(
    lambda queries, incumbent, seconds: Run(
        *(list(part) for part in zip(*queries, strict=True)),
        incumbents=[Incumbent(len(queries), round(seconds, 3), incumbent)],
        seconds=round(seconds, 3),
    ),
    st.lists(
        st.tuples(
            st.integers(0, NUM_CELLS - 1),
            st.one_of(st.none(), st.integers(1, 200), st.sampled_from(["naswot", "params"])),
            st.sampled_from([None, 111, 777, 888]),
        ),
        min_size=1,
        max_size=30,
    ),
    st.integers(0, NUM_CELLS - 1),
    st.floats(0, 1e6),
)


@pytest.fixture(scope="module")
def packed(analog, tmp_path_factory):
    """A folder, and a record without runs."""
    return tmp_path_factory.mktemp("packed"), runner._nothing(plan("rs", analog))


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.integers(0, 2**63 - 1), runs, min_size=1, max_size=5),
    st.dictionaries(st.integers(0, 9), runs, max_size=4),
)
def test_what_was_packed_is_unpacked(packed, first, second):
    folder, whole = packed
    for some in filter(None, (first, second)):
        cells = {run.incumbents[-1].cell for run in some.values()}
        whole = simulated.with_runs(
            whole, some, {"cifar10-test": {str(cell): float(cell % 100) for cell in cells}}, SESSION
        )
    expected = {**first, **second}
    assert whole.runs() == expected
    assert list(whole.runs()) == sorted(expected)
    read = simulated.read(whole.write(folder))
    assert read == whole
    assert read.runs() == expected
    assert sorted(seed for session in read.sessions for seed in session["seeds"]) == sorted(expected)


def test_a_record_holds_the_runs(todo, timed, tmp_path):
    done = run_many(todo, timed, [3, 1], tmp_path)
    assert simulated.read(path_of(tmp_path)) == done
    assert list(done.runs()) == done.seeds == [1, 3]
    assert sorted(path.name for path in path_of(tmp_path).parent.iterdir()) == [simulated.FILE_NAME]
    assert done.settings["protocol"] == {"budget": 3000.0, "evaluations": 0, "epochs": 12, "accuracy": "seed"}
    assert done.settings["method"] == {"population": 10, "sample": 3}
    records = done.records([3, 1])
    assert [run.seed for run in records] == [3, 1]
    for run in records:
        assert isinstance(run, SimulatedRun)
        assert (run.method, run.search_dataset, run.protocol, run.changes) == ("rea", "cifar10", "nats-bench", BUDGET)
        queries = done.runs()[run.seed]
        assert run.evaluations == len(queries.cells)
        assert run.seconds == {"simulated": queries.seconds, "scores": 0.0}
        assert 2500 < run.total_seconds <= 3000
        assert run.cell == str(Cell.from_index(queries.incumbents[-1].cell)) == run.trajectory[-1]["cell"]
        assert [set(entry) for entry in run.trajectory] == [{"evaluation", "seconds", "cell"}] * len(run.trajectory)
        assert len(run.scores) == 6
        for column, score in run.scores.items():
            dataset, split = column.rsplit("-", 1)
            assert score == timed.accuracy([Cell.parse(run.cell)], dataset, split)[0]
        assert (run.clock, run.device) == ("seconds", "the clock of made up")
        assert run.told == todo.oracle.about
        assert run.benchmark["sha256"] == timed.sha256
        assert {"python", "numpy", "nasbench_stc"} <= run.versions.keys()
        values = timed.accuracy(queries.cells, "cifar10", "valid", 12)
        assert queries.cells[int(values.argmax())] == queries.incumbents[-1].cell
        assert set(queries.asked) == {12}
        assert set(queries.seeds) == {None}


def test_scores_are_timed_and_kept(timed, tmp_path):
    done = run_many(plan("area", timed, changes={**BUDGET, "score": "flops"}), timed, [0], tmp_path)
    (run,) = done.records()
    queries = done.runs()[0]
    assert queries.asked[:20] == ["flops"] * 20
    assert set(queries.asked[20:]) == {12}
    assert run.seconds["scores"] > 0
    assert set(run.settings) == {"protocol", "method", "scores"}
    chosen = queries.incumbents[-1]
    assert chosen.evaluation > 20
    assert simulated.read(path_of(tmp_path)) == done


def test_a_training_free_record(analog, tmp_path):
    done = run_many(plan("params", analog, "cifar10"), analog, [0, 1], tmp_path)
    for run in done.records():
        assert (run.evaluations, run.seconds["simulated"], run.protocol) == (100, 0.0, "untrained")
        assert run.device.startswith("CPU")  # what measured its seconds
        assert run.told == "scores of untrained networks"
    assert lasting(simulated.read(path_of(tmp_path))) == lasting(done)


def test_more_seeds_extend_the_file_and_leave_old_runs_alone(todo, timed, tmp_path, monkeypatch):
    first = run_many(todo, timed, range(4, 8), tmp_path)
    seen = []
    monkeypatch.setattr(runner, "simulate", lambda *args, own=runner.simulate: seen.append(args[4]) or own(*args))
    told = []
    both = run_many(todo, timed, range(10), tmp_path, on_run=lambda *call: told.append(call))
    assert told[0] == (0, 6, 0)
    assert told[-1] == (6, 6, 0)
    assert seen == [0, 1, 2, 3, 8, 9]
    assert {seed: both.runs()[seed] for seed in range(4, 8)} == first.runs()
    assert [session["seeds"] for session in both.sessions] == [[4, 5, 6, 7], [0, 1, 2, 3, 8, 9]]
    assert both.sessions[0] == first.sessions[0]
    told.clear()
    before = path_of(tmp_path).read_bytes()
    assert run_many(todo, timed, range(10), tmp_path, on_run=lambda *call: told.append(call)) == both
    assert told == [(0, 0, 0)]
    assert len(seen) == 6
    assert path_of(tmp_path).read_bytes() == before
    at_once = run_many(todo, timed, range(10), None)
    assert replace(at_once, sessions=[]) == replace(both, sessions=[])


def test_no_resume_runs_again(todo, timed, tmp_path):
    first = run_many(todo, timed, range(4), tmp_path)
    old = {**first.sessions[0], "finished": "2020-01-01T00:00:00+00:00"}
    replace(first, sessions=[old]).write(path_of(tmp_path).parent)
    again = run_many(todo, timed, [1, 2, 9], tmp_path, resume=False)
    assert [session["seeds"] for session in again.sessions] == [[0, 3], [1, 2, 9]]
    assert [run.finished == old["finished"] for run in again.records(range(4))] == [True, False, False, True]
    assert {seed: again.runs()[seed] for seed in range(4)} == first.runs()


def test_another_setting_benchmark_or_method_is_another_record(timed, analog, tmp_path):
    noisy = open_benchmark("analog:noisy")
    plans = [
        plan("rea", timed, changes=BUDGET),
        plan("rea", timed, changes={"evaluations": 20}),
        plan("rea", timed, changes={**BUDGET, "sample": 4}),
        plan("rea", timed, "cifar100", changes=BUDGET),
        plan("rs", timed, changes=BUDGET),
        plan("rea", analog),
        plan("rea", noisy),  # of the same file, with the same checksum
    ]
    assert len({one.folder_name for one in plans}) == len(plans)
    assert plan("rea", timed, changes={"budget": "3e3"}).folder_name == plans[0].folder_name
    found = [search("rea", benchmark=bench, out=tmp_path, seed=0) for bench in (analog, noisy)]
    assert [run.benchmark["name"] for run in found] == ["analog", "analog:noisy"]
    assert found[1].scores["cifar10-test"] == noisy.accuracy([Cell.parse(found[1].cell)])[0]


def test_one_run_from_python(timed, todo, tmp_path):
    expected = run_many(todo, timed, range(15, 20), None)
    run = search("rea", seed=17, benchmark=timed, budget=3000)
    assert replace(run, finished="") == replace(expected.records([17])[0], finished="")
    kept = search("rea", seed=17, benchmark=timed, budget=3000, out=tmp_path)
    assert simulated.read(path_of(tmp_path)).runs()[17] == expected.runs()[17]
    assert search("rea", seed=17, benchmark=timed, budget=3000, out=tmp_path) == kept
    other = search("rea", seed=18, benchmark=timed, budget=3000, out=tmp_path)
    assert other.cell == expected.records([18])[0].cell
    assert read_all([tmp_path]) == ([kept, other], [])
    for bad in (-1, 1.0, True, "17"):
        with pytest.raises(BadCallError, match="seed"):
            search("rea", seed=bad, benchmark=timed)


def test_without_a_folder_nothing_is_written(todo, timed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_many(todo, timed, [0], None)
    assert list(tmp_path.iterdir()) == []


def test_an_error_keeps_the_runs_before_it(todo, timed, tmp_path, monkeypatch):
    def failing(*args, own=runner.simulate):
        if args[4] == 3:
            raise RunError("that one fails")
        return own(*args)

    with monkeypatch.context() as patch, pytest.raises(RunError, match="that one fails"):
        patch.setattr(runner, "simulate", failing)
        run_many(todo, timed, range(6), tmp_path)
    assert simulated.read(path_of(tmp_path)).seeds == [0, 1, 2]
    assert run_many(todo, timed, range(6), tmp_path).seeds == list(range(6))


# Damage


def flipped(name):
    """Another letter in the middle of packed queries."""

    def change(content):
        text = content["queries"][name]
        middle = len(text) // 2
        letter = "B" if text[middle] == "A" else "A"
        content["queries"][name] = text[:middle] + letter + text[middle + 1 :]

    return change


def emptied(name):
    return lambda content: content["queries"].update({name: simulated.NO_QUERIES["cells"]})


DAMAGE = [
    (lambda content: content.update(schema=9), r"of schema 9, this version reads 1; remove it, and run the search"),
    (lambda content: content.pop("schema"), r"no record of simulated runs \(it has no schema\)"),
    (lambda content: content.pop("told"), r"missing: \['told'\]"),
    (lambda content: content.update(more=1), r"unknown: \['more'\]"),
    (lambda content: content["seeds"].append(99), "damaged"),
    (lambda content: content["seeds"].pop(), "damaged"),
    (lambda content: content["seconds"].pop(), "damaged"),
    (lambda content: content["scoring"].append(1.0), "damaged"),
    (lambda content: content["incumbents"].append(content["incumbents"][0]), "damaged"),
    (lambda content: content["incumbents"][0].clear(), "damaged"),
    (lambda content: content["incumbents"][0][-1].pop(), "damaged"),
    (lambda content: content["incumbents"][0][-1].__setitem__(2, 20_000), "damaged"),
    (lambda content: content["incumbents"][0][-1].__setitem__(2, float("inf")), "damaged"),
    (lambda content: content["scores"]["cifar10-test"].clear(), "damaged"),
    (lambda content: content["sessions"].clear(), "damaged"),
    (lambda content: content["sessions"][0].pop("versions"), "damaged"),
    (lambda content: content.update(benchmark={}), "damaged"),
    (lambda content: content.update(queries={}), "damaged"),
    (lambda content: content.update(seeds=None), "damaged"),
    (lambda content: content["queries"]["lengths"].append(0), "damaged"),
    (lambda content: content["queries"]["lengths"].__setitem__(0, 1), "damaged"),
    (lambda content: content["queries"]["kinds"].clear(), "damaged"),
    (lambda content: content["queries"].update(cells=content["queries"]["cells"][:-8]), "damaged"),
    (lambda content: content["queries"].update(cells="no base 64!"), "damaged"),
    (lambda content: content["queries"].update(cells=7), "damaged"),
    (flipped("cells"), "damaged"),
    (flipped("asked"), "damaged"),
    (flipped("seeds"), "damaged"),
    (emptied("cells"), "damaged"),
    (emptied("asked"), "damaged"),
    (emptied("seeds"), "damaged"),
]


@pytest.fixture(scope="module")
def good(analog, tmp_path_factory):
    """Two records of two methods, one below the other's folder name."""
    out = tmp_path_factory.mktemp("good")
    for name in ("rs", "ls"):
        run_many(plan(name, analog, changes={"evaluations": 15}), analog, [0, 1, 2], out)
    return {path.parent.name: path.read_text() for path in out.glob("*/runs.json")}


def spread(good, out, change):
    """The good records below `out`, of which that of random search is damaged; its path."""
    for name, text in good.items():
        (out / name).mkdir()
        path = out / name / simulated.FILE_NAME
        path.write_text(change(text) if name.startswith("rs") else text)
    return next(out.glob("rs-*/runs.json"))


@pytest.mark.parametrize(("change", "said"), DAMAGE)
def test_damaged_records_are_named_and_the_rest_is_read(good, tmp_path, change, said):
    def damage(text):
        content = json.loads(text)
        change(content)
        return json.dumps(content)

    path = spread(good, tmp_path, damage)
    with pytest.raises(DataError, match=said):
        simulated.read(path)
    records, problems = read_all([tmp_path])
    assert [(run.method, run.seed) for run in records] == [("ls", 0), ("ls", 1), ("ls", 2)]
    assert len(problems) == 1
    assert problems[0].startswith(f"{path}: ")
    assert "\n" not in problems[0]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated_records_are_named(good, tmp_path, share, analog):
    path = spread(good, tmp_path, lambda text: text[: int(share * len(text.rstrip("}\n")))])
    with pytest.raises(DataError, match=r"runs\.json: damaged, no JSON"):
        simulated.read(path)
    assert len(read_all([tmp_path])[0]) == 3
    with pytest.raises(DataError, match="remove it, and run the search again"):  # and nothing is written over it
        run_many(plan("rs", analog, changes={"evaluations": 15}), analog, [0, 9], tmp_path)
    path.unlink()
    run_many(plan("rs", analog, changes={"evaluations": 15}), analog, [0, 9], tmp_path)
    assert len(read_all([tmp_path])[0]) == 5


def test_bytes_that_are_no_text_are_named(good, tmp_path):
    path = spread(good, tmp_path, lambda text: text)
    path.write_bytes(b"\xff\xfe" + path.read_bytes())
    with pytest.raises(DataError, match="damaged"):
        simulated.read(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="cannot be read"):
        simulated.read(path)


def test_a_record_can_be_read_by_a_person(good):
    for text in good.values():
        lines = text.splitlines()
        assert lines[0] == "{"
        assert [line.split('"')[1] for line in lines[1:-1]] == list(json.loads(text))


# Kills, and two at a time


def seeds_in(out):
    """What any reader sees at any time: whole records alone."""
    records, problems = read_all([out])
    assert not problems
    return [run.seed for run in records]


@pytest.fixture
def held(tmp_path):
    return Held(tmp_path / "held", "simulated")


SEARCH = ["search", "--method", "rea", "--benchmark", "analog", "--set", "evaluations=40", "--seeds", "60", "--out"]


def test_a_kill_loses_no_written_run_and_the_same_command_continues(analog, tmp_path):
    expected = run_many(plan("rea", analog, changes={"evaluations": 40}), analog, range(60), None)
    out, held = tmp_path / "out", Held(tmp_path / "held", "simulated", OFTEN="yes")
    written = 0
    for runs in (3, 4):
        held.hold(rea=("run", runs))
        process = held.start(*SEARCH, out, stdout=DEVNULL)
        wait_until(lambda: len(seeds_in(out)) == written + runs, process)  # noqa: B023
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        written += runs
        found = simulated.read(path_of(out))
        assert found.seeds == list(range(written))
        assert found.runs() == {seed: expected.runs()[seed] for seed in found.seeds}
    (path_of(out).parent / ".runs.json.1.partial").write_text("{")  # of a kill while it was written
    run_many(plan("rea", analog, changes={"evaluations": 40}), analog, range(60), out)
    whole = simulated.read(path_of(out))
    assert replace(whole, sessions=[]) == replace(expected, sessions=[])
    assert len(whole.sessions) == 3
    assert sorted(path.name for path in path_of(out).parent.iterdir()) == [simulated.FILE_NAME]


@pytest.mark.parametrize(
    ("number", "status", "what"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_stopped_it_keeps_what_is_done(stc_bench, held, tmp_path, number, status, what):
    out = tmp_path / "out"
    held.hold(rea=("run", 3))
    process = held.start(*SEARCH, out, stdout=DEVNULL, stderr=PIPE)
    held.wait(process, "run", 3)
    assert not list(out.glob(f"*/{simulated.FILE_NAME}"))  # it is written every few seconds, or when it is stopped
    process.send_signal(number)
    _, err = process.communicate(timeout=GUARD)
    assert (process.returncode, err) == (status, f"\nError: {what}; the same command continues where it stood\n")
    assert seeds_in(out) == [0, 1, 2]
    assert "rea: 3 of 60 runs done before and kept" in stc_bench(*SEARCH, out)[1]
    assert seeds_in(out) == list(range(60))


def test_a_background_job_does_not_hear_ctrl_c_and_ends_by_sigterm(held, tmp_path):
    """As a script's shell starts it, with SIGINT ignored: after one it goes on; SIGTERM, even sent twice, ends it."""
    out = tmp_path / "out"
    held.hold(rea=("run", 2))
    process = held.start(*SEARCH, out, sigint=signal.SIG_IGN, stdout=DEVNULL, stderr=PIPE)
    held.wait(process, "run", 2)
    process.send_signal(signal.SIGINT)
    held.hold(rea=("run", 5))
    held.wait(process, "run", 5)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=GUARD)
    assert (process.returncode, err) == (143, "\nError: terminated; the same command continues where it stood\n")
    assert seeds_in(out) == [0, 1, 2, 3, 4]


def test_of_two_at_once_the_second_is_told(analog, held, tmp_path):
    out = tmp_path / "out"
    held.hold(rea=("run", 1))
    process = held.start(*SEARCH, out, stdout=DEVNULL)
    held.wait(process, "run", 1)
    with pytest.raises(RunError, match="another process is running this very search; wait for it, or use another"):
        run_many(plan("rea", analog, changes={"evaluations": 40}), analog, [99], out)
    run_many(plan("rea", analog, changes={"evaluations": 41}), analog, [99], out)  # which is another one
    process.kill()
    process.wait()
    assert 99 in run_many(plan("rea", analog, changes={"evaluations": 40}), analog, [99], out).seeds


def test_a_folder_that_came_to_nothing_is_gone(analog, tmp_path):
    todo = plan("rs", analog, changes={"evaluations": 5})
    with pytest.raises(BadCallError):
        run_many(todo, analog, [0, -1], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    taken = tmp_path / "out" / todo.folder_name
    taken.mkdir(parents=True)
    with claimed_elsewhere(taken), pytest.raises(RunError):
        run_many(todo, analog, [0], tmp_path / "out")
    assert seeds_in(tmp_path) == []


# The command


def test_the_command_runs_many_seeds_continues_and_needs_no_torch(tmp_path):
    script = (
        "import sys; from nasbench_stc import cli\n"
        "try: cli.main()\n"
        "finally: print('torch' in sys.modules, 'matplotlib' in sys.modules)"
    )
    command = [sys.executable, "-c", script, "search", "--method", "rea", "--benchmark", "analog", "--out", tmp_path]
    environment = os.environ | {"STC_BENCH_DATA": str(tmp_path)}

    def run(*more):
        done = subprocess.run([*command, *more], capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines()[-1] == "False False"
        return done.stdout

    shown = run("--seeds", "12", "--set", "evaluations=20")
    assert "12 runs of 20 trainings; told: test accuracy itself" in shown
    assert "n=12" in shown
    assert seeds_in(tmp_path) == list(range(12))
    values = [run.scores["cifar10-test"] for run in read_all([tmp_path])[0]]
    assert f"{np.mean(values):.2f}" in shown
    assert f"{np.std(values):.2f}" in shown
    shown = run("--seeds", "3,12", "--set", "evaluations=20")
    assert "rea: 1 of 2 runs done before and kept" in shown
    assert re.search(r"\nrea evaluations=20 seed 12 = \d+ = \|", shown)
    assert seeds_in(tmp_path) == list(range(13))
    assert asdict(read_all([tmp_path])[0][3])["evaluations"] == 20
