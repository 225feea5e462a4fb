"""The queue of the prepared GPU run, rehearsed on the CPU: pieces add up to what an unstopped run finds."""

import itertools
import shutil
import tarfile
import threading
import time

import pytest
from click.testing import CliRunner
from gpu import parcels, pieces, queue, unpack
from gpu.pieces import Ends, Guard, Job, Orders, Stopped, run_piece
from records import untimed

from nasbench_stc import search
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.methods import ours
from nasbench_stc.records import record
from nasbench_stc.runs import launch

SMOKE = {"dataset": "digits", "protocol": "smoke", "device": "cpu"}
SHAPE = {"epochs": 3, "steps": 4}
SENT = parcels.Limits(files=6, bytes=2**20, total=2**22)


@pytest.fixture(autouse=True)
def empty_data_dir(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path_factory.mktemp("data")))


def jobs(*searches):
    """Of (method, seed)."""
    return tuple(Job(launch.plan(method, seed=seed, changes=SHAPE, **SMOKE)) for method, seed in searches)


def piece(todo, results, ticks, **more):
    """A piece whose clock goes on by one whenever it is looked at: once a search, and once a step."""
    orders = Orders(todo, results, ticks, benchmark="analog", **more)
    return run_piece(orders, clock=itertools.count().__next__)


def send(todo, results, out):
    """What came of a piece, in archives."""
    folders = [results / job.plan.folder_name for job in todo]
    assert parcels.bundle(parcels.in_order(folders), out, "runs", SENT) == []
    return sorted(out.iterdir())


def found(todo, results):
    """The records, without what a clock says."""
    return [untimed(record.read(results / job.plan.folder_name / record.FILE_NAME)) for job in todo]


def unstopped(*searches):
    """The same searches, as `search` does them."""
    return [untimed(search(method, seed=seed, benchmark="analog", **SMOKE, **SHAPE)) for method, seed in searches]


def test_a_queue_stopped_twice_finds_what_an_unstopped_one_finds(tmp_path, capsys):
    searches = [("stc", 0), ("enas", 0), ("stc", 1)]
    todo = jobs(*searches)
    sent = []

    def next_piece(number, ticks):
        """On a machine that has nothing but what the pieces before sent."""
        results = tmp_path / f"results{number}"
        parcels.unpack(sent, results)
        assert piece(todo, results, ticks) == (0, 0)
        sent.extend(send(todo, results, tmp_path / f"out{number}"))
        return sorted(
            path.relative_to(results).as_posix() for path in results.rglob("*.*") if path.name != "status.json"
        )

    first, second = (f"{job.plan.folder_name}/" for job in todo[:2])
    # Ticks 1 to 4 are the first epoch; at tick 5 it is known to take 4, and 5 + 4 is after the deadline.
    assert next_piece(1, 7) == [f"{first}checkpoint.pt"]
    assert capsys.readouterr().out == "stc epochs=3 steps=4 seed 0: stopped in epoch 2 of 3\n"
    # Ticks 1 to 8 are the rest of it, and from 10 on the first epoch of the second search, which is cut off.
    assert next_piece(2, 12) == [f"{first}record.json", f"{first}supernet.pt"]
    assert "enas epochs=3 steps=4 seed 0: stopped in epoch 1 of 3\n" in capsys.readouterr().out
    assert next_piece(3, 10_000)[:2] == sorted([f"{second}record.json", f"{second}supernet.pt"])
    assert found(todo, tmp_path / "results3") == unstopped(*searches)

    whole = tmp_path / "whole"
    said = parcels.unpack(sent, whole)
    assert found(todo, whole) == unstopped(*searches)
    assert not list(whole.rglob("checkpoint.pt"))
    assert any("checkpoint.pt: not needed, the run is done" in line for line in said)


def test_what_is_done_is_not_done_again(tmp_path):
    todo = jobs(("stc", 0))
    piece(todo, tmp_path, 100)
    path = tmp_path / todo[0].plan.folder_name / record.FILE_NAME
    before = path.read_bytes(), path.stat().st_mtime_ns
    piece(todo, tmp_path, 2)  # not enough for a step
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize("by", ["threads", "processes"])
def test_searches_side_by_side_find_what_they_find_alone(tmp_path, by):
    searches = [("stc", 0), ("gdas", 1)]
    todo = jobs(*searches)
    orders = Orders(todo, tmp_path, float("inf"), benchmark="analog", side_by_side=2, by=by)
    assert run_piece(orders) == (0, 0)
    assert found(todo, tmp_path) == unstopped(*searches)
    assert [record.read(path).side_by_side for path in tmp_path.glob("*/record.json")] == [2, 2]


def test_a_search_that_fails_does_not_keep_the_others(tmp_path, capsys):
    broken = Job(launch.plan("stc", seed=0, changes={**SHAPE, "batch_size": 1000}, **SMOKE))
    todo = jobs(("stc", 0))
    assert piece((broken, *todo), tmp_path, 10_000).failed == 1
    assert "batch_size=1000" in capsys.readouterr().err
    assert found(todo, tmp_path) == unstopped(("stc", 0))


def test_a_worker_that_does_not_end_is_left_behind(tmp_path, monkeypatch):
    """As a selection after the last epoch might not: it has no steps at which it could be stopped."""
    go_on = threading.Event()
    monkeypatch.setattr(pieces, "_carry_out", lambda *_: go_on.wait())
    orders = Orders(jobs(("stc", 0)), tmp_path, float("inf"), benchmark="analog")
    looks = []
    outcome = run_piece(orders, until=time.monotonic() + 0.5, look=lambda: looks.append(1))
    go_on.set()
    assert outcome == (0, 1)
    assert looks


def guard(deadline, *times):
    return Guard(deadline, iter(times).__next__)


def test_the_deadline_is_heeded_within_an_epoch():
    watched = guard(10, 0, 4, 9, 10)
    for step in range(3):
        watched(0, 2, step, 5)
    with pytest.raises(Stopped):
        watched(0, 2, 3, 5)


def test_an_epoch_that_would_not_end_in_time_is_not_begun():
    watched = guard(10, 0, 3, 6.5)
    watched(0, 5, 0, 1)
    watched(1, 5, 0, 1)  # an epoch takes 3
    with pytest.raises(Stopped):  # the second took 3.5, and 6.5 + 3.5 would do; with the next step it does not
        watched(2, 5, 0, 1)
        watched.clock = iter([9.9]).__next__
        watched(3, 5, 0, 1)


def test_who_comes_later_waits_while_others_would_be_late(monkeypatch):
    ends, now = Ends(), [0.0]

    def asleep(seconds):
        now[0] += seconds
        if now[0] > 50:
            ends.expect(0, 99.0)

    monkeypatch.setattr(pieces.time, "sleep", asleep)
    first, second = (Guard(100, lambda: now[0], number=number, ends=ends) for number in (0, 1))
    for epoch, at in enumerate((0, 30, 32)):  # the first epoch takes longer, and is no measure
        now[0] = at
        first(epoch, 10, 0, 1)
        second(epoch, 10, 0, 1)
    assert now[0] == 32
    now[0] = 42
    first(3, 20, 0, 1)  # 6 seconds an epoch: at 144
    second(3, 20, 0, 1)
    assert 50 < now[0] < 51
    first(4, 20, 0, 1)  # never waits
    assert 50 < now[0] < 51


def test_the_queue_names_methods_and_settings_that_exist():
    made, lacking = queue.make_jobs(queue.QUEUE, None, "paper", "cifar10", {}, "cpu")
    assert [job.plan.short_name for job in made[:4]] == ["stc seed 0", "stc seed 1", "stc seed 2", "gdas seed 0"]
    assert {job.plan.method.name for job in made}.isdisjoint(lacking)
    assert not set(lacking) & set(ours())
    assert made[-1].rank == ("500", "all")
    assert (made[-1].plan.engine.epochs, made[-1].plan.engine.batch_size) == (400, 256)
    assert len({job.plan.folder_name for job in made}) == len(made)
    only, _ = queue.make_jobs(queue.QUEUE, ["gdas"], "paper", "cifar10", {"epochs": "1"}, "cpu")
    assert [(job.plan.seed, job.plan.engine.epochs) for job in only] == [(0, 1), (1, 1), (2, 1)]
    with pytest.raises(BadCallError, match="unknown method of the queue 'rea'"):
        queue.make_jobs(queue.QUEUE, ["rea"], "paper", "cifar10", {}, "cpu")


QUEUE = [
    queue.Task("stc", [0]),
    queue.Task("not_there", [0]),
    queue.Task("stc", [1], {"uniform": 1, "epochs": 1}, rank=("5",)),
]


def test_the_command_sends_what_unpack_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "QUEUE", QUEUE)
    args = ["600", "--protocol", "smoke", "--dataset", "digits", "--device", "cpu", "--benchmark", "analog"]

    def run(results, out, *more):
        folders = ["--results", str(tmp_path / results), "--out", str(tmp_path / out)]
        return CliRunner().invoke(queue.main, [*args, *folders, *map(str, more)])

    done = run("there", "out", "--alone", 1, "--side-by-side", 2)
    assert done.exit_code == 0, done.output
    assert "not in this version: not_there" in done.output
    assert "5 cells rated" in done.output
    assert "2 of 2 searches of the queue are done" in done.output
    (archive,) = (tmp_path / "out").iterdir()
    assert archive.name == "runs-1.tar"

    taken = CliRunner().invoke(unpack.main, [str(archive), "--results", str(tmp_path / "here")])
    assert taken.exit_code == 0, taken.output
    names = sorted(path.name for path in (tmp_path / "here").glob("*/*"))
    assert len(names) == 5
    assert names.count("record.json") == names.count("supernet.pt") == 2
    (ranking,) = (tmp_path / "here").glob("*/ranking-*.json")
    beside = [record.read(path).side_by_side for path in (tmp_path / "here").glob("*/record.json")]
    assert sorted(beside) == [1, 2]  # the first search ran alone
    again = run("here", "again")
    assert again.exit_code == 0, again.output
    assert "2 of 2 searches" in again.output
    assert [path.name for path in (tmp_path / "here").glob("*/ranking-*.json")] == [ranking.name]
    for path in (tmp_path / "there").glob("*/record.json"):
        assert record.read(path) == record.read(tmp_path / "here" / path.parent.name / path.name)


def test_it_begins_once_the_file_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "QUEUE", [queue.Task("rsps", [0])])
    args = ["25", "--reserve", "20", "--protocol", "smoke", "--dataset", "digits", "--device", "cpu"]
    args += ["--results", str(tmp_path / "there"), "--out", str(tmp_path / "out"), "--once", str(tmp_path / "laid")]
    monkeypatch.setattr(queue.time, "sleep", lambda seconds: (tmp_path / "laid").touch())  # while it waits
    done = CliRunner().invoke(queue.main, [*args, "--benchmark", "analog"])
    assert done.exit_code == 0, done.output
    assert "1 of 1 searches" in done.output
    assert (tmp_path / "laid").exists()


def test_the_command_refuses_more_reserve_than_seconds(tmp_path):
    done = CliRunner().invoke(queue.main, ["10", "--out", str(tmp_path)])
    assert isinstance(done.exception, BadCallError)
    assert "--reserve 20: it has to be less than the 10 seconds" in str(done.exception)


def made_up(folder, name, size):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    return path


def test_archives_keep_to_their_limits(tmp_path):
    limits = parcels.Limits(files=2, bytes=100_000, total=170_000)
    sizes = {"a/record.json": 1_000, "b/checkpoint.pt": 70_000, "c/checkpoint.pt": 60_000, "d/supernet.pt": 50_000}
    paths = [made_up(tmp_path, name, size) for name, size in sizes.items()]
    small = made_up(tmp_path, "e/supernet.pt", 2_000)
    out = tmp_path / "out"
    (out / "runs-3.tar").parent.mkdir()
    (out / "runs-3.tar").write_bytes(b"of an earlier piece")
    assert parcels.bundle([*paths, tmp_path / "gone", small], out, "runs", limits) == [paths[3]]
    assert [path.name for path in sorted(out.iterdir())] == ["runs-1.tar", "runs-2.tar"]
    assert all(path.stat().st_size <= limits.bytes for path in out.iterdir())
    with tarfile.open(out / "runs-1.tar") as tar:
        assert tar.getnames() == ["a/record.json", "b/checkpoint.pt", "e/supernet.pt"]


def test_records_go_first_and_supernets_last(tmp_path):
    for name in (
        "a/supernet.pt",
        "a/record.json",
        "b/checkpoint.pt",
        "b/ranking-01234567.json",
        "c/other.txt",
        "a/checkpoint.pt",
    ):
        made_up(tmp_path, name, 1)
    folders = sorted(path for path in tmp_path.iterdir())
    assert [path.relative_to(tmp_path).as_posix() for path in parcels.in_order(folders)] == [
        "a/record.json",
        "b/ranking-01234567.json",
        "b/checkpoint.pt",
        "a/supernet.pt",
    ]


def archive_of(path, **members):
    """A tar of members: their content, or the name of another type."""
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                source = path.with_suffix(".member")
                source.write_bytes(content)
                info.size = len(content)
                with source.open("rb") as file:
                    tar.addfile(info, file)
            else:
                info.type, info.linkname = getattr(tarfile, content), "/etc/passwd"
                tar.addfile(info)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("../stc/record.json", b"{}"),
        ("/stc/record.json", b"{}"),
        ("stc/../record.json", b"{}"),
        ("stc/a/record.json", b"{}"),
        ("record.json", b"{}"),
        (".git/record.json", b"{}"),
        ("stc/run.py", b"print()"),
        ("stc/record.json", "SYMTYPE"),
        ("stc/checkpoint.pt", "LNKTYPE"),
        ("stc/checkpoint.pt", "FIFOTYPE"),
        ("stc", "DIRTYPE"),
    ],
)
def test_what_is_no_file_of_a_run_is_refused(tmp_path, name, content):
    archive = archive_of(tmp_path / "a.tar", **{"good/checkpoint.pt": b"x", name: content})
    with pytest.raises(DataError, match="is no file of a run; nothing was written"):
        parcels.unpack([archive], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_damaged_archives_and_records_are_refused(tmp_path):
    results = tmp_path / "results"
    with pytest.raises(DataError, match=r"stc/record.json: damaged, no JSON .* nothing was written"):
        parcels.unpack([archive_of(tmp_path / "a.tar", **{"stc/record.json": b"{"})], results)
    with pytest.raises(DataError, match=r"ranking-00000000\.json"):
        parcels.unpack([archive_of(tmp_path / "a.tar", **{"stc/ranking-00000000.json": b"[]"})], results)
    whole = archive_of(tmp_path / "a.tar", **{"stc/checkpoint.pt": b"x" * 5000}).read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[:3000])
    with pytest.raises(DataError, match="nothing was written"):
        parcels.unpack([tmp_path / "cut.tar"], results)
    (tmp_path / "no.tar").write_bytes(b"no archive at all")
    with pytest.raises(DataError, match="cannot be read, or is damaged"):
        parcels.unpack([tmp_path / "no.tar"], results)
    assert not results.exists()


def test_a_record_of_another_run_is_refused_and_one_that_is_there_stays(tmp_path):
    done = search("stc", benchmark="analog", out=tmp_path / "made", **SMOKE)
    (folder,) = (tmp_path / "made").iterdir()
    content = (folder / record.FILE_NAME).read_bytes()
    strange = archive_of(tmp_path / "a.tar", **{"gdas-digits-smoke-seed0-00000000/record.json": content})
    with pytest.raises(DataError, match="is the record of another run"):
        parcels.unpack([strange], tmp_path / "results")
    other = content.replace(b'"threads": 1', b'"threads": 2')
    archive = archive_of(tmp_path / "a.tar", **{f"{folder.name}/record.json": other})
    (said,) = parcels.unpack([archive], tmp_path / "made")
    assert said.endswith("there already, another one; it stays")
    assert record.read(folder / record.FILE_NAME) == done


def test_nothing_is_written_through_links(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results/stc").symlink_to(tmp_path / "elsewhere")
    archive = archive_of(tmp_path / "a.tar", **{"stc/checkpoint.pt": b"x"})
    with pytest.raises(DataError, match="is a link"):
        parcels.unpack([archive], tmp_path / "results")
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_newer_checkpoint_stays(tmp_path):
    path = made_up(tmp_path, "made/stc-1/checkpoint.pt", 10)
    parcels.bundle([path], tmp_path / "old", "runs", SENT)
    old = tmp_path / "old/runs-1.tar"
    path.write_bytes(b"newer")
    parcels.bundle([path], tmp_path / "new", "runs", SENT)
    new = tmp_path / "new/runs-1.tar"
    for order in ([old, new], [new, old]):
        shutil.rmtree(tmp_path / "results", ignore_errors=True)
        parcels.unpack(order, tmp_path / "results")
        assert (tmp_path / "results/stc-1/checkpoint.pt").read_bytes() == b"newer"
