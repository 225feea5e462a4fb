"""Official files as tables of ours: as the official API has them, number by number, however often killed on the way."""

import bz2
import itertools
import json
import mmap
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import nats_folder as made_up
import numpy as np
import pytest
import torch
from official_api import answer, as_numpy_1, as_pickle, as_pth

from nasbench_stc import open_benchmark
from nasbench_stc.benchmark import columnar, importing, official
from nasbench_stc.benchmark.base import QUANTITIES
from nasbench_stc.benchmark.status import status
from nasbench_stc.errors import BadCallError, DataError

CELLS = 60
FOLDER = official.FOLDER_NAME
pytestmark = pytest.mark.filterwarnings("ignore::nasbench_stc.errors.OfficialPickleWarning")
TABLE = "NATS-tss-v1_0-3ffb9.table"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Some cells in the form of NATS-Bench's folder, with two, one or three seeds."""
    path = tmp_path_factory.mktemp("official") / FOLDER
    made_up.write(path, range(CELLS))
    return path


@pytest.fixture(scope="session")
def api(folder):
    import nats_bench

    return nats_bench.create(str(folder), "tss", fast_mode=True, verbose=False)


@pytest.fixture(scope="session")
def imported(folder, tmp_path_factory):
    return importing.import_official(folder, tmp_path_factory.mktemp("tables"))


@pytest.fixture(scope="session")
def table(imported):
    return open_benchmark(imported.path)


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """Three cells: what single files are made of."""
    path = tmp_path_factory.mktemp("few") / FOLDER
    made_up.write(path, (0, 1, 2))
    return path


def same_numbers(one: Path, other: Path) -> None:
    """That two tables have the same columns, with the same content."""
    assert columnar.describe(one).columns == columnar.describe(other).columns


def kill_after(cells: int, flush: int, path: Path, data_dir: Path) -> None:
    """Import, writing some cells at a time, in a process that is killed when it has seen so many cells."""
    script = """
importing._FLUSH = int(sys.argv[2])
def on_cell(done, total):
    if done == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
importing.import_official(Path(sys.argv[3]), Path(sys.argv[4]), on_cell)
"""
    kill(script, cells, flush, path, data_dir)


def kill(script: str, *arguments: object) -> None:
    """Run Python code that ends by killing itself."""
    head = "import os, signal, sys; from pathlib import Path; from nasbench_stc.benchmark import importing\n"
    done = subprocess.run([sys.executable, "-c", head + script, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr


def test_every_number_is_the_official_one(table, api):
    asked = refused = 0
    for index, key, quantity in itertools.product((0, 1, 2, CELLS - 1), table.holds(), QUANTITIES):
        api.get_more_info(index, "cifar10", hp="12", is_random=False)  # reads the cell
        seeds = api.arch2infos_dict[index][str(key.epochs)].get_dataset_seeds(official.CALLS[key[:2]].training)
        was_run = key.seed is None or key.seed in seeds
        for at_epoch in (None, 1, key.epochs // 2, key.epochs):
            expected = answer(api, index, key, quantity, at_epoch) if was_run else None
            if quantity.endswith("seconds") and at_epoch not in (None, key.epochs):
                expected = None  # the table has these of whole trainings alone
            if quantity in official.COSTS and at_epoch == key.epochs and key.seed is None:
                expected = answer(api, index, key, quantity, None)
            if expected is None:
                refused += 1
                with pytest.raises((BadCallError, DataError)):
                    table.quantity(quantity, [index], *key, at_epoch)
                continue
            asked += 1
            [found] = table.quantity(quantity, [index], *key, at_epoch)
            if at_epoch in (None, key.epochs):
                assert found == expected
            else:
                assert found == pytest.approx(expected, rel=1e-6)
    assert asked > 3000
    assert refused > 2000


def test_many_cells_are_one_cell_many_times(table):
    cells = np.arange(CELLS)
    for key in table.holds():
        if key.seed is None:
            for quantity in ("accuracy", "loss", "train-seconds"):
                one_by_one = [table.quantity(quantity, [cell], *key)[0] for cell in cells[::7]]
                np.testing.assert_array_equal(table.quantity(quantity, cells, *key)[::7], one_by_one)
            for at_epoch in (1, key.epochs):
                if key.split == "train":
                    curve = table.curve(cells[::7], *key)[:, at_epoch - 1]
                    np.testing.assert_allclose(curve, table.accuracy(cells[::7], *key, at_epoch), rtol=1e-6)


def test_it_says_where_the_numbers_are_from(imported, table, folder):
    printed = subprocess.run(
        "LC_ALL=C; sha256sum *.pickle.pbz2 | sha256sum",
        cwd=folder,
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert imported.about.source["sha256"] == printed.split()[0]
    assert table.name == "NATS-Bench v1.0"
    assert table.about == f"imported from {FOLDER}, {CELLS} of 15,625 cells"
    assert table.sha256 == printed.split()[0]
    assert imported.about.verified["numbers"] > 5000
    assert len(imported.about.verified["cells"]) == 12


def test_a_kill_in_the_middle_loses_little_and_changes_nothing(folder, imported, tmp_path):
    kill_after(34, 10, folder, tmp_path)
    assert not (tmp_path / TABLE).exists()
    with pytest.raises(BadCallError, match="neither a path that exists"):
        open_benchmark(tmp_path / TABLE)
    seen = []
    again = importing.import_official(folder, tmp_path, lambda done, total: seen.append((done, total)))
    assert seen[0] == (30, CELLS)
    assert seen[-1] == (CELLS, CELLS)
    assert len(seen) == CELLS - 30 + 1
    same_numbers(again.path, imported.path)
    assert [path.name for path in tmp_path.iterdir()] == [TABLE]


def test_a_kill_between_columns_and_the_note_of_them_changes_nothing(folder, imported, tmp_path):
    script = """
importing._FLUSH = 24
write, notes = importing.files.write_atomic, []
def write_or_die(path, content):
    if path.name == importing._PROGRESS:
        notes.append(path)
        if len(notes) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)
importing.files.write_atomic = write_or_die
importing.import_official(Path(sys.argv[1]), Path(sys.argv[2]))
"""
    kill(script, folder, tmp_path)
    seen = []
    again = importing.import_official(folder, tmp_path, lambda done, total: seen.append(done))
    assert seen[0] == 24
    same_numbers(again.path, imported.path)


def test_what_was_begun_from_another_content_is_begun_anew(few, tmp_path):
    partial = tmp_path / f".{TABLE}.partial"
    partial.mkdir()
    (partial / importing._IDENTITY).write_text("another one")
    state = np.zeros(15_625, importing.STATE)
    state["done"] = True
    np.save(partial / importing._PROGRESS, state)
    assert importing.import_official(few, tmp_path).about.cells == 3


def test_it_is_made_once(few, folder, tmp_path):
    first = importing.import_official(few, tmp_path)
    made = (first.path / columnar.FILE_NAME).stat().st_mtime_ns
    second = importing.import_official(few, tmp_path)
    assert (first.is_new, second.is_new) == (True, False)
    assert second.about == first.about
    assert (first.path / columnar.FILE_NAME).stat().st_mtime_ns == made
    with pytest.raises(DataError, match=r"is the table of another content .* 3 cells"):
        importing.import_official(folder, tmp_path)
    assert (first.path / columnar.FILE_NAME).stat().st_mtime_ns == made


@pytest.mark.parametrize("form", ["pickle", "pth", "pth of torch before 1.6, numpy 1"])
def test_single_files_give_the_same_table(form, few, tmp_path):
    data = tmp_path / "data"
    if form == "pickle":
        path = as_pickle(few, tmp_path / official.PICKLE_NAME)
        name, title = "NATS-Bench v1.0", TABLE
    else:
        path = as_pth(few, tmp_path / official.PTH_NAME, of_old_torch=form != "pth")
        if form != "pth":
            as_numpy_1(path)
        name, title = "NAS-Bench-201 v1.1", "NAS-Bench-201-v1_1-096897.table"
    made = importing.import_official(path, data)
    assert made.path == data / title
    table, expected = open_benchmark(made.path), open_benchmark(importing.import_official(few, tmp_path).path)
    assert (table.name, expected.name) == (name, "NATS-Bench v1.0")
    if form == "pickle":
        same_numbers(table.path, expected.path)
    assert table._columns.keys() == expected._columns.keys()
    assert table._curves.keys() == expected._curves.keys()
    for column in table._columns:  # the two APIs round means in different ways
        np.testing.assert_allclose(table._columns[column], expected._columns[column], rtol=1e-15)
    for column in table._curves:
        np.testing.assert_array_equal(table._curves[column], expected._curves[column])
    assert importing.import_official(path, data).is_new is False


def test_a_kill_while_a_single_file_is_read_changes_nothing(few, tmp_path):
    path = as_pth(few, tmp_path / official.PTH_NAME)
    kill_after(2, 1, path, tmp_path)
    seen = []
    again = importing.import_official(path, tmp_path, lambda done, total: seen.append(done))
    assert seen == [2, 3]
    same_numbers(again.path, importing.import_official(path, tmp_path / "at once").path)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which tells a process's peak memory")
def test_memory_does_not_grow_with_the_number_of_cells_nor_of_columns(folder, few, tmp_path):
    script = """
import re, sys; from pathlib import Path; from nasbench_stc.benchmark import importing
def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", Path("/proc/self/status").read_text())[1])
before = peak()
importing.import_official(Path(sys.argv[1]), Path(sys.argv[2]))
print(peak() - before)
"""

    def added(cells: Path) -> float:
        out = tmp_path / cells.parent.name
        out.mkdir()
        command = [sys.executable, "-c", script, as_pickle(cells, out / official.PICKLE_NAME), out]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1024

    least = added(few)
    assert least < 70  # MiB, it takes 34; with every column mapped in the end, and copied to be written, 145
    assert added(folder) - least < 40  # it takes 15; all these cells at once take 85


class Planted:
    def __reduce__(self):
        return (eval, ("__import__('pathlib').Path('planted').touch()",))


@pytest.mark.parametrize("form", ["folder", "pickle", "pth", "pth of torch before 1.6"])
def test_a_planted_payload_is_refused_and_runs_nothing(form, few, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cells = {0: made_up.cell(0), 1: {"12": Planted(), "less": Planted()}, 2: made_up.cell(2)}
    content = {"meta_archs": ["a"], "arch2infos": cells, "evaluated_indexes": {0, 1}}
    if form == "folder":
        path = tmp_path / FOLDER
        shutil.copytree(few, path)
        (path / "000001.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(cells[1])))
    elif form == "pickle":
        path = tmp_path / official.PICKLE_NAME
        path.write_bytes(bz2.compress(pickle.dumps(content, protocol=4)))
    else:
        path = tmp_path / official.PTH_NAME
        cells[0] = {"less": cells[0]["12"], "full": cells[0]["200"]}
        torch.save(content, path, _use_new_zipfile_serialization=form == "pth")
    with pytest.raises(
        DataError, match=rf"{path.name}.*: refused.*asks for (__builtin__|builtins)\.eval; nothing was run"
    ):
        importing.import_official(path, tmp_path / "data")
    assert not (tmp_path / "planted").exists()
    assert not list((tmp_path / "data").glob("*.table"))


def test_what_is_no_official_file_is_refused(few, tmp_path):
    data = tmp_path / "data"
    with pytest.raises(BadCallError, match="there is no such file"):
        importing.import_official(tmp_path / "none.pth", data)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BadCallError, match="is no official file"):
        importing.import_official(tmp_path / "notes.txt", data)
    with pytest.raises(DataError, match="is no folder of NATS-Bench"):
        importing.import_official(tmp_path, data)
    whole = as_pickle(few, tmp_path / "whole.pickle.pbz2").read_bytes()
    (tmp_path / "cut.pickle.pbz2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"cut\.pickle\.pbz2: damaged"):
        importing.import_official(tmp_path / "cut.pickle.pbz2", data)
    (tmp_path / "other.pth").write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataError, match=r"other\.pth: no file of torch\.save"):
        importing.import_official(tmp_path / "other.pth", data)


def test_a_file_under_another_cells_name_is_refused(few, tmp_path):
    folder = tmp_path / FOLDER
    shutil.copytree(few, folder)
    (folder / "000001.pickle.pbz2").rename(folder / "000007.pickle.pbz2")
    with pytest.raises(DataError, match="cell 7 is not as NATS-Bench has it"):
        importing.import_official(folder, tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda cell: cell["200"]["dataset_seed"].update(cifar10=["../../../planted"]), "an unknown training"),
        (lambda cell: cell.update({"../../planted": cell.pop("200")}), "an unknown training"),
        (lambda cell: cell["12"]["dataset_seed"].update(mnist=[777]), "an unknown training|KeyError"),
        (lambda cell: _run(cell)["train_acc1es"].update({199: 100.5}), "no percentage"),
        (lambda cell: _run(cell)["train_acc1es"].update({199: "many"}), "ValueError|TypeError"),
        (lambda cell: _run(cell)["train_losses"].update({5: [1, 2]}), "ValueError|TypeError"),
        (lambda cell: cell["200"].pop("arch_str"), "KeyError"),
    ],
)
def test_a_cell_with_something_wrong_is_refused(change, said, tmp_path):
    folder = tmp_path / "in" / FOLDER
    made_up.write(folder, [0])
    cell = made_up.cell(0)
    change(cell)
    (folder / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(cell)))
    with pytest.raises(DataError, match=rf"cell 0 is not as NATS-Bench has it \(.*({said})"):
        importing.import_official(folder, tmp_path / "data")
    assert not list(tmp_path.rglob("*planted*"))


def _run(cell):
    return cell["200"]["all_results"]["cifar10", 777]


def test_costs_that_the_api_refuses_are_missing_and_nothing_else_is(tmp_path):
    folder = tmp_path / FOLDER
    made_up.write(folder, [0])
    cell = made_up.cell(0)
    run = cell["12"]["all_results"]["cifar10-valid", 777]
    run["params"] = 2 * run["params"]  # of the two runs one; nats_bench can choose seed 888 alone, which there is not
    (folder / "000000.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(cell)))
    table = open_benchmark(importing.import_official(folder, tmp_path).path)
    asked = ([0], "cifar10", "valid", 12)
    for bench in (table, open_benchmark(folder)):
        assert bench.accuracy(*asked) == answer_of(cell, "cifar10-valid", 12)
        with pytest.raises((BadCallError, DataError)):
            bench.quantity("params", *asked)
        assert bench.quantity("params", [0], "cifar10", "test", 12) == run["params"] / 2


def answer_of(cell, training, epochs):
    runs = [run for (name, _), run in cell[str(epochs)]["all_results"].items() if name == training]
    return sum(run["eval_acc1es"][f"x-valid@{epochs - 1}"] for run in runs) / len(runs)


def test_a_folder_without_cells_is_refused(tmp_path):
    made_up.write(tmp_path / FOLDER, [])
    with pytest.raises(DataError, match="has no cells"):
        importing.import_official(tmp_path / FOLDER, tmp_path / "data")


def test_opening_reads_no_column_and_asking_maps_it_once(table, monkeypatch):
    """So that both are quick, which benchmarks/table_speed.py measures."""
    own, read = np.load, []

    def load(path, **how):
        read.append((path.name, how["mmap_mode"]))
        return own(path, **how)

    monkeypatch.setattr(np, "load", load)
    opened = open_benchmark(table.path)
    assert read == []
    key = next(key for key in opened.holds() if key.seed is None)
    lookup, asked = opened.lookup, []
    monkeypatch.setattr(opened, "lookup", lambda *args: asked.append(args[1:]) or lookup(*args))
    every = np.arange(15_625) % CELLS
    for _ in range(2):
        opened.accuracy(every, key.dataset, key.split, key.epochs)
    assert len(asked) == 2  # all cells at once
    [(name, how)] = read
    assert how == "r"
    column, base = opened._columns[key, "accuracy"], None
    while (base := column.base if base is None else getattr(base, "base", None)) is not None:
        if isinstance(base, mmap.mmap):
            break
    assert isinstance(base, mmap.mmap), f"{name} is a copy of the file"


def test_auto_takes_whole_tables_alone(few, tmp_path):
    made = importing.import_official(few, tmp_path)
    assert open_benchmark("auto", tmp_path).name == "analog"
    about = json.loads((made.path / columnar.FILE_NAME).read_text())
    (made.path / columnar.FILE_NAME).write_text(json.dumps(about | {"cells": 15_625}))
    assert open_benchmark("auto", tmp_path).name == "NATS-Bench v1.0"


def test_status_knows_tables_and_what_is_wrong_with_them(few, tmp_path):
    made = importing.import_official(few, tmp_path)

    def state(check: bool = False) -> str:
        [item] = [item for item in status(tmp_path, check) if item.name == "imported table"]
        assert item.version in ("NATS-Bench v1.0", "")
        return item.state + ("" if item.usable else " (not usable)")

    assert state() == "sizes as recorded, 3 cells"
    assert state(check=True) == "sha256 as recorded, 3 cells"
    column = made.path / "cifar10.200.mean.ori-test.accuracy.npy"
    content = bytearray(column.read_bytes())
    content[-1] ^= 1
    column.write_bytes(content)
    assert state() == "sizes as recorded, 3 cells"
    assert state(check=True) == f"{column.name}: damaged, its sha256 is not the recorded one (not usable)"
    column.write_bytes(content[:-8])
    assert state() == f"{column.name}: damaged (not usable)"
    with pytest.raises(DataError, match=rf"{column.name}: damaged or unreadable.*data import"):
        open_benchmark(made.path).accuracy([0])
    column.unlink()
    assert state() == f"{column.name}: missing (not usable)"
    (made.path / columnar.FILE_NAME).write_text("{}")
    assert state() == "damaged, or of another form (not usable)"
    with pytest.raises(DataError, match=r"table\.json: no table \(it has no schema\)"):
        open_benchmark(made.path)


def test_status_compares_the_md5_that_an_official_name_tells(tmp_path):
    path = tmp_path / official.PTH_NAME
    path.write_bytes(b"anything")

    def state(check: bool) -> str:
        return next(item.state for item in status(tmp_path, check) if item.path == path)

    assert state(False) == "not checked (--check)"
    assert state(True) == "md5 does not fit the 096897 in its name"


def test_from_the_command_line(few, tmp_path):
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nasbench_stc", *map(str, arguments), "--data-dir", tmp_path]
        return subprocess.run(command, capture_output=True, text=True)

    first = run("data", "import", few)
    assert first.returncode == 0, first.stderr
    assert "NATS-Bench v1.0, 3 cells, 347 columns" in first.stdout
    assert "numbers of 3 cells read back: as nats_bench has them" in first.stdout
    assert "(it was there)" in run("data", "import", few).stdout
    expected = made_up.cell(2)["200"]["all_results"]["cifar10", 888]["eval_acc1es"]
    asked = ("query", "2", "--benchmark", tmp_path / TABLE, "--dataset", "cifar10", "--split", "test")
    shown = run(*asked)
    assert f"{expected['ori-test@199']:.2f}" in shown.stdout
    assert "NATS-Bench v1.0: imported from" in shown.stdout
    assert f"{expected['ori-test@41']:.2f}" in run(*asked, "--at-epoch", "42", "--seed", "888").stdout
    lacking = run(*asked, "--seed", "777")
    assert (lacking.returncode, lacking.stdout) == (1, "")
    assert "no run of cifar10 test at 200 epochs, seed 777" in lacking.stderr
    wrong = run("data", "import", tmp_path / "none")
    assert (wrong.returncode, wrong.stderr) == (2, f"Error: {tmp_path / 'none'}: there is no such file or folder\n")
