"""The command line as a user types it: what it prints, how it refuses, and that looking things up stays light."""

import csv
import gzip
import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nasbench_stc import Cell, open_benchmark
from nasbench_stc.cli import options
from nasbench_stc.methods import of_kind, ours

SMOKE = ["search", "--dataset", "digits", "--protocol", "smoke", "--device", "cpu"]


@pytest.fixture(autouse=True)
def empty_data_dir(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("STC_BENCH_DATA", str(tmp_path_factory.mktemp("data")))


def test_search_then_report(stc_bench, tmp_path):
    status, out, err = stc_bench(*SMOKE, "--seeds", "2", "--out", tmp_path)
    assert (status, err) == (0, "")
    assert "protocol smoke" in out.splitlines()[0]
    assert "about seconds" in out.splitlines()[1]
    assert "benchmark analog" in out.splitlines()[2]
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*/record.json"))]
    for record in records:
        assert f"stc seed {record['seed']} = {Cell.parse(record['cell']).index} = {record['cell']}\n" in out
        assert f"{record['scores']['cifar10-test']:.2f}" in out
    status, out, err = stc_bench("report", "--table", 6, "--results", tmp_path)
    assert (status, err) == (0, "")
    printed, ours = (line for line in out.splitlines() if line.startswith("  STC-NAS"))
    assert "93.41±0.20" in printed
    mean = sum(record["scores"]["cifar10-test"] for record in records) / 2
    assert f" {mean:.2f}±" in ours
    (largest,) = (line for line in out.splitlines() if line.startswith("  largest cell"))
    assert f" {open_benchmark('analog').accuracy([Cell((3,) * 6)])[0]:.2f} " in largest


def test_search_shows_all_six_columns(stc_bench, tmp_path, table_path):
    status, out, _ = stc_bench(*SMOKE, "--seeds", "1", "--out", tmp_path, "--benchmark", table_path)
    assert status == 0
    record = json.loads(next(tmp_path.glob("*/record.json")).read_text())
    assert len(record["scores"]) == 6
    row = next(line for line in out.splitlines() if line.split()[:3] == ["stc", "seed", "0"])
    assert row.split()[3:9] == [f"{value:.2f}" for value in record["scores"].values()]


def test_several_methods_in_one_command(stc_bench, tmp_path):
    status, out, err = stc_bench(*SMOKE, "--method", "rsps,darts", "--seeds", "2", "--out", tmp_path)
    assert (status, err) == (0, "")
    records = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*/record.json"))]
    assert [(r["method"], r["seed"]) for r in records] == [("darts", 0), ("darts", 1), ("rsps", 0), ("rsps", 1)]
    assert [r["trajectory"][-1]["cell"] for r in records] == [records[0]["cell"], records[1]["cell"], None, None]
    for record in records:
        index = Cell.parse(record["cell"]).index
        assert f"{record['method']} seed {record['seed']} = {index} = {record['cell']}\n" in out
    assert options.method_names("--method", "stc,few", {"few": ["rs", "rea"]}) == ["stc", "rs", "rea"]
    for wrong, said in (("stc,darts9", "unknown method 'darts9'"), ("stc,stc", "each once")):
        status, _, err = stc_bench(*SMOKE, "--method", wrong, "--out", tmp_path)
        assert (status, said in err) == (2, True)


def test_report_formats_and_files(stc_bench, tmp_path):
    status, out, _ = stc_bench("report", "--results", tmp_path)
    assert status == 0
    assert "stc-bench search --dataset cifar10 --seeds 3" in out
    for form in ("markdown", "latex", "csv", "json", "html"):
        assert stc_bench("report", "--results", tmp_path, "--format", form, "--out", tmp_path / form)[:2] == (0, "")
        assert "93.41" in (tmp_path / form).read_text()
    for ending, starts in ((".md", "**"), (".csv", "section,method,"), (".json", "{"), (".txt", "What was found")):
        assert stc_bench("report", "--results", tmp_path, "--out", tmp_path / f"a{ending}")[0] == 0
        assert (tmp_path / f"a{ending}").read_text().startswith(starts)
    for wrong, said in (
        (("--table", "6", "--out", tmp_path / "a.pdf"), "a.pdf: a table ends in .html, .csv, .json, .tex, .md, .txt"),
        (("--results", tmp_path / "none"), "there is no folder"),
        (("--table", "6", "--split", "valid"), "--dataset and --split are of the figures pareto and anytime"),
        (("--figure", "5", "--dataset", "cifar100", "--format", "csv"), "are of the figures pareto and anytime"),
    ):
        status, _, err = stc_bench("report", *wrong)
        assert status == 2 and said in err
    status, _, err = stc_bench("report", "--format", "word")
    assert (status, err) == (2, "Error: unknown format 'word': choose from text, markdown, latex, csv, json, html\n")
    assert stc_bench("report", "--table", 99)[0] == 2
    status, _, err = stc_bench("report", "--out", tmp_path / "no" / "such" / "folder" / "t.txt")
    assert status == 2
    assert "cannot be written" in err


def test_report_names_damaged_records_and_goes_on(stc_bench, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text("{")
    status, out, err = stc_bench("report", "--results", tmp_path)
    assert status == 0
    assert "STC-NAS" in out
    assert err.startswith("left out: ")
    assert "damaged" in err


def test_query_9930(stc_bench, table_path):
    args = ("query", "9930", "--benchmark", table_path)
    status, out, _ = stc_bench(*args)
    assert status == 0
    row, string = (line for line in out.splitlines() if line.split()[:1] == ["9930"])
    assert row.split()[1:13:2] == ["91.55", "94.36", "73.49", "73.51", "46.37", "46.34"]
    assert row.split()[4:9:4] == ["#3", "#1"]
    assert string == f"9930 = 333133 = {Cell.from_index(9930)}"
    assert max(len(line) for line in out.splitlines() if line != string) <= 100
    (found,) = json.loads(stc_bench(*args, "--format", "json")[1])["rows"]
    assert (found["cifar100-test"], found["cifar100-test_rank"]) == (pytest.approx(73.51, abs=0.005), 1)
    assert found["benchmark"] == "nb201" and len(found["benchmark_sha256"]) == 64
    assert (found["index"], found["digits"], found["cell"]) == (9930, "333133", str(Cell.from_index(9930)))
    (line,) = csv.DictReader(io.StringIO(stc_bench(*args, "--format", "csv", "--dataset", "cifar10")[1]))
    assert (line["digits"], line["cifar10-test"], line["cifar10-test_rank"]) == ("333133", "94.3633", "3")
    assert "cifar100-test" not in line
    assert "12 epochs" in stc_bench(*args, "--epochs", 100)[2]


def test_a_group_of_methods_leaves_out_who_cannot(stc_bench, tmp_path):
    small = [part for change in ("candidates=2", "channels=4", "cells_per_stage=1") for part in ("--set", change)]
    command = ("search", "--method", "training-free,rs", "--dataset", "digits", "--benchmark", "analog", *small)
    status, out, err = stc_bench(*command, "--seeds", "2", "--out", tmp_path)
    assert (status, err) == (0, "")
    for name in ("area", "rs"):
        assert f"left out: {name}: no benchmark has trainings on digits" in out
    found = sorted(json.loads(path.read_text())["method"] for path in tmp_path.glob("*/runs.json"))
    assert found == sorted(name for name in of_kind("training-free") if name != "area")
    status, out, err = stc_bench("search", "--method", "black-box", "--dataset", "digits", "--out", tmp_path)
    assert status == 2 and "no method is left" in err


def test_one_method_that_cannot_is_an_error(stc_bench, tmp_path):
    for arguments, said in (
        (("rs", "--dataset", "digits"), "has no trainings on 'digits'"),
        (("rs", "--protocol", "cpu"), "unknown protocol of black-box methods 'cpu': choose from auto, nats-bench"),
        (
            ("naswot", "--protocol", "cpu"),
            "unknown protocol of training-free methods 'cpu': choose from auto, untrained",
        ),
        (("rs", "--protocol", "nas-bench-201"), "the benchmark has no training times"),
        (("rs", "--set", "epochs=90", "--set", "nothing=1"), "unknown setting 'nothing': protocol has budget"),
    ):
        command = ("search", "--benchmark", "analog", "--out", tmp_path, "--method", *arguments)
        status, _, err = stc_bench(*command)
        assert (status, said in err) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_space_without_a_benchmark_says_so_and_what_cells_cost(stc_bench, tmp_path):
    status, out, _ = stc_bench("query", "--space", "darts", "DARTS_V2", "--dataset", "imagenet", "--format", "json")
    (row,) = json.loads(out)["rows"]
    assert status == 0 and (row["params_m"], row["mflops"]) == (4.718752, 529.91155)
    assert not any("test" in name or "valid" in name for name in row)
    assert "Percent right" not in stc_bench("query", "--space", "darts", "DARTS_V2")[1]
    status, _, err = stc_bench("query", "--space", "darts", "--best", 3)
    assert status == 2 and "too many to list" in err
    status, _, err = stc_bench("query", "--space", "darts", "DARTS_V2", "--split", "test")
    assert status == 2 and "no benchmark to look up in: there is no table of DARTS" in err
    for method in ("naswot", "params"):
        status, _, err = stc_bench("search", "--space", "darts", "--method", method, "--out", tmp_path)
        assert status == 2 and "training-free scores know no networks of DARTS" in err
    status, out, _ = stc_bench("search", "--space", "darts", "--method", "training-free,rs", "--out", tmp_path)
    assert status == 2 and "left out: rs: there is no table of DARTS" in out and "left out: naswot" in out
    status, _, err = stc_bench("search", "--space", "darts", "--method", "rs", "--out", tmp_path)
    assert status == 2 and "simulated searches live on a benchmark: there is no table of DARTS" in err
    assert not list(tmp_path.iterdir())


def test_what_is_to_be_typed_next_is_of_that_space_and_folder(tmp_path):
    assert options.report_command("--table 6", "tss", Path("results")) == "stc-bench report --table 6"
    told = options.report_command("--table 6", "darts", tmp_path / "a b")
    assert told == f"stc-bench report --table 6 --space darts --results '{tmp_path}/a b'"


def test_what_the_system_refuses_is_said_in_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nasbench_stc", "query", "5", "--benchmark", "analog"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "Error: output: No space left on device\n")


def test_query_takes_a_cell_by_any_name(stc_bench):
    string = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"
    out = stc_bench("query", "9930", "333133", string, "--format", "csv")[1]
    lines = out.splitlines()[1:]
    assert len(lines) == 3
    assert len(set(lines)) == 1


@pytest.mark.parametrize(
    ("by", "index", "percent"),
    [
        ("cifar10-valid", 6111, 91.61),
        ("cifar10-test", 6111, 94.37),
        ("cifar100-test", 9930, 73.51),
        ("ImageNet16-120-valid", 10676, 46.73),
        ("ImageNet16-120-test", 857, 47.31),
    ],
)
def test_the_best_cells_by_a_column(stc_bench, table_path, by, index, percent):
    args = ("query", "--best", 10, "--by", by, "--benchmark", table_path)
    content = json.loads(stc_bench(*args, "--format", "json")[1])
    found = [cell[by] for cell in content["rows"]]
    assert (content["rows"][0]["index"], round(found[0], 2)) == (index, percent)
    assert found == sorted(found, reverse=True)
    ranks = [cell[f"{by}_rank"] for cell in content["rows"]]
    assert ranks[0] == 1 and ranks == sorted(ranks)
    said = f"The 10 best of all cells by {by}, where high is good: highest first."
    assert content["caption"][0] == said
    assert said in " ".join(stc_bench(*args)[1].split())


def test_the_worst_cells_and_those_by_a_metric(stc_bench, table_path):
    def rows(*args):
        status, out, err = stc_bench("query", "--benchmark", table_path, "--format", "csv", *args)
        assert (status, err) == (0, "")
        return list(csv.DictReader(io.StringIO(out)))

    assert [row["ImageNet16-120-test"] for row in rows("--worst", 2, "--dataset", "ImageNet16-120")] == ["0.8333"] * 2
    assert rows("--best", 3) == rows("--best", 3, "--by", "cifar10-test")
    assert rows("--best", 1, "--split", "valid", "--dataset", "cifar100")[0]["cifar100-valid_rank"] == "1"
    assert rows("--best", 1, "--epochs", 12)[0]["cifar10-test_rank"] == "1"
    (elsewhere,) = rows("--best", 1, "--by", "cifar100-test", "--dataset", "cifar10")
    assert (elsewhere["index"], elsewhere["cifar100-test"][:5]) == ("9930", "73.51")
    assert [row["params_m"] for row in rows("--best", 5, "--by", "params")] == ["0.073306"] * 5
    assert [row["digits"] for row in rows("--worst", 1, "--by", "params")] == ["333333"]
    seconds = [float(row["train-seconds-valid"]) for row in rows("--best", 4, "--by", "train-seconds-valid")]
    assert seconds == sorted(seconds)
    assert len(rows("--worst", 20000, "--by", "mflops")) == 15_625
    out = stc_bench("query", "--benchmark", table_path, "--best", 5, "--by", "params")[1]
    said = "The 5 best of all cells by params, where low is good: lowest first; 724 more are equal to the last."
    assert said in " ".join(out.split())
    out = stc_bench("query", "--benchmark", table_path, "--worst", 1, "--by", "params")[1]
    assert "The 1 worst of all cells by params, where low is good: highest first." in out


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "give cells, or --best N, or --worst N"),
        (["9930", "--best", "1"], "give cells, or --best N, or --worst N"),
        (["--best", "1", "--worst", "1"], "give cells, or --best N, or --worst N"),
        (["9930", "--by", "params"], "--by is of --best and --worst"),
        (["--best", "0"], "0 is not in the range x>=1"),
        (["--best", "1", "--by", "parms"], "--by parms: unknown metric 'parms': did you mean params?"),
        (["--best", "1", "--by", "speed"], "columns of analog: cifar10-test"),
        (["--best", "1", "--by", "cifar100-test"], "benchmark analog does not hold cifar100 test"),
    ],
)
def test_bad_orders_end_in_one_line(stc_bench, args, said):
    status, out, err = stc_bench("query", *args, "--benchmark", "analog")
    assert (status, out, said in err, err.count("\n")) == (2, "", True, 1)


def test_query_takes_other_tools_lists(stc_bench):
    for cell, encoding in (
        ("(4, 3, 3, 0, 0, 0)", "naslib"),
        ("avg_pool_3x3,nor_conv_1x1,skip_connect,nor_conv_1x1,skip_connect,skip_connect", "syne-tune"),
    ):
        status, out, err = stc_bench("query", cell, "--encoding", encoding, "--format", "csv")
        assert (status, err, out.splitlines()[1][:9]) == (0, "", ",0,421211")
        status, out, err = stc_bench("query", cell)
        assert (status, out) == (2, "") and "say whose it is, naslib or syne-tune (--encoding" in err
        assert stc_bench("score", cell, "--encoding", encoding, "--score", "params")[0] == 0


def test_query_says_how_a_file_number_is_read(stc_bench):
    status, out, err = stc_bench("query", "000012", "--format", "csv")
    index = Cell.parse("000012").index
    assert (status, out.splitlines()[1].startswith(f",{index},000012,")) == (0, True)
    assert err.startswith(f"Note: 000012 is read as six digits, the operations of cell {index}; ")
    assert err.endswith("the cell of the official file 000012 is 12\n")
    assert stc_bench("query", "12", "333133")[2] == ""


def test_methods_lists_what_there_is(stc_bench):
    status, out, _ = stc_bench("methods")
    assert status == 0
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  ")]
    assert [name for name in listed if not name.startswith("optuna:")] == list(ours())
    assert out.startswith("one-shot: ") and re.search("\n  stc +STC-NAS", out)
    assert "noise=0.3" not in out
    out = stc_bench("methods", "stc")[1]
    assert "noise=0.3" in out
    assert "batch_size=64" in out
    assert stc_bench("methods", "darts9")[0] == 2


def test_data_status_and_doctor(stc_bench):
    out = stc_bench("data", "status")[1]
    assert "stc-bench data fetch cifar10" in out
    assert "nb201" in out
    out = stc_bench("doctor")[1]
    for word in ("torch", "python", "device", "GiB free", "analog"):
        assert word in out
    assert stc_bench("data", "fetch", "mnist")[0] == 2


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["--dataset", "mnist"], 2, "unknown data set 'mnist': choose from cifar10"),
        (["--method", "darts9"], 2, "unknown method 'darts9': choose from rsps"),
        (["--protocol", "quick"], 2, "unknown protocol 'quick': choose from auto, paper"),
        (["--set", "nose=1"], 2, "unknown setting 'nose'"),
        (["--set", "noise"], 2, "expected KEY=VALUE"),
        (["--set", "noise=1", "--set", "noise=2"], 2, "--set noise: given as 1 and as 2"),
        (["--set", "noise=loud"], 2, "noise='loud': expected a number"),
        (["--set", "channels=0"], 2, "channels='0': it has to be at least 1"),
        (["--set", "noise=inf"], 2, "noise='inf': it has to be a finite number"),
        (["--set", "lr=nan"], 2, "lr='nan': it has to be a finite number"),
        (["--set", "epochs=inf"], 2, "epochs='inf': expected a whole number"),
        (["--seeds", "many"], 2, "--seeds 'many'"),
        (["--seeds", "1000000000000"], 2, "more than 100,000 runs"),
        (["--seeds", "0-1000000000000"], 2, "more than 100,000 runs"),
        (["--seeds", "0"], 2, "--seeds '0'"),
        (["--seeds", "1,1"], 2, "--seeds '1,1'"),
        (["--seeds", "-1"], 2, "--seeds '-1'"),
        (["--jobs", "0"], 2, "Invalid value for '--jobs': 0 is not in the range x>=1"),
        (["--jobs", "all"], 2, "Invalid value for '--jobs': 'all' is not a valid integer"),
        (
            ["--jobs", "2", "--method", "rea", "--dataset", "cifar10", "--protocol", "auto"],
            2,
            "there is nothing to divide",
        ),
        (["--no-wait"], 2, "--no-wait goes with --launcher slurm"),
        (["--slurm", "partition=gpu"], 2, "go with --launcher slurm"),
        (["--launcher", "slurm", "--slurm", "gpu"], 2, "--slurm 'gpu': expected KEY=VALUE"),
        (["--launcher", "pbs"], 2, "Invalid value for '--launcher'"),
        (["--device", "tpu"], 2, "unknown device 'tpu': choose from auto, cpu, cuda"),
        (["--benchmark", "nats"], 2, "benchmark 'nats' is neither a path"),
        (["--data-dir", "/dev/null"], 2, "is not a folder"),
        (["--data-dir", "no/such/folder"], 2, "there is no data folder no/such/folder; `stc-bench data fetch"),
        (["--dataset", "cifar10"], 1, "stc-bench data fetch cifar10"),
        (["--benchmark", "nb201"], 1, "no nb201.csv.gz in"),
        (["--sed", "1"], 2, "No such option"),
    ],
)
def test_bad_searches_end_in_one_line(stc_bench, tmp_path, args, status, said):
    got, _, err = stc_bench(*SMOKE, "--seeds", "1", "--out", tmp_path / "out", *args)
    assert got == status
    assert said in err
    assert err.startswith("Error: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_encoding_without_a_cell_is_an_error(stc_bench):
    status, _, err = stc_bench("query", "--best", 3, "--encoding", "naslib")
    assert status == 2 and "--encoding is of cells, and none is given" in err


@pytest.mark.parametrize(
    "cell", ["resnet", "15625", "333135", "|none~0|", "|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|"]
)
def test_bad_cells_end_in_one_line(stc_bench, cell):
    status, out, err = stc_bench("query", cell)
    assert (status, out) == (2, "")
    assert err.startswith("Error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "command",
    [
        ["search"],
        ["search", "--method", "rs"],
        ["search", "--method", "black-box"],
        ["search", "--method", "naswot"],
        ["ablate", "noise"],
        ["score", "1"],
        ["query", "1"],
        ["metrics"],
        ["report", "--figure", "anytime", "--format", "csv"],
        ["data", "fetch"],
    ],
)
def test_every_command_says_which_data_set_is_meant(stc_bench, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    for name, said in (("CIFAR-10", ": type cifar10\n"), ("cifar10-valid", ": type cifar10; valid is a split")):
        status, _, err = stc_bench(*command, *([] if command[0] == "data" else ["--dataset"]), name)
        assert (status, f"{name!r}{said}" in err) == (2, True), err
    assert not list(tmp_path.iterdir())


def test_an_out_that_cannot_be_written(stc_bench, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = stc_bench(*SMOKE, "--seeds", "1", "--out", tmp_path / "file" / "runs")
    assert status == 2
    assert "cannot be written" in err
    assert err.count("\n") == 1


def test_a_truncated_image_file(stc_bench, tmp_path, images_dir):
    folder = tmp_path / "data" / "cifar-10-batches-bin"
    shutil.copytree(images_dir / folder.name, folder)
    os.truncate(folder / "data_batch_4.bin", 1_000_000)
    args = [*SMOKE, "--dataset", "cifar10", "--seeds", "1", "--data-dir", folder.parent, "--out", tmp_path / "out"]
    status, _, err = stc_bench(*args)
    assert status == 1
    assert "data_batch_4.bin: damaged, 1,000,000 bytes instead of 30,730,000" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_table_with_a_missing_column(stc_bench, tmp_path, table_path):
    lines = gzip.decompress(table_path.read_bytes()).decode().splitlines()
    at = lines[0].split(",").index("in_test_200")
    cut = "\n".join(",".join(line.split(",")[:at] + line.split(",")[at + 1 :]) for line in lines)
    (tmp_path / "nb201.csv.gz").write_bytes(gzip.compress(cut.encode(), 1))
    for args in (["query", "1"], [*SMOKE, "--out", tmp_path / "out"]):
        status, _, err = stc_bench(*args, "--data-dir", tmp_path)
        assert status == 1
        assert "no column in_test_200" in err
        assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_cifar10_end_to_end(stc_bench, tmp_path, images_dir, table_path):
    args = ["--seeds", "1", "--data-dir", images_dir, "--benchmark", table_path, "--out", tmp_path, "--device", "cpu"]
    status, _, err = stc_bench("search", "--dataset", "cifar10", "--protocol", "smoke", *args)
    assert (status, err) == (0, "")
    record = json.loads(next(tmp_path.glob("*/record.json")).read_text())
    assert record["split"]["train_images"] == record["split"]["valid_images"] == 25_000
    assert record["split"]["source"] == "cifar-10-batches-bin"
    assert len(record["scores"]) == 6


def test_what_is_about_to_run_is_said_before_the_first_run(stc_bench, tmp_path):
    out = stc_bench(*SMOKE, "--seeds", "5-7", "--out", tmp_path)[1].splitlines()
    assert "about seconds; seeds 5-7; device cpu" in out[1] and out[3] == "3 runs to do"
    for folder in tmp_path.glob("*"):
        path = folder / "record.json"
        path.write_text(
            json.dumps(
                {**json.loads(path.read_text()), "seconds": {"weights": 7000.0, "alpha": 200.0, "evaluation": 0.0}}
            )
        )
    out = stc_bench(*SMOKE, "--seeds", "6,9,10,11", "--out", tmp_path)[1].splitlines()
    assert "seeds 6, 9-11;" in out[1] and "stc seed 6: done before" in out[3]
    assert out[4] == f"3 runs to do: about 6.0 h by records of such runs in {tmp_path}/"
    both = (*SMOKE, "--method", "stc,rsps", "--seeds", "6,12", "--out", tmp_path)
    said = "3 runs to do: about 48 s by records of such runs"
    for path in tmp_path.glob("*/record.json"):
        path.write_text(
            json.dumps({**json.loads(path.read_text()), "seconds": {"weights": 40.0, "alpha": 4.0, "evaluation": 4.0}})
        )
    assert f"{said} in {tmp_path}/, and 2 of which there is none\n" in stc_bench(*both)[1]
    assert "nothing is left to run\n" in stc_bench(*both)[1]


HEAVY = {"torch", "optuna", "torchvision", "sklearn", "matplotlib", "PIL", "nats_bench", "nas_201_api"}
LIGHT = [["-h"], ["search", "-h"], ["profile", "-h"], ["methods"], ["query", "9930"], ["data", "status"], ["report"]]


def test_looking_up_is_light(tmp_path):
    """What takes long to import is not imported; benchmarks/startup.py has the times that this comes to."""
    code = (
        "import contextlib, io, json, sys\n"
        "from nasbench_stc.cli.main import cli\n"
        "for args in json.loads(sys.argv[1]):\n"
        "    with contextlib.redirect_stdout(io.StringIO()) as shown:\n"
        "        cli(args, standalone_mode=False)\n"
        "    print(json.dumps([args, len(shown.getvalue()), list(sys.modules)]))"
    )
    command = [sys.executable, "-c", code, json.dumps(LIGHT)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [args for args, *_ in answers] == LIGHT
    for args, shown, imported in answers:
        assert shown > 0
        heavy = HEAVY if args == ["report"] else HEAVY | {"scipy", "pandas"}
        assert not heavy & set(imported), args


def test_python_m_is_the_same_command(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "nasbench_stc", "query", "-h"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "CELL" in done.stdout


def test_without_a_command_the_help_is_shown_as_it_is():
    done = subprocess.run([sys.executable, "-m", "nasbench_stc"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: ") and "\n  search " in done.stderr


@pytest.mark.parametrize("name", ["a[/b]", "runs[lr=1]"])
def test_folders_are_shown_as_they_are_called(stc_bench, tmp_path, name):
    for method in ("rsps", "rs"):
        how = SMOKE if method == "rsps" else ["search", "--benchmark", "analog"]
        status, out, err = stc_bench(*how, "--method", method, "--seeds", "1", "--out", tmp_path / name)
        assert (status, err, f"in {tmp_path / name}/" in out) == (0, "", True)
    assert stc_bench("report", "--results", tmp_path / name)[0] == 0


def test_a_benchmark_that_cannot_be_read_is_told(stc_bench, tmp_path):
    (tmp_path / "nb201.csv.gz").write_bytes(b"no table")
    status, out, err = stc_bench("report", "--results", tmp_path, "--data-dir", tmp_path)
    assert (status, "nb201.csv.gz" in err, bool(out)) == (0, True, True)
    status, _, err = stc_bench("report", "--results", tmp_path, "--data-dir", tmp_path / "no")
    assert (status, "there is no data folder" in err) == (2, True)


def test_a_cell_that_two_searches_found_is_trained_once_and_that_is_said(stc_bench, tmp_path):
    stc_bench(*SMOKE, "--method", "rsps", "--seeds", "1", "--out", tmp_path)
    (found,) = tmp_path.glob("rsps-*")
    record = json.loads((found / "record.json").read_text())
    (tmp_path / "other").mkdir()
    (tmp_path / "other/record.json").write_text(json.dumps({**record, "method": "setn", "seed": 4}))
    how = ["--dataset", "digits", "--protocol", "smoke", "--device", "cpu", "--out", tmp_path / "trained"]
    status, out, err = stc_bench("train", found, tmp_path / "other", "random", *how)
    assert status == 0
    assert err == "Note: training of setn 4, seed 0: the cell is that of rsps 0, seed 0; it is trained once\n"
    assert not [line for line in out.splitlines() if " n=" in line]  # two cells of two methods have no mean


def test_a_traceback_is_shown_on_demand(tmp_path):
    for debug in ([], ["--debug"]):
        command = [sys.executable, "-m", "nasbench_stc", *debug, "query", "resnet"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ("Traceback" in done.stderr) is bool(debug)


def test_dir_of_the_package_is_its_public_names():
    """Without importing torch or pandas, which some of them do when they are asked for."""
    code = (
        "import sys, nasbench_stc as n; "
        "print([x for x in dir(n) if x[0] != '_'], sys.modules.keys() & {'torch', 'pandas'})"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    frames = ["load_incumbents", "load_ratings", "load_runs", "load_status", "load_trainings", "load_trajectories"]
    assert out.strip() == f"{['Cell', *frames, 'open_benchmark', 'rank_cells', 'search', 'train']} set()"
