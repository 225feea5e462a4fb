"""The notebooks run from clean on what pip brings, and say what their committed outputs say."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def texts(notebook):
    """What each cell printed: in how many pieces it came depends on the machine's load."""
    cells = [cell.get("outputs", []) for cell in notebook.cells]
    printed = ["".join(o["text"] for o in outputs if o["output_type"] == "stream") for outputs in cells]
    return [text for text in printed if text]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path))  # empty: the benchmark is the one that comes with pip
    committed = nbformat.read(path, as_version=4)
    assert texts(committed), "committed without outputs"
    fresh = nbformat.read(path, as_version=4)
    NotebookClient(fresh, timeout=120, kernel_name="python3").execute(cwd=tmp_path)
    assert texts(fresh) == texts(committed)


def test_there_are_notebooks():
    assert NOTEBOOKS
