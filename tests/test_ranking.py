"""Ranking cells: the fast way has the slow way's numbers, the statistics are the published ones, nothing is redone."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

from nasbench_stc import Cell, load_ratings, open_benchmark, rank_cells, search
from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine.evaluation import rate, scores
from nasbench_stc.errors import BadCallError, DamagedFileWarning, DataError, RunError
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.records import ranking
from nasbench_stc.report import Inputs, make_figure, make_table, render
from nasbench_stc.report.inputs import MissingRecords
from nasbench_stc.report.table import Spread
from nasbench_stc.runs import rank
from nasbench_stc.space import NUM_CELLS, all_cells, flops, params

RESULTS = Path(__file__).parents[1] / "results"


def images(n=24):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)
    return DeviceImages(Images(pixels, rng.integers(0, 10, n), (120.0,) * 3, (60.0,) * 3, 1), torch.device("cpu"))


def supernet(running, cells_per_stage=1):
    torch.manual_seed(0)
    net = Supernet(4, cells_per_stage, 10, running).to(memory_format=torch.channels_last)
    for _ in range(2):  # statistics that are not those of a new batch norm
        net(images().plain(torch.arange(24))[0], Mixture.full(torch.rand(6, 5)))
    return net


def one_by_one(net, cells, batches, precision="float32"):
    """Loss and accuracy of each cell by the supernet's own forward pass."""
    net.eval()
    found = []
    for cell in cells:
        loss, right, n = 0.0, 0, 0
        for batch, labels in batches:
            with torch.inference_mode():
                logits = scores(net, batch, Mixture.path(cell), precision)
                loss += torch.nn.functional.cross_entropy(logits, labels, reduction="sum").item()
                right += int((logits.argmax(dim=1) == labels).sum())
                n += len(labels)
        found.append((loss / n, 100 * right / n))
    return np.array(found).T


def sample(n):
    return [Cell.from_index(index) for index in ranking.choose_cells(n)]


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize("cells_per_stage", [1, 2])
def test_together_is_as_one_by_one(running, cells_per_stage):
    net = supernet(running, cells_per_stage)
    nothing, dead_ends = Cell((0,) * 6), [Cell((3, op, 3, 1, 0, 0)) for op in range(5)]
    cells = [*sample(120), nothing, *dead_ends, nothing, Cell((0, 0, 3, 0, 2, 3))]
    together = rate(net, cells, images(), 10, 20)
    loss, accuracy = one_by_one(net, cells, list(images().batches(10, 20)))
    np.testing.assert_allclose(together.loss, loss, rtol=0, atol=1e-5)
    assert (together.accuracy == accuracy).mean() > 0.98  # but for near ties


def test_together_is_as_one_by_one_in_double_precision():
    net, valid = supernet(False).double(), images()
    valid._scale, valid._shift = valid._scale.double(), valid._shift.double()
    cells = sample(80)
    together = rate(net, cells, valid, 12)
    loss, accuracy = one_by_one(net, cells, list(valid.batches(12)))
    np.testing.assert_allclose(together.loss, loss, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(together.accuracy, accuracy)


def test_together_in_bfloat16():
    net, cells = supernet(False), sample(20)
    together = rate(net, cells, images(), 24, precision="bfloat16")
    loss, _ = one_by_one(net, cells, list(images().batches(24)), "bfloat16")
    np.testing.assert_allclose(together.loss, loss, rtol=0.02)


def test_what_cells_share_is_computed_once():
    net, calls = supernet(False), []
    first = net.blocks[0]
    for edge, convolutions in enumerate(first.edges):
        for name, convolution in convolutions.items():
            original = convolution.after_relu
            convolution.after_relu = lambda *arguments, at=(edge, name), original=original: (
                calls.append(at),
                original(*arguments),
            )[1]
    told = []
    rate(net, all_cells()[::5], images(4), 4, tick=told.append)
    per_edge = [sum(edge == at for edge, _ in calls) for at in range(6)]
    assert per_edge[0] == per_edge[1] == per_edge[3] == 2  # of node 0
    assert max(per_edge[2], per_edge[4]) <= 2 * 5  # of each value of node 1
    assert per_edge[5] <= 2 * 125
    assert told == sorted(told)
    assert told[-1] == NUM_CELLS // 5


def test_parameters_and_flops_order_cells_alike():
    cells = all_cells()
    for dataset in ("cifar10", "ImageNet16-120"):
        by = np.lexsort((flops(cells, dataset), params(cells, dataset)))
        assert (np.diff(flops(cells, dataset)[by]) >= 0).all()


def test_which_cells():
    assert ranking.choose_cells("500").tolist() == ranking.choose_cells(500).tolist()
    assert len(set(ranking.choose_cells(500).tolist())) == 500
    assert ranking.choose_cells("all").tolist() == list(range(NUM_CELLS))
    classes = ranking.choose_cells("classes")
    assert len(classes) == 6466
    assert len({Cell.from_index(index).isomorphism_class for index in classes}) == 6466
    assert classes[0] == 0  # the smallest index of its class
    assert ranking.choose_cells([Cell.from_index(9930)]).tolist() == [9930]
    for wrong in ("some", "0", 15626, []):
        with pytest.raises(BadCallError):
            ranking.choose_cells(wrong)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A finished search."""
    out = tmp_path_factory.mktemp("results")
    search("rsps", "digits", protocol="smoke", benchmark="analog", device="cpu", out=out)
    (folder,) = out.iterdir()
    return folder


def test_the_command_writes_a_ranking_and_takes_it_the_next_time(run_folder, stc_bench, monkeypatch):
    args = ("rank", run_folder.parent, "--cells", 30, "--images", 100, "--benchmark", "analog", "--device", "cpu")
    status, out, err = stc_bench(*args)
    assert (status, err) == (0, "")
    assert "RSPS on digits, smoke, seed 0: cifar10-test" in out
    (path,) = run_folder.glob("ranking-*.json")
    found = ranking.read(path)
    assert (len(found.cells), found.images, found.seed) == (30, 100, 0)
    # The very weights and images of the run: the cell it found has the loss that its record says.
    done = json.loads((run_folder / "record.json").read_text())
    again = rank_cells(run_folder, [Cell.parse(done["cell"])], images=0, device="cpu")
    assert again.loss == pytest.approx([done["supernet"]["loss"]], abs=1e-6)
    assert again.accuracy == pytest.approx([done["supernet"]["accuracy"]], abs=1e-4)
    monkeypatch.setattr(rank, "rate", None)  # would fail if it were called
    assert stc_bench(*args)[:2] == (0, out)
    status, out, _ = stc_bench(*args, "--format", "json")
    rows = json.loads(out)["rows"]
    assert [row["slice"] for row in rows] == ["all"] * 3 + ["all, merged"] * 3 + ["best tenth"] * 3
    truth = open_benchmark("analog").accuracy(np.array(found.cells))
    assert rows[1]["tau_b"] == pytest.approx(stats.kendalltau(-np.array(found.loss), truth).statistic)
    assert rows[1]["low"] < rows[1]["tau_b"] < rows[1]["high"]
    (first,), top = np.argsort(found.loss)[:1], set(np.argsort(found.loss)[:3])  # of 30 a hundredth is one cell
    assert rows[1]["best_rank"] == pytest.approx(100 * (1 + (truth > truth[first]).sum()) / 30)
    assert rows[1]["precision"] == pytest.approx(len(top & set(np.argsort(-truth)[:3])) / 3)
    assert rows[6]["best_rank"] is None and rows[6]["precision"] is None
    classes = {}
    for place, index in enumerate(found.cells):
        classes.setdefault(Cell.from_index(index).isomorphism_class, []).append(place)
    merged = [[values[members].mean() for members in classes.values()] for values in (-np.array(found.loss), truth)]
    assert rows[4]["n"] == len(classes) < 30
    assert rows[4]["tau_b"] == pytest.approx(stats.kendalltau(*merged).statistic)
    assert stc_bench(*args, "--no-resume")[0] == 1


def test_a_ranking_that_says_nothing_is_shown_as_such(run_folder):
    same = rank_cells(run_folder, 20, images=64, device="cpu")
    constant = ranking.Ranking(**{**vars(same), "accuracy": [10.0] * 20})
    table = make_table("ranking", Inputs.of(asked=open_benchmark("analog"), rankings=[constant]))
    assert table.rows[0].values["tau_b"] is None
    for form in ("text", "markdown", "latex", "csv"):
        assert "supernet accuracy" in render(table, form, 100)


def test_rankings_of_one_method_are_a_row(run_folder):
    bench = open_benchmark("analog")
    one = rank_cells(run_folder, 40, images=64, device="cpu")
    other = replace(one, seed=1, accuracy=one.accuracy[::-1])
    changed, fewer = replace(one, changes={"uniform": 0.5}), replace(one, images=32)
    rankings = [other, one, changed, fewer, replace(one, method="mine")]
    table = make_table("supernets", Inputs.of(asked=bench, rankings=rankings))
    assert [(row.values["method"], row.values.get("n")) for row in table.rows] == [
        ("parameters, FLOPs", None),
        ("RSPS", 1),
        ("parameters, FLOPs", None),
        ("RSPS", 2),
        ("RSPS, uniform=0.5", 1),
        ("mine", 1),
    ]
    assert "40 cells on 64 images: cifar10-test" in table.rows[2].section  # analog has no other column
    each = [make_table("ranking", Inputs.of(asked=bench, rankings=[ranking])).rows for ranking in (one, other)]
    for key in ("tau_b", "precision", "best_rank"):
        for place, score in enumerate(("accuracy", "loss")):
            values = [rows[place].values[key] for rows in each]
            assert table.rows[3].values[f"{score}_{key}"] == Spread.over(values)
        assert table.rows[2].values[f"accuracy_{key}"].mean == pytest.approx(each[0][2].values[key])
    counts = params([Cell.from_index(index) for index in one.cells])
    by_loss = stats.kendalltau(-np.array(one.loss), counts).statistic
    assert table.rows[3].values["loss_capacity"].mean == pytest.approx(by_loss)  # the other one's losses are the same
    assert "accuracy_capacity" not in table.rows[2].values
    assert table.rows[3].details["seeds"] == [0, 1] and table.rows[3].notes == ("Seeds 0, 1.",)
    with pytest.raises(MissingRecords, match="stc-bench rank results"):
        make_table("supernets", Inputs.of(asked=bench))


def test_what_is_missing_or_damaged_is_said(run_folder, stc_bench, tmp_path):
    folder = tmp_path / "results" / "run"
    folder.mkdir(parents=True)
    status, _, err = stc_bench("rank", tmp_path / "results", "--benchmark", "analog")
    assert status == 2
    assert "no finished run below it has a supernet.pt; run the search again with --no-resume" in err
    (folder / "record.json").write_bytes((run_folder / "record.json").read_bytes())
    status, _, err = stc_bench("rank", folder, "--benchmark", "analog")
    assert status == 1
    assert "the run left no supernet.pt to rank cells with; run the search again with --no-resume" in err
    whole = (run_folder / "supernet.pt").read_bytes()
    (folder / "supernet.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RunError, match=r"supernet\.pt: cannot be read.*--no-resume"):
        rank_cells(folder, 5, device="cpu")
    torch.save(Supernet(8, 1, 10).state_dict(), folder / "supernet.pt")
    with pytest.raises(RunError, match="no supernet of this run's protocol"):
        rank_cells(folder, 5, device="cpu")
    assert sorted(path.name for path in folder.iterdir()) == ["record.json", "supernet.pt"]
    (folder / "supernet.pt").write_bytes(whole)
    rank_cells(folder, 5, device="cpu")
    (path,) = folder.glob("ranking-*.json")
    content = json.loads(path.read_text())
    for damaged in ("{", json.dumps(content | {"loss": [1.0]}), json.dumps(content | {"schema": 0})):
        path.write_text(damaged)
        with pytest.raises(DataError, match="rank again with --no-resume"):
            rank_cells(folder, 5, device="cpu")
    assert rank_cells(folder, 5, device="cpu", resume=False).loss == content["loss"]


def test_of_several_runs_those_in_the_space_are_ranked(run_folder, stc_bench, tmp_path):
    of_darts = next(RESULTS.glob("stc-darts-digits-digits-seed0-*")) / "record.json"
    for name, source in (("tss", run_folder / "record.json"), ("darts", of_darts)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_bytes(source.read_bytes())
        (tmp_path / name / "supernet.pt").write_bytes((run_folder / "supernet.pt").read_bytes())
    status, out, _ = stc_bench("rank", tmp_path, "--benchmark", "analog", "--cells", 20, "--device", "cpu")
    assert (status, out.count("RSPS on digits")) == (0, 1)
    for folder in (tmp_path, tmp_path / "darts"):
        status, _, err = stc_bench("rank", folder, "--space", "darts")
        assert status == 1 and "no accuracies to compare a ranking with: there is no table of DARTS" in err
        assert not list((tmp_path / "darts").glob("ranking-*"))
    status, _, err = stc_bench("rank", tmp_path / "darts", "--benchmark", "analog")
    assert status == 2 and "no finished run in the space tss; there are some for --space darts" in err


def test_reading_and_reporting_a_ranking_does_without_torch(run_folder):
    rank_cells(run_folder, 20, images=64, device="cpu")
    code = (
        "import sys, pathlib\n"
        "from nasbench_stc import open_benchmark\n"
        "from nasbench_stc.report import Inputs, make_table, render\n"
        "from nasbench_stc.records import ranking\n"
        "paths = pathlib.Path(sys.argv[1]).glob('ranking-*.json')\n"
        "inputs = Inputs.of(asked=open_benchmark('analog'), rankings=[ranking.read(path) for path in paths])\n"
        "print(render(make_table('ranking', inputs)))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, run_folder], check=True, stdout=subprocess.DEVNULL)


def test_ratings_as_a_frame(run_folder, tmp_path):
    one = rank_cells(run_folder, 20, images=64, device="cpu")
    for seed, found in enumerate((one, replace(one, seed=1, changes={"uniform": 0.5}, supernet_sha256="b" * 64))):
        (tmp_path / str(seed)).mkdir()
        found.write(tmp_path / str(seed))
    frame, none = load_ratings(tmp_path), load_ratings("not there")
    assert set(frame) == set(none) == set(re.findall(r"`(\w+)`", load_ratings.__doc__)) - {"load_runs"}
    assert len(none) == 0 and len(frame) == 40
    first = frame[frame["seed"] == 0]
    assert first["cell_index"].tolist() == one.cells and first["accuracy"].tolist() == one.accuracy
    assert first["loss"].tolist() == one.loss and set(first["images"]) == {64}
    assert first["cell"].tolist() == [str(Cell.from_index(index)) for index in one.cells]
    assert set(frame[frame["seed"] == 1]["changes"]) == {'{"uniform": 0.5}'}
    truth = open_benchmark("analog").accuracy(first["cell_index"].to_numpy())
    by_pandas = first.assign(truth=truth)[["accuracy", "truth"]].corr("kendall").loc["accuracy", "truth"]
    assert by_pandas == pytest.approx(stats.kendalltau(one.accuracy, truth).statistic)
    (damaged,) = (tmp_path / "0").glob("*.json")
    damaged.write_text("{")
    with pytest.warns(DamagedFileWarning, match="damaged"):
        assert len(load_ratings(tmp_path)) == 20


def test_the_figure_shows_what_supernets_put_first(run_folder):
    bench = open_benchmark("analog")
    one = rank_cells(run_folder, 40, images=64, device="cpu")
    truth = bench.accuracy(one.cells)
    perfect = replace(one, method="mine", accuracy=(50 + truth / 100).tolist())
    alone = replace(one, images=32)  # made otherwise, and of fewer methods
    made = make_figure("supernets", Inputs.of(asked=bench, rankings=[alone, perfect, one, replace(one, seed=1)]))
    names = ["parameters, FLOPs", "RSPS (n=2)", "mine (n=1)"]
    assert [row["supernet"] for row in made.rows] == [name for name in names for _ in range(40)]
    best = max(made.rows[-40:], key=lambda row: row["cifar10-test"])
    assert best["place"] == pytest.approx(50 / 40)  # half of itself is before it
    panels = made.draw().axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert [title.splitlines()[0] for title in titles] == names and "P@10% 1.00" in titles[2]
    assert all(axes.get_xlim() == (100, 0) for axes in panels)
    points = np.concatenate([line.get_ydata() for line in panels[2].lines[:2]])
    assert len(points) == 40 and points.min() >= panels[2].get_ylim()[0]  # none is lost below the axis
    with pytest.raises(MissingRecords, match="stc-bench rank results"):
        make_figure("supernets", Inputs.of(asked=bench))
