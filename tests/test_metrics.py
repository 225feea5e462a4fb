"""Named metrics: published values, what stands for nothing measured, names, and the conditions of analog."""

from __future__ import annotations

import csv
import functools
import gzip
import importlib
import io
import json
import os
import pickle
import re
import shutil
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from nasbench_stc import files
from nasbench_stc.benchmark import Benchmark, analog, find_metric, find_metrics, metrics, open_benchmark
from nasbench_stc.benchmark import columns as published
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.report import FORMATS
from nasbench_stc.space import DATASETS, Cell

EVERY = np.arange(15_625)


@functools.cache
def _plain(path: Path) -> pd.DataFrame:
    return pd.read_csv(path)


# Values

# Cell 0 on CIFAR-10, as HW-NAS-Bench's README prints it: ms and mJ.
HW_NAS_BENCH_README = {
    "edgegpu-latency": (5.807418537139893, "ms"),
    "edgegpu-energy": (24.226614330768584, "mJ"),
    "raspi4-latency": (10.481976820010459, "ms"),
    "edgetpu-latency": (0.9571811309997429, "ms"),
    "pixel3-latency": (3.6058499999999998, "ms"),
    "eyeriss-latency": (3.645620000000001, "ms"),
    "eyeriss-energy": (0.6872827644999999, "mJ"),
    "fpga-latency": (2.57296, "ms"),
    "fpga-energy": (18.01072, "mJ"),
}


def test_hardware_is_what_its_readme_prints(nb201: Benchmark, metrics_dir: Path) -> None:
    found = find_metrics(nb201, metrics_dir)
    for name, (value, unit) in HW_NAS_BENCH_README.items():
        assert found[name].values([0]) == pytest.approx([value], rel=1e-12)
        assert (found[name].unit, found[name].better, found[name].dataset) == (unit, "low", "cifar10")


@pytest.mark.parametrize("dataset", DATASETS)
def test_every_column_is_the_one_it_says(nb201: Benchmark, metrics_dir: Path, dataset: str) -> None:
    found = find_metrics(nb201, metrics_dir, dataset)
    for file, columns in metrics.FILES.items():
        plain = _plain(metrics_dir / file)
        there = {title: column for title, column in columns.items() if title in plain}
        assert len(there) > 30
        for title, column in there.items():
            if column.dataset == dataset or (column.dataset is None and dataset == "cifar10"):
                expected = plain[title].replace(column.missing, np.nan).to_numpy()
                np.testing.assert_array_equal(found[column.name].values(EVERY), expected)


def test_names_are_unambiguous() -> None:
    names = [(column.name, column.dataset) for columns in metrics.FILES.values() for column in columns.values()]
    names += [("params", dataset) for dataset in DATASETS]
    assert len(names) == len(set(names))


def test_left_out_columns_of_help_are_hw_nas_benchs(metrics_dir: Path) -> None:
    plain = _plain(metrics_dir / metrics.HARDWARE)
    offered = {title for title in plain if title in metrics.FILES[metrics.HARDWARE]}
    left_out = set(plain) - offered - {"index", "arch"}
    assert left_out == {f"help_{device}_ms" for device in ("eyeriss", "fpga", "pixel3", "raspi4")}
    for title in left_out:
        twin = title.replace("help_", "c10_").replace("_ms", "_latency")
        np.testing.assert_allclose(plain[title], plain[twin], rtol=1e-12)


def test_what_was_not_measured_is_no_number(nb201: Benchmark, metrics_dir: Path) -> None:
    for dataset in DATASETS:
        values = find_metric("edgetpu-latency", nb201, metrics_dir, dataset).values(EVERY)
        assert np.isnan(values).sum() == 4699
        assert np.nanmin(values) > 0
    values = find_metric("zcsuite-jacov", nb201, metrics_dir).values(EVERY)
    assert np.isnan(values).sum() == 15_625 - 9_444  # 9,445 were computed, and one of them is -1e8
    assert np.nanmin(values) > -1e7


def test_formulas_and_times(nb201: Benchmark, tmp_path: Path) -> None:
    for dataset in DATASETS:
        found = find_metrics(nb201, tmp_path, dataset)
        for name, values in nb201.cost([0, 9930], dataset).items():
            np.testing.assert_array_equal(found[name].values([0, 9930]), values)
        for split in ("valid", "test"):
            expected = nb201.train_seconds([5, 3], dataset, split)
            np.testing.assert_array_equal(found[f"train-seconds-{split}"].values([5, 3]), expected)
    assert "train-seconds-test" not in find_metrics(open_benchmark("analog"), tmp_path)


def test_finding_reads_no_column_and_reading_no_other(
    nb201: Benchmark, metrics_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_metrics(nb201, metrics_dir)  # the benchmark reads its own column of seconds, once
    unpacked, texts, read = published.unpacked, published.Columns._texts, []
    monkeypatch.setattr(published, "unpacked", lambda path, *args: read.append(path.name) or unpacked(path, *args))
    monkeypatch.setattr(published.Columns, "_texts", lambda self, name: read.append(name) or texts(self, name))
    metric = find_metric("edgegpu-latency", nb201, metrics_dir)
    assert read == []
    first = metric.values(EVERY)
    assert read == [metrics.HARDWARE, "arch", "c10_edgegpu_latency"]
    np.testing.assert_array_equal(metric.values(EVERY[::-1]), first[::-1])
    assert read.count(metrics.HARDWARE) == 1


# Errors


@pytest.mark.parametrize(
    ("name", "dataset", "said"),
    [
        ("edgegpu-latncy", "cifar10", "did you mean edgegpu-latency"),
        ("zzz", "cifar10", r"unknown metric 'zzz': `stc-bench metrics` lists"),
        ("zcsuite-zen", "cifar100", "is there for cifar10, ImageNet16-120, not for cifar100"),
        ("analog-noisy", "ImageNet16-120", "is there for cifar10, not for ImageNet16-120"),
        ("params", "mnist", "unknown data set 'mnist': choose from cifar10, cifar100, ImageNet16-120"),
    ],
)
def test_bad_names(nb201: Benchmark, metrics_dir: Path, name: str, dataset: str, said: str) -> None:
    with pytest.raises(BadCallError, match=said):
        find_metric(name, nb201, metrics_dir, dataset)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for name, file in (("edgegpu-latency", metrics.HARDWARE), ("naswot", metrics.TRAINING_FREE)):
        with pytest.raises(DataError, match=f"'{name}' is in {file}, which is not in .*put {file}"):
            find_metric(name, open_benchmark("analog"), tmp_path)


def test_damaged_files(nb201: Benchmark, metrics_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / metrics.HARDWARE
    lines = gzip.decompress((metrics_dir / path.name).read_bytes()).decode().splitlines()
    place = lines[0].split(",").index("c10_fpga_energy")

    def write(changed: list[str]) -> None:
        path.write_bytes(gzip.compress("\n".join(changed).encode(), 1))

    def refused(said: str) -> None:
        with pytest.raises(DataError, match=said):
            find_metric("fpga-energy", nb201, tmp_path).values([0])

    for value, said in (("-2", "column c10_fpga_energy holds values outside"), ("x", "holds what is no number")):
        row = lines[9].split(",")
        write([*lines[:9], ",".join([*row[:place], value, *row[place + 1 :]]), *lines[10:]])
        refused(said)
    write([lines[0], lines[2], lines[1], *lines[3:]])
    refused("not in the official order")
    write(lines[:-1])
    refused("15624 rows")
    write([*lines[:-1], lines[-1] + ",1"])
    refused("rows of uneven length")
    path.write_bytes((metrics_dir / path.name).read_bytes()[:100_000])
    refused("damaged or unreadable")
    path.write_bytes(b"")
    refused("is not in .*, where it belongs")


# analog


def test_conditions_are_the_packages_own_numbers() -> None:
    package = analog.find_file().parent
    theirs = _their_records(package)
    cell = Cell.from_index(9930)
    place = int(np.flatnonzero(analog.to_indices(np.array(list(theirs))) == cell.index)[0])
    record = list(theirs.values())[place]
    expected = {
        "digital": record.baseline_accuracy,
        "ptq": record.ptq_accuracy,
        "qat": record.qat_accuracy,
        "noisy": record.noisy_accuracy,
        "hwt": record.analog_accuracy,
        "noisy-drift@60s": record.baseline_drift_60.value,
        "noisy-drift@3600s": record.baseline_drift_3600.value,
        "noisy-drift@86400s": record.baseline_drift_86400.value,
        "noisy-drift@2592000s": record.baseline_drift_2592000.value,
        "drift@60s": record.analog_drift_60.value,
        "drift@3600s": record.analog_drift_3600.value,
        "drift@86400s": record.analog_drift_86400.value,
        "drift@2592000s": record.analog_drift_2592000.value,
    }
    assert list(expected) == list(analog.CONDITIONS)
    found = find_metrics(open_benchmark("analog"))
    for name, value in expected.items():
        assert found[f"analog-{name}"].values([cell]) == [value]
    for name in ("digital", "hwt", "drift@86400s"):
        bench = open_benchmark(f"analog:{name}")
        assert bench.accuracy([cell]) == [expected[name]]
        assert bench.name == ("analog" if name == "digital" else f"analog:{name}")
    assert found["analog-drift@60s-std"].values([cell])[0] == record.analog_drift_60.uncertainty


def _their_records(package: Path) -> dict[tuple[int, ...], Any]:
    """The data as the package itself unpickles it; its module imports pkg_resources, which is not needed here."""
    source = (package / "data.py").read_text().replace("import pkg_resources", "")
    module = types.ModuleType("analognasbench.data")
    exec(compile(source, "data.py", "exec"), module.__dict__)

    class Unpickler(pickle.Unpickler):
        def find_class(self, where: str, name: str) -> Any:
            if where == "analognasbench.data":
                return getattr(module, name)
            return getattr(importlib.import_module(where), name)

    with (package / "data.anb").open("rb") as file:
        return Unpickler(file).load()


def test_conditions_are_benchmarks() -> None:
    bench = open_benchmark("analog:noisy")
    assert bench.rank([bench.optimal()[0]]) == [1]
    assert "condition noisy" in bench.about
    assert bench.accuracy(EVERY).mean() == pytest.approx(53.24, abs=0.01)
    with pytest.raises(BadCallError, match=r"unknown condition .* 'loud': choose from digital, ptq"):
        open_benchmark("analog:loud")
    with pytest.raises(BadCallError, match="choose from digital"):
        open_benchmark("analog:")


def documented(first: str) -> list[float]:
    """The numbers in the row of docs/benchmarks.md that starts with `first`."""
    text = (Path(__file__).parents[1] / "docs/benchmarks.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [float(number.replace(",", "")) for number in row.strip("|").split("|")[1:]]


def test_agreement_of_analog_with_nats_bench(nb201: Benchmark) -> None:
    theirs, ours = nb201.accuracy(EVERY), open_benchmark("analog").accuracy(EVERY)
    golden = {"all": (15_625, 0.999, 0.926, 0.390, -0.290), "top tenth": (1_566, 0.805, 0.572, 0.383, -0.380)}
    for which, chosen in (("all", EVERY >= 0), ("top tenth", theirs >= np.quantile(theirs, 0.9))):
        x, y = theirs[chosen], ours[chosen]
        difference = y - x
        found = (len(x), np.corrcoef(x, y)[0, 1], kendalltau(x, y).statistic, abs(difference).mean(), difference.mean())
        assert found == pytest.approx(golden[which], abs=5e-4)
        assert documented(which) == list(golden[which])


def test_noise_of_nats_bench_is_as_documented(nb201: Benchmark) -> None:
    """What the agreement is held against: seeds, and validation against test."""
    test, valid = nb201.accuracy(EVERY), nb201.accuracy(EVERY, split="valid")
    one, other = (nb201.accuracy(EVERY, split="valid", seed=seed) for seed in (777, 888))
    top = test >= np.quantile(test, 0.9)
    for x, y, expected in ((one, other, (0.910, 0.672)), (valid, test, (0.894, 0.514))):
        found = (kendalltau(x, y).statistic, kendalltau(x[top], y[top]).statistic)
        assert found == pytest.approx(expected, abs=5e-4)


def test_conditions_are_as_documented() -> None:
    records = analog.Records()
    digital = records.percent("baseline_accuracy")
    top = digital >= np.quantile(digital, 0.9)
    for name, condition in analog.CONDITIONS.items():
        if name == "digital":
            continue
        values = records.percent(condition.field)
        taus = [kendalltau(digital[chosen], values[chosen]).statistic for chosen in (EVERY >= 0, top)]
        ranks = [round(float(number), 3) for number in (np.corrcoef(digital, values)[0, 1], *taus)]
        assert documented(f"`{name}`") == [round(float(np.median(values)), 2), round(float(values.max()), 2), *ranks]


# The command line


def test_query_shows_metrics_in_every_form(stc_bench, metrics_dir: Path) -> None:
    asked = ("query", "0", "9930", "--data-dir", metrics_dir, "--metric", "edgegpu-latency", "--metric", "naswot")
    status, out, err = stc_bench(*asked)
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split()[-2:] for line in out.splitlines() if line.startswith("  ") and line.strip()}
    assert (rows["0"][0], rows["9930"][1]) == ("5.80742", "815.591")
    said = "edgegpu-latency: latency of one image on an edge GPU, cifar10; low is good. nb201_hardware.csv.gz"
    assert said in " ".join(out.split())
    assert max(len(line) for line in out.splitlines() if " = " not in line) <= 100
    content = json.loads(stc_bench(*asked, "--format", "json")[1])
    first = content["rows"][0]
    assert first["edgegpu-latency"] == 5.80742
    about = ("ms", "nb201_hardware.csv.gz (HW-NAS-Bench)")
    assert (first["edgegpu-latency-unit"], first["edgegpu-latency-source"]) == about
    assert next(one["heading"] for one in content["columns"] if one["key"] == "edgegpu-latency") == "edgegpu-latency ms"
    lines = list(csv.DictReader(io.StringIO(stc_bench(*asked, "--format", "csv", "--dataset", "cifar100")[1])))
    assert lines[0]["edgegpu-latency"] == "5.86608"
    assert (lines[0]["edgegpu-latency-unit"], lines[0]["naswot-source"]) == ("ms", "nb201_zerocost.csv.gz (FreeREA)")


def test_query_never_shows_a_number_for_nothing_measured(stc_bench, nb201: Benchmark, metrics_dir: Path) -> None:
    values = find_metric("edgetpu-latency", nb201, metrics_dir).values(EVERY)
    cell = int(np.flatnonzero(np.isnan(values))[0])
    asked = ("query", cell, "--data-dir", metrics_dir, "--metric", "edgetpu-latency")
    out = stc_bench(*asked)[1]
    assert "–" in next(line for line in out.splitlines() if line.split()[:1] == [str(cell)]).split()
    assert "not measured" in out
    assert json.loads(stc_bench(*asked, "--format", "json")[1])["rows"][0]["edgetpu-latency"] is None
    (line,) = csv.DictReader(io.StringIO(stc_bench(*asked, "--format", "csv")[1]))
    assert line["edgetpu-latency"] == ""


def test_metrics_are_listed(stc_bench, metrics_dir: Path, tmp_path: Path) -> None:
    asked = ("metrics", "--data-dir", metrics_dir)
    status, out, _ = stc_bench(*asked, "--dataset", "ImageNet16-120")
    assert status == 0
    found = find_metrics(open_benchmark("auto", metrics_dir), metrics_dir, "ImageNet16-120")
    assert [line.split()[0] for line in out.splitlines() if re.match(r"  \S", line)] == list(found)
    assert max(map(len, out.splitlines())) <= 100
    content = json.loads(stc_bench(*asked, "--format", "json")[1])
    described = {
        "name": "edgegpu-latency",
        "unit": "ms",
        "better": "low",
        "about": "latency of one image on an edge GPU",
        "dataset": "cifar10",
        "source": "nb201_hardware.csv.gz (HW-NAS-Bench)",
    }
    (row,) = [row for row in content["rows"] if row["name"] == "edgegpu-latency"]
    assert row == {"section": described["source"], **described, "notes": []}
    out = " ".join(stc_bench("metrics", "--data-dir", tmp_path)[1].split())
    assert "params" in out
    assert "analog-noisy" in out
    for name in metrics.FILES:
        assert f"{name}: not found: optional, and cannot be fetched: put {name}" in out


@pytest.mark.parametrize("command", [["query", "9930", "--metric", "params"], ["metrics"]])
def test_all_formats(stc_bench, tmp_path: Path, command: list[str]) -> None:
    for form in FORMATS:
        status, out, err = stc_bench(*command, "--data-dir", tmp_path, "--benchmark", "analog", "--format", form)
        assert (status, err) == (0, "")
        assert "trainable parameters of the network" in " ".join(out.split()) or (form == "csv" and "params" in out)


def test_bad_metrics_end_in_one_line(stc_bench, tmp_path: Path) -> None:
    for args, expected in ((("--metric", "x"), 2), (("--metric", "naswot"), 1), (("--benchmark", "analog:x"), 2)):
        status, out, err = stc_bench("query", "1", "--data-dir", tmp_path, *args)
        assert (status, out) == (expected, "")
        assert err.startswith("Error: ")
        assert err.count("\n") == 1


def test_without_the_package(monkeypatch, tmp_path: Path) -> None:
    bench = open_benchmark("analog")
    monkeypatch.setattr(analog, "find_file", lambda: None)
    assert not [name for name in find_metrics(bench, tmp_path) if name.startswith("analog")]
    with pytest.raises(DataError, match="pip install analog-nasbench"):
        open_benchmark("analog:noisy", tmp_path)


def test_files_are_found_below_a_data_folder(metrics_dir: Path, tmp_path: Path, nb201: Benchmark) -> None:
    (tmp_path / "nb201").mkdir()
    os.symlink(metrics_dir / metrics.HARDWARE, tmp_path / "nb201" / metrics.HARDWARE)
    assert files.find(tmp_path, [metrics.HARDWARE]) is not None
    assert find_metric("fpga-latency", nb201, tmp_path).values([0]) == pytest.approx([2.57296])
    shutil.rmtree(tmp_path / "nb201")
    assert "fpga-latency" not in find_metrics(nb201, tmp_path)
