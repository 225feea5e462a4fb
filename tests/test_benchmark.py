"""The benchmarks against published figures, and their refusal to answer what they do not hold."""

import csv
import gzip
import io
import pickle
import warnings
from collections import defaultdict

import numpy as np
import pytest

from nasbench_stc import Cell, open_benchmark
from nasbench_stc.benchmark import COLUMNS, analog, extremes, find_metrics
from nasbench_stc.benchmark.base import Key, column_of
from nasbench_stc.errors import BadCallError, DataError, OfficialPickleWarning
from nasbench_stc.report.statistics import RETRAINING_NOISE
from nasbench_stc.space import all_cells

EVERY = np.arange(15_625)

# The cells that GDAS found in NATS-Bench, three runs a data set (NATS-Bench's README), and the published accuracies.
GDAS = {
    "cifar10": (
        [
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_1x1~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            "|nor_conv_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            "|avg_pool_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|nor_conv_3x3~0|nor_conv_1x1~1|nor_conv_1x1~2|",
        ],
        (93.23, 0.58),
    ),
    "cifar100": (
        [
            "|nor_conv_3x3~0|+|nor_conv_1x1~0|none~1|+|avg_pool_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|",
            "|avg_pool_3x3~0|+|nor_conv_1x1~0|none~1|+|nor_conv_3x3~0|avg_pool_3x3~1|nor_conv_1x1~2|",
            "|avg_pool_3x3~0|+|nor_conv_3x3~0|none~1|+|nor_conv_3x3~0|nor_conv_1x1~1|nor_conv_1x1~2|",
        ],
        (68.17, 2.50),
    ),
    "ImageNet16-120": (["|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"] * 3, (39.40, 0.00)),
}


def test_cell_9930(nb201):
    found = [round(float(nb201.accuracy([9930], *which)[0]), 2) for which in COLUMNS.values()]
    assert found == [91.55, 94.36, 73.49, 73.51, 46.37, 46.34]


@pytest.mark.parametrize("dataset", GDAS)
def test_gdas_cells_give_the_published_row(nb201, dataset):
    strings, (mean, std) = GDAS[dataset]
    values = nb201.accuracy([Cell.parse(text) for text in strings], dataset, "test")
    assert values.mean() == pytest.approx(mean, abs=0.005)
    assert values.std(ddof=0) == pytest.approx(std, abs=0.005)


def test_the_splits_of_cifar10_are_two_trainings(nb201):
    # Cell 0 has 81.52 percent on the test set when trained on 25,000 images: never an answer here.
    assert nb201.accuracy([0], "cifar10", "test")[0] == pytest.approx(85.863, abs=5e-4)
    assert nb201.accuracy([0], "cifar10", "valid")[0] == pytest.approx(81.9827, abs=5e-5)
    assert nb201.accuracy([0], "cifar10", "test", epochs=12)[0] == pytest.approx(69.55, abs=5e-3)
    seeds = [nb201.accuracy([0], "cifar10", "valid", seed=seed)[0] for seed in (777, 888, 999)]
    assert seeds == pytest.approx([82.092, 81.616, 82.24], abs=5e-4)
    assert np.mean(seeds) == pytest.approx(81.9827, abs=1e-3)


def test_optima(nb201):
    published = {
        "cifar10-valid": (6111, 91.6067),
        "cifar10-test": (6111, 94.3733),
        "cifar100-valid": (9930, 73.4933),
        "cifar100-test": (9930, 73.5133),
        "ImageNet16-120-valid": (10676, 46.7333),
        "ImageNet16-120-test": (857, 47.3111),
    }
    for name, (index, accuracy) in published.items():
        cell, value = nb201.optimal(*COLUMNS[name])
        assert (cell.index, value) == (index, pytest.approx(accuracy, abs=1e-4))
        assert nb201.rank([index], *COLUMNS[name]) == [1]


def test_rank_is_one_plus_the_number_of_better_cells(nb201):
    values = nb201.accuracy(EVERY, "cifar10", "test")
    sample = EVERY[::997]
    np.testing.assert_array_equal(nb201.rank(sample), [1 + (values > values[i]).sum() for i in sample])


def test_train_seconds_grow_with_images_and_epochs(nb201):
    base = nb201.train_seconds(EVERY, "cifar10", "valid")
    assert base[0] == pytest.approx(1444.22)
    np.testing.assert_allclose(nb201.train_seconds(EVERY, "cifar10", "valid", epochs=12), base * 12 / 200)
    np.testing.assert_allclose(nb201.train_seconds(EVERY, "cifar10", "test"), 2 * base)
    np.testing.assert_allclose(nb201.train_seconds(EVERY, "ImageNet16-120", "test"), 6.068 * base)


def test_isomorphic_cells_differ_by_the_known_noise(nb201):
    classes = defaultdict(list)
    for cell in all_cells():
        classes[cell.isomorphism_class].append(cell.index)
    several = [members for members in classes.values() if len(members) > 1]
    assert len(several) == 1350
    degrees = sum(len(members) - 1 for members in several)
    for dataset, noise in RETRAINING_NOISE.items():
        values = nb201.accuracy(EVERY, dataset, "test")
        squares = sum(((values[members] - values[members].mean()) ** 2).sum() for members in several)
        assert np.sqrt(squares / degrees) == pytest.approx(noise, abs=0.005)


def test_cost():
    found = open_benchmark("analog").cost([0, 9930], "cifar100")
    assert found["params"] == pytest.approx([0.135156, 1.294356])
    assert found["mflops"][0] == pytest.approx(15.65322)


def test_cells_and_indices_are_the_same(nb201):
    some = [3, 1, 4, 1, 5, 9, 2, 6]
    np.testing.assert_array_equal(nb201.accuracy(some), nb201.accuracy([Cell.from_index(i) for i in some]))
    np.testing.assert_array_equal(nb201.accuracy(some), nb201.accuracy(np.array(some)))
    assert nb201.accuracy([]).shape == (0,)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"epochs": 50}, "does not hold .* 50 epochs.*It holds: .*12 epochs.*200 epochs"),
        ({"seed": 777}, "does not hold cifar10 test .* seed 777"),
        ({"split": "valid", "epochs": 12, "seed": 777}, "does not hold"),
        ({"split": "train"}, "does not hold cifar10 train"),
        ({"split": "all"}, "unknown split 'all': choose from valid, test, train, valtest, half-test, half-train"),
        ({"dataset": "cifar10-valid"}, "type cifar10; valid is a split"),
    ],
)
def test_what_is_not_held_is_an_error(nb201, asked, said):
    with pytest.raises(BadCallError, match=said):
        nb201.accuracy([0], **asked)


def test_a_seed_that_a_cell_was_not_run_with_is_an_error(nb201):
    with pytest.raises(DataError, match="7456 of the 15625 cells"):
        nb201.accuracy(EVERY, "cifar10", "valid", seed=999)


def test_bad_cells(nb201):
    for bad in (np.array([-1]), np.array([15_625]), [15_625], ["x"]):
        with pytest.raises(BadCallError):
            nb201.accuracy(bad)
    with pytest.raises(BadCallError, match="put it into a list"):
        nb201.accuracy(Cell.from_index(0))


def _rows(table_path):
    with gzip.open(table_path, "rt") as file:
        return list(csv.reader(file))


def _write(path, rows):
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    path.write_bytes(gzip.compress(text.getvalue().encode(), 1))
    return path


def test_damaged_tables(table_path, tmp_path):
    rows = _rows(table_path)
    column = rows[0].index("c100_test_200")
    with pytest.raises(DataError, match="no column c100_test_200"):
        open_benchmark(_write(tmp_path / "a.csv.gz", [row[:column] + row[column + 1 :] for row in rows]))
    with pytest.raises(DataError, match="15624 rows"):
        open_benchmark(_write(tmp_path / "b.csv.gz", rows[:-1]))
    with pytest.raises(DataError, match="official order"):
        open_benchmark(_write(tmp_path / "c.csv.gz", [rows[0], rows[2], rows[1], *rows[3:]]))
    for value, said in (("n/a", "no number"), ("101", "outside 0-100"), ("-1", "outside")):
        changed = [row if i != 7 else [*row[:column], value, *row[column + 1 :]] for i, row in enumerate(rows)]
        with pytest.raises(DataError, match=f"c100_test_200.*{said}"):
            open_benchmark(_write(tmp_path / "d.csv.gz", changed))
    (tmp_path / "e.csv.gz").write_bytes(table_path.read_bytes()[:5000])
    with pytest.raises(DataError, match="damaged"):
        open_benchmark(tmp_path / "e.csv.gz")


def test_auto_takes_the_best_at_hand(table_path, tmp_path):
    assert open_benchmark("auto", tmp_path).name == "analog"
    (tmp_path / "nb201.csv.gz").write_bytes(table_path.read_bytes())
    assert open_benchmark("auto", tmp_path).name == open_benchmark("nb201", tmp_path).name == "nb201"


def test_names_and_paths_that_are_none(tmp_path):
    with pytest.raises(DataError, match=r"no nb201.csv.gz in .*data fetch nb201"):
        open_benchmark("nb201", tmp_path)
    with pytest.raises(BadCallError, match="neither a path that exists nor one of auto, nb201, analog"):
        open_benchmark("nats", tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="no benchmark that this version reads"):
        open_benchmark(tmp_path / "notes.txt")


def test_analog_holds_cifar10_test_alone():
    bench = open_benchmark("analog")
    assert [key[:2] for key in bench.holds()] == [("cifar10", "test")]
    assert bench.accuracy(EVERY).shape == (15_625,)
    assert bench.accuracy([Cell((0,) * 6)])[0] == pytest.approx(10, abs=0.01)  # nothing comes through: chance
    for asked in ({"split": "valid"}, {"dataset": "cifar100"}, {"epochs": 200}, {"seed": 777}):
        with pytest.raises(BadCallError, match="It holds: cifar10 test at full training"):
            bench.accuracy([0], **asked)
    with pytest.raises(BadCallError, match="does not hold the train-seconds of cifar10 test"):
        bench.train_seconds([0], "cifar10", "test")


def test_analog_agrees_with_nats_bench(nb201):
    ours, theirs = nb201.accuracy(EVERY), open_benchmark("analog").accuracy(EVERY)
    assert np.corrcoef(ours, theirs)[0, 1] == pytest.approx(0.9994, abs=5e-5)


def test_analog_orders():
    # Theirs: 0 skip, 1 none, 2 conv 3x3, 3 conv 1x1, 4 pool on edges 01, 02, 03, 12, 13, 23.
    index = analog.to_indices(np.array([[2, 0, 4, 1, 3, 0]]))[0]
    assert str(all_cells()[index]) == (
        "|nor_conv_3x3~0|+|skip_connect~0|none~1|+|avg_pool_3x3~0|nor_conv_1x1~1|skip_connect~2|"
    )


class _Planted:
    def __reduce__(self):
        return (eval, ("__import__('pathlib').Path('planted').touch()",))


def test_a_planted_pickle_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.anb").write_bytes(pickle.dumps({(0,) * 6: _Planted()}))
    monkeypatch.setattr(analog, "find_file", lambda: tmp_path / "data.anb")
    with pytest.raises(DataError, match=r"refused.*builtins\.eval"):
        analog.read_analog()
    assert not (tmp_path / "planted").exists()


def test_a_damaged_pickle_is_named(tmp_path, monkeypatch):
    real = analog.find_file()
    (tmp_path / "data.anb").write_bytes(real.read_bytes()[:10_000])
    monkeypatch.setattr(analog, "find_file", lambda: tmp_path / "data.anb")
    with pytest.raises(DataError, match=r"data\.anb: damaged"):
        analog.read_analog()


def test_cells_at_one_end():
    values = np.array([3.0, np.nan, 5.0, 5.0, -np.inf, 1.0, 5.0])
    for number, highest, index, equal in (
        (2, True, [2, 3], 1),
        (4, True, [2, 3, 6, 0], 0),
        (1, False, [5], 0),
        (9, False, [5, 0, 2, 3, 6], 0),
    ):
        found = extremes(values, number, highest)
        assert (found.cells.tolist(), found.equal, found.left_out) == (index, equal, 2)
    assert extremes(np.full(3, np.nan), 2, True).cells.tolist() == []


# All cells in a frame


def test_a_frame_has_every_cell_and_every_accuracy(nb201):
    frame = nb201.frame(metrics=False)
    assert frame.index.name == "cell_index"
    assert frame.index.tolist() == list(range(15_625))
    assert [Cell.parse(text) for text in frame["cell"]] == list(all_cells())
    assert (frame["digits"][9930], frame["isomorphism_class"].nunique()) == ("333133", 6_466)
    best = {name: (index, round(frame[name][index], 2)) for name, index in frame[list(COLUMNS)].idxmax().items()}
    assert best["cifar10-test"] == (6111, 94.37)
    assert best["cifar100-test"] == (9930, 73.51)
    assert best["ImageNet16-120-test"] == (857, 47.31)
    held = nb201.holds()
    assert len({column_of(key, held) for key in held}) == len(held)
    assert set(frame.columns) == {
        *("cell", "digits", "isomorphism_class", *(column_of(key, held) for key in held)),
        *(f"{dataset}-{cost}" for dataset in GDAS for cost in ("params", "mflops")),
    }
    for key in held:
        values = frame[column_of(key, held)]
        there = np.flatnonzero(values.notna())
        np.testing.assert_array_equal(values[there], nb201.accuracy(there, *key))
        assert len(there) == 15_625 or key.seed == 999  # with which not all cells were run
    for dataset in GDAS:
        for name, values in nb201.cost(EVERY, dataset).items():
            np.testing.assert_array_equal(frame[f"{dataset}-{name}"], values)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (("cifar10", "test", 200, None), "cifar10-test"),
        (("cifar10", "valid", 12, None), "cifar10-valid@12"),
        (("cifar10", "valid", 200, 777), "cifar10-valid seed 777"),
        (("cifar10", "valid", 12, 111), "cifar10-valid@12 seed 111"),
        (("cifar100", "test", None, None), "cifar100-test"),
    ],
)
def test_names_of_a_frames_accuracies(key, name):
    assert column_of(Key(*key), [Key("cifar10", "valid", 200, None), Key(*key)]) == name


def test_a_frame_has_the_metrics_at_hand(nb201, metrics_dir):
    frame = nb201.frame(data_dir=metrics_dir)
    assert frame.columns.is_unique
    own = set(frame.columns) - set(nb201.frame(metrics=False).columns)
    found = {dataset: find_metrics(nb201, metrics_dir, dataset) for dataset in GDAS}
    names = {
        name if metric.dataset is None else f"{dataset}-{name}": metric
        for dataset, metrics in found.items()
        for name, metric in metrics.items()
        if name not in ("params", "mflops")  # which are there without them
    }
    assert own == names.keys()
    sample = [0, 857, 6111, 9930]
    for name in ("cifar10-train-seconds-valid", "ImageNet16-120-edgegpu-latency", "help-pixel2-latency"):
        np.testing.assert_array_equal(frame[name][sample], names[name].values(sample))


def test_what_does_not_have_the_whole_space_makes_no_frame(nats_folder, nats_table):
    for place in (nats_folder, nats_table):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OfficialPickleWarning)
            opened = open_benchmark(place)
        with pytest.raises(DataError, match=r"does not have the whole space at hand.*`stc-bench data import`"):
            opened.frame()
