"""The notebooks run from clean on what pip brings, with outputs like the committed ones, and on the real data."""

import ast
import itertools
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from processes import GUARD

from nasbench_stc.data import readers

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
PARAMETERS, EXACT = "parameters", "exact"
"""Tags: the cell that sets what a reader may change (as papermill has it), and cells that only look things up."""
SHORT = """
from dataclasses import replace
from nasbench_stc.engine.protocol import PROTOCOLS
usual = PROTOCOLS["digits"]
PROTOCOLS["digits"] = usual._replace(settings=replace(usual.settings, epochs=4, steps=4))
epochs, cells = 4, 60
"""
"""What those cells are told as committed, so that searches take a second: half of the epochs are uniform, as usual."""
SMOKE = {
    "dataset": "cifar10",
    "protocol": "smoke",
    "benchmark": "auto",
    "seeds": [0],
    "epochs": 2,
    "cells": 60,
    "simulated_runs": 3,
}
"""What those cells are told on the real data, as far as they set it."""
ABSOLUTE_PATH = re.compile(r"(?<![\w.~:/])/\w[\w.-]*/|\b[A-Z]:\\")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def execute(notebook, cwd, monkeypatch, data):
    monkeypatch.setenv("STC_BENCH_DATA", str(data))
    NotebookClient(notebook, timeout=GUARD, startup_timeout=GUARD, kernel_name="python3").execute(cwd=cwd)


@pytest.fixture(scope="module")
def used_kernel():
    """A kernel for one notebook after the other: that each runs in a new one is seen where it runs as committed."""
    manager = AsyncKernelManager(kernel_name="python3")
    yield manager
    if manager.has_kernel:
        run_sync(manager.shutdown_kernel)(now=True)


def execute_once_more(notebook, cwd, kernel, data):
    """In that folder, with the data, without the names of the notebook that ran there before."""
    begin = f"import os\nos.chdir({str(cwd)!r})\nos.environ['STC_BENCH_DATA'] = {str(data)!r}\n%reset -f"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(begin))
    NotebookClient(notebook, km=kernel, timeout=GUARD, startup_timeout=GUARD).execute()


def kinds(cell):
    """What a cell put out, in order: in how many pieces a text came depends on the machine's load."""
    all_kinds = [(output.output_type, output.get("name"), *sorted(output.get("data", ()))) for output in cell.outputs]
    return [kind for kind, _ in itertools.groupby(all_kinds)]


def printed(cell):
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def texts(cell):
    """All that a cell put out but pictures."""
    shown = [text for output in cell.outputs for kind, text in output.get("data", {}).items() if "image" not in kind]
    return "\n".join([printed(cell), *shown])


@every_notebook
def test_it_runs_as_committed(path, tmp_path, monkeypatch):
    committed, fresh = read(path), read(path)
    parameters = next(cell for cell in code_cells(fresh) if PARAMETERS in tags(cell))
    parameters.source += SHORT
    execute(fresh, tmp_path, monkeypatch, tmp_path)  # an empty data folder: only what comes with pip
    for before, now in zip(code_cells(committed), code_cells(fresh), strict=True):
        assert kinds(now) == kinds(before), now.source
        if EXACT in tags(now):
            assert printed(now) == printed(before)


@every_notebook
def test_it_runs_on_the_real_data(path, tmp_path, used_kernel, images_dir, table_path):
    data = tmp_path / "data"
    data.mkdir()
    for real in (readers.find_folder("cifar10", images_dir), table_path):
        (data / real.name).symlink_to(real)
    notebook = read(path)
    place = next(number for number, cell in enumerate(notebook.cells) if PARAMETERS in tags(cell))
    nodes = ast.walk(ast.parse(notebook.cells[place].source))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    assert names >= {"dataset", "protocol", "benchmark"}
    given = "\n".join(f"{name} = {value!r}" for name, value in SMOKE.items() if name in names)
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(given))
    execute_once_more(notebook, tmp_path, used_kernel, data)
    assert "analog" not in "".join(map(texts, code_cells(notebook)))


@every_notebook
def test_it_is_committed_as_it_was_executed(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "not from clean, in order"
    assert sum(PARAMETERS in tags(cell) for cell in cells) == 1
    assert any(EXACT in tags(cell) and printed(cell) for cell in cells)
    assert any("image/png" in kind for cell in cells for kind in kinds(cell))
    assert not any("stderr" in kind for cell in cells for kind in kinds(cell))


@every_notebook
def test_it_is_small_and_names_no_place(path):
    assert path.stat().st_size < 1_000_000
    assert not ABSOLUTE_PATH.search("\n".join(map(texts, code_cells(read(path)))))


def test_there_are_notebooks():
    assert NOTEBOOKS
