"""What searches cost: the measurement, the sweep that keeps it, and Table 3, which puts it beside the paper's."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode

from nasbench_stc.engine import profile as measuring
from nasbench_stc.engine.cost import StepCost
from nasbench_stc.errors import BadCallError, DataError, RunError
from nasbench_stc.methods import load as load_method
from nasbench_stc.methods import of_kind
from nasbench_stc.records import profile
from nasbench_stc.records.profile import SUBNET, Point, Profile
from nasbench_stc.report import FORMATS, Inputs, gather, make_table, published, render
from nasbench_stc.runs import sweep
from nasbench_stc.space import NONE, OPS, TSS, darts_cost, find_space, flops

PUBLISHED = 11
SMALL = {"channels": 4, "resolution": 8}
METHODS = ("rsps", "stc", "darts", "setn", "enas")
DARTS = find_space("darts")
RESULTS = Path(__file__).parents[1] / "results"


class Convolutions(TorchFunctionMode):
    """A clock that goes on by a second with each convolution, however busy the machine is."""

    now = 0.0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.now += func is torch.conv2d
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Profile, Path]:
    """A real sweep of a small supernet, but for the clock."""
    with pytest.MonkeyPatch.context() as patch, Convolutions() as clock:
        patch.setattr(measuring, "time", SimpleNamespace(perf_counter=lambda: clock.now))
        return sweep.sweep(METHODS, [8], [1], tmp_path_factory.mktemp("results"), "cpu", repeats=8, changes=SMALL)


def cost(seconds: float, mib: float, operations: float = 1.0) -> StepCost:
    return StepCost([seconds, 3 * seconds], [mib, 3 * mib], operations, drawn=operations == 1)


def point(method: str, times: float, operations: float = 1.0, depth: int = 5, batch: int = 64) -> Point:
    """A point that costs `times` what the subnet does."""
    steps = {} if method == SUBNET else {"weights": 19500, "alpha": 19500}
    costs = {"weights": cost(0.1 * times, 100 * times, operations), "alpha": cost(0.05 * times, 80 * times, operations)}
    return Point(method, depth, batch, {}, costs, steps, "unknown", "2026-01-01T00:00:00+00:00")


def made_up(*points: Point) -> Profile:
    protocol = {"resolution": 0, "channels": 16, "precision": "float32"}
    return Profile("CPU: a_processor 100%", 1, {"torch": "2.6"}, protocol, 32, list(points))


def usual() -> Profile:
    return made_up(
        *(
            point(method, times, operations, depth)
            for depth in (5, 1)
            for method, times, operations in ((SUBNET, 1, 1), ("stc", 1.1, 1), ("gdas", 0.9, 1), ("darts", 3, 5))
        )
    )


# The measurement


def test_single_paths_cost_less_than_all_operations(tiny: tuple[Profile, Path]) -> None:
    by_method = {point.method: point for point in tiny[0].points}
    assert list(by_method) == [SUBNET, *METHODS]
    assert {name: point.costs.keys() for name, point in by_method.items()} == {
        SUBNET: {"weights", "alpha"},
        "rsps": {"weights"},
        "stc": {"weights", "alpha"},
        "darts": {"weights", "alpha"},
        "setn": {"weights", "alpha"},
        "enas": {"weights", "closing"},
    }
    operations = {
        (name, kind): cost.operations for name, point in by_method.items() for kind, cost in point.costs.items()
    }
    assert {key for key, ran in operations.items() if ran != 1} == {
        ("darts", "weights"),
        ("darts", "alpha"),
        ("setn", "alpha"),
    }
    for name in ("rsps", "stc", SUBNET, "enas"):
        assert by_method["darts"].peak_mib > 1.3 * by_method[name].peak_mib
    darts, stc = by_method["darts"].costs, by_method["stc"].costs
    quickest = {name: min(costs["weights"].seconds) for name, costs in (("darts", darts), ("stc", stc))}
    assert quickest["darts"] > 1.3 * quickest["stc"] > 0
    assert stc["weights"].drawn and len(stc["weights"].seconds) == len(stc["weights"].mib) == 8
    assert not darts["weights"].drawn and len(darts["weights"].seconds) == 4 and len(darts["weights"].mib) == 1


@pytest.mark.parametrize("form", ["plan", "static"])
def test_every_precision_and_form_is_measured(form: str) -> None:
    for precision in ("float32", "float64"):
        changes = {"precision": precision, "form": form}
        engine = sweep.plan("stc", protocol="smoke", changes=changes, device="cpu").engine
        darts = load_method("darts")
        found = measuring.measure_method(lambda g: darts(darts.Settings(), g), engine, torch.device("cpu"), 1, True)  # noqa: B023
        assert {kind: cost.operations for kind, cost in found.costs.items()} == {"weights": 5, "alpha": 5}
        assert {cost.passes for cost in found.costs.values()} == {1}
        fair = load_method("fairnas")
        found = measuring.measure_method(lambda g: fair(fair.Settings(), g), engine, torch.device("cpu"), 1, True)  # noqa: B023
        assert {kind: (cost.operations, cost.passes) for kind, cost in found.costs.items()} == {"weights": (1, 5)}
        subnet = measuring.measure_subnet(engine, torch.device("cpu"), 1)
        assert subnet.costs.keys() == {"weights", "alpha"}


def test_a_search_has_as_many_steps_as_the_protocol_says(tiny: tuple[Profile, Path]) -> None:
    steps = {point.method: point.steps for point in tiny[0].points}
    assert steps[SUBNET] == {}
    assert steps["rsps"] == {"weights": 50 * (25_000 // 8)}
    assert steps["stc"] == {"weights": 156_250, "alpha": 156_250}
    assert steps["enas"] == {"weights": 156_250, "closing": 50 * 50 * 20}
    uniform = measuring.measure_method(  # alpha rests in half of the epochs, and is measured in the others
        lambda generator: load_method("stc")(replace(load_method("stc").Settings(), uniform=0.5), generator),
        replace(sweep.plan("stc", protocol="smoke", device="cpu").engine, batch_size=4),
        torch.device("cpu"),
        2,
    )
    assert uniform.steps == {"weights": 6, "alpha": 3}


def test_the_subnet_has_each_operation_equally_often() -> None:
    ops = np.array([cell.ops for cell in measuring.subnet_cells()])
    assert ops.shape == (measuring.SUBNETS, 6)
    for edge in ops.T:
        assert sorted(edge) == sorted([op for op in range(len(OPS)) if op != NONE] * 2)
    assert measuring.subnet_cells() == measuring.subnet_cells()
    all_operations = 7.78305 + 6 * (3.93216 + 35.38944)  # the official files' skeleton and convolutions
    assert TSS.growth(5) == pytest.approx(all_operations / flops(measuring.subnet_cells()).mean())
    assert 1 < TSS.growth(1) < TSS.growth(5) < 4


def test_the_subnet_of_darts_keeps_two_inputs_of_a_node_with_each_operation_equally_often() -> None:
    cells = measuring.subnet_cells(DARTS)
    assert cells == measuring.subnet_cells(DARTS) and {cell.space for cell in cells} == {"darts"}
    every = list(range(DARTS.none + 1, len(DARTS.ops)))
    for node in DARTS.inputs:
        kept = np.array([[cell.ops[edge] for edge in node if cell.ops[edge] != DARTS.none] for cell in cells])
        assert [sorted(column) for column in kept.T] == [every, every]
    assert len({tuple(op == DARTS.none for op in cell.ops) for cell in cells}) > 1  # not always the same inputs


@pytest.mark.parametrize("depth", [2, 6])
def test_what_all_operations_cost_in_the_darts_space_is_counted_by_its_formula(depth: int) -> None:
    size, edges = darts_cost.Size(16, depth, 10, 32), len(DARTS.edges)
    nothing, *each = darts_cost.costs([(op,) * edges for op in range(len(DARTS.ops))], size)[:, 1]
    all_operations = nothing + sum(one - nothing for one in each)
    draws = np.random.default_rng(0)
    for cells in ([DARTS.drawn(draws) for _ in range(2000)], [cell.ops for cell in measuring.subnet_cells(DARTS)]):
        mean = darts_cost.costs(cells, size)[:, 1].mean()
        assert DARTS.growth(depth) == pytest.approx(all_operations / mean, rel=0.01)


# The sweep and its record


def test_a_killed_sweep_continues_and_another_adds(
    tiny: tuple[Profile, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done, path = tiny
    killed = replace(done, points=done.points[:2])
    killed.write(tmp_path)
    measured: list[str] = []
    measure = sweep.measure_method

    def counting(*args: Any) -> Any:
        measured.append("one")
        return measure(*args)

    monkeypatch.setattr(sweep, "measure_method", counting)
    told: list[str] = []
    again, where = sweep.sweep(
        ["rsps", "stc"], [8], [1], tmp_path, "cpu", 8, lambda what, *_: told.append(what), changes=SMALL
    )
    assert where.name == path.name and measured == ["one"]
    assert again.points[:2] == killed.points and again.points[2].method == "stc"
    assert told == [*(f"{name}, N=1, batch size 8" for name in (SUBNET, "rsps", "stc")), "done"]
    assert profile.read(where) == again
    assert sorted(found.name for found in tmp_path.iterdir()) == [where.name]  # and no lock


def test_what_fails_is_named_and_the_rest_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def out_of_memory(*args: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmuch")

    monkeypatch.setattr(sweep, "measure_method", out_of_memory)
    with pytest.raises(RunError, match=r"stc, N=1, batch size 8: CUDA out of memory.*\(1 of 2 points are in"):
        sweep.sweep(["stc"], [8], [1], tmp_path, "cpu", 8, changes=SMALL)
    ((kept,), problems) = profile.read_all([tmp_path])
    assert [point.method for point in kept.points] == [SUBNET] and not problems


def test_a_profile_is_read_as_it_was_written(tiny: tuple[Profile, Path]) -> None:
    assert profile.read(tiny[1]) == tiny[0]
    assert replace(tiny[0], threads=99).file_name != tiny[0].file_name


def test_files_of_before_there_were_spaces_are_found_again() -> None:
    older = [path for path in RESULTS.glob("profile-*.json") if "space" not in json.loads(path.read_text())]
    assert older
    for path in older:
        found = profile.read(path)
        assert (found.space, found.file_name) == ("tss", path.name)
        assert replace(found, space="darts").file_name != path.name
        subnet = next(point for point in found.points if point.method == SUBNET)
        assert subnet.settings == {"cells": [str(cell) for cell in measuring.subnet_cells()]}


def test_other_spaces_are_measured_and_have_profiles_of_their_own(tiny: tuple[Profile, Path], tmp_path: Path) -> None:
    found, path = sweep.sweep(["stc", "darts"], [2], [1], tmp_path, "cpu", 2, changes=SMALL, space="darts")
    tiny[0].write(tmp_path)
    assert profile.read(path) == found and found.space == "darts"
    subnet, stc, darts = found.points
    assert (subnet.method, subnet.settings) == (SUBNET, {"cells": list(map(str, measuring.subnet_cells(DARTS)))})
    assert {kind: cost.operations for kind, cost in darts.costs.items()} == {"weights": 8, "alpha": 8}
    assert darts.peak_mib > 1.5 * stc.peak_mib > 1.5 * subnet.peak_mib
    for space, methods in (("darts", ["Subnet", "STC-NAS", "DARTS"]), ("tss", ["Subnet", *METHODS]), ("sss", None)):
        inputs = gather([tmp_path], space=space)
        if methods is None:
            assert not inputs.profiles
            continue
        table = make_table(3, inputs)
        assert len(table.rows) == PUBLISHED + len(methods) and not table.missing
    with pytest.raises(BadCallError, match="size space has no supernet"):
        sweep.sweep(["stc"], [2], [1], tmp_path, "cpu", 2, space="sss")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda content: content.update(schema=99), "schema 99"),
        (lambda content: content.pop("schema"), "no profile"),
        (lambda content: content.pop("threads"), r"damaged.*threads"),
        (lambda content: content["points"][0].pop("method"), "damaged"),
        (lambda content: content["points"][0]["costs"].pop("weights"), "damaged"),
        (lambda content: content["points"][0]["costs"]["weights"].update(seconds=[]), "damaged"),
        (lambda content: content["points"][0]["costs"]["weights"].update(mib=["much"]), "damaged"),
        (lambda content: content["points"][0]["costs"].pop("alpha"), "damaged"),  # the subnet's
        (lambda content: content.update(points=None), "damaged"),
        (lambda content: content.update(protocol={}), "damaged"),
        (lambda content: content.update(space="nas"), "damaged.*unknown space 'nas'"),
    ],
)
def test_damaged_and_foreign_profiles_are_refused(
    damage: Callable[[dict[str, Any]], object], says: str, tmp_path: Path
) -> None:
    path = usual().write(tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))
    damage(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=says):
        profile.read(path)
    found, problems = profile.read_all([tmp_path])
    assert not found and len(problems) == 1
    path.write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match="no JSON"):
        profile.read(path)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--methods", "stc,nonesuch"], "unknown method 'nonesuch': choose from rsps"),
        (["--methods", "stc,stc"], "each once"),
        (["--batch-sizes", "1,x"], "--batch-sizes '1,x'"),
        (["--cells-per-stage", "0"], "--cells-per-stage '0'"),
        (["--batch-sizes", "1"], "batch_size=1"),
        (["--space", "nas"], "unknown space 'nas'"),
        (["--set", "channels"], "expected KEY=VALUE"),
    ],
)
def test_bad_calls_say_what_is_wrong(
    stc_bench: Callable[..., tuple[int, str, str]], args: list[str], says: str
) -> None:
    status, _, err = stc_bench("profile", *args)
    assert status == 2 and says in err


# Table 3


@pytest.mark.parametrize(
    ("cells", "method", "batch_size", "memory", "days", "complexities"),
    [
        (8, "DARTS", 64, 9.4, 0.75, ("O(nM)", "O(nT)")),
        (8, "GDAS", 256, 6.8, 0.18, ("O(M)", "O(T)")),
        (8, "STC-NAS", 64, 1.8, 0.142, ("O(M)", "O(T)")),
        (8, "STC-NAS", 256, 5.5, 0.059, ("O(M)", "O(T)")),
        (20, "SNAS", 96, 83, 15.6, ("O(nM)", "O(nT)")),
        (20, "STC-NAS", 96, 12, 0.22, ("O(M)", "O(T)")),
    ],
)
def test_golden_rows(
    cells: int, method: str, batch_size: int, memory: float, days: float, complexities: tuple[str, str]
) -> None:
    rows = published.load_costs().rows
    assert len(rows) == PUBLISHED
    row = next(row for row in rows if (row.cells, row.method, row.batch_size) == (cells, method, batch_size))
    assert row.memory_gb and row.gpu_days
    assert (row.memory_gb.value, row.gpu_days.value) == (memory, days)
    assert (row.memory_complexity, row.time_complexity) == complexities
    assert all("Table 3" in figure.source for figure in (row.memory_gb, row.gpu_days))


@pytest.mark.parametrize("damage", ["no source", "no cost", "unknown key"])
def test_damaged_published_costs_are_refused(damage: str, tmp_path: Path) -> None:
    text = Path(published.__file__).with_suffix("").joinpath("table3.json").read_text(encoding="utf-8")
    content = json.loads(text)
    row = content["rows"][1]
    if damage == "no source":
        row["gpu_days"]["source"] = ""
    elif damage == "no cost":
        row["memory_gb"]["value"] = 0
    else:
        row["memory"] = 1
    file = tmp_path / "table3.json"
    file.write_text(json.dumps(content))
    with pytest.raises(DataError, match=r"table3\.json, row 2 \(DARTS\): damaged"):
        published.read(file, published.PublishedCosts)


def test_a_point_is_a_row_beside_the_subnet() -> None:
    rows = make_table(3, Inputs.of(profiles=[usual()])).rows[PUBLISHED:]
    assert [(row.section, row.values["method"]) for row in rows] == [
        (f"Ours, L={cells}", method) for cells in (17, 5) for method in ("Subnet", "STC-NAS", "GDAS", "DARTS")
    ]
    stc, darts = rows[1].values, rows[3].values
    assert stc["memory"] == pytest.approx(220 / 1024)  # the mean of drawn steps, of the kind that needs most
    assert stc["highest"] == pytest.approx(330 / 1024)
    assert (stc["weights_seconds"], stc["alpha_seconds"]) == (pytest.approx(0.22), pytest.approx(0.11))
    assert stc["search_days"] == pytest.approx(19500 * 0.33 / 86_400)
    assert [stc[f"{kind}_ratio"] for kind in ("memory", "weights", "alpha")] == pytest.approx([1.1] * 3)
    assert (stc["memory_complexity"], stc["time_complexity"], stc["agrees"]) == ("O(M)", "O(T)", "yes")
    assert (darts["memory_complexity"], darts["time_complexity"], darts["agrees"]) == ("O(nM)", "O(nT)", "yes")
    assert rows[0].values["agrees"] is None and rows[0].values["search_days"] is None


def test_devices_have_sections_of_their_own_and_replayed_steps_no_ratio_of_seconds() -> None:
    here = made_up(point(SUBNET, 1), point("stc", 3))
    card = replace(here, device="A Card", protocol={**here.protocol, "form": "static"})
    *_, on_cpu, _, on_card = make_table(3, Inputs.of(profiles=[here, card])).rows[PUBLISHED:]
    assert (on_cpu.section, on_card.section) == ("Ours, L=17, a_processor 100%", "Ours, L=17, A Card")
    assert (
        on_cpu.values["weights_ratio"] == pytest.approx(3) and on_cpu.values["agrees"] == "not memory, weights, alpha"
    )
    assert "weights_ratio" not in on_card.values and on_card.values["weights_seconds"]
    assert on_card.values["memory_ratio"] == pytest.approx(3) and on_card.values["agrees"] == "not memory"


def test_growth_that_is_not_as_claimed_is_named() -> None:
    subnet, cheap, dear = point(SUBNET, 1), point("darts", 1.2, 5), point("stc", 3)
    setn = replace(
        point("setn", 1), costs={"weights": cost(0.1, 100), "alpha": cost(0.15, 300, 5)}
    )  # claimed by nobody: by what runs
    rows = make_table(3, Inputs.of(profiles=[made_up(subnet, cheap, dear, setn)])).rows[PUBLISHED:]
    assert [row.values["agrees"] for row in rows] == [
        None,
        "not memory, weights, alpha",
        "not memory, weights, alpha",
        "yes",
    ]
    assert (rows[3].values["memory_complexity"], rows[3].values["time_complexity"]) == ("O(nM)", "O(T)+O(nT)")
    without = make_table(3, Inputs.of(profiles=[made_up(dear)])).rows[-1].values
    assert without["agrees"] is None and "memory_ratio" not in without


def test_some_operations_at_once_and_paths_one_after_another() -> None:
    of_one, of_all = 1.0, TSS.growth(5)
    assert of_all is not None
    of_two = of_one + (of_all - of_one) / 4  # a quarter of the way from one to five
    fair = point("fairnas", of_all)
    fair = replace(
        fair,
        costs={"weights": replace(fair.costs["weights"], passes=5.0, mib=[100.0, 120.0])},
        steps={"weights": 19500},
    )
    points = [point(SUBNET, 1), point("duel", of_two, 2), point("duel", of_one, 2), point("duel", of_all, 2), fair]
    rows = make_table(3, Inputs.of(profiles=[made_up(*points)])).rows[PUBLISHED:]
    told = [tuple(row.values[key] for key in ("memory_complexity", "time_complexity", "agrees")) for row in rows[1:]]
    wrong = "not memory, weights, alpha"
    assert told == [*(("O(2M)", "O(2T)", said) for said in ("yes", wrong, wrong)), ("O(M)", "O(nT)", "yes")]


def test_the_caption_says_how_it_was_measured() -> None:
    table = make_table(3, Inputs.of(profiles=[usual()]))
    caption = " ".join((*table.caption, *table.more))
    for phrase in ("EXTRAPOLATED", "profiler", "allocator", "3.65 at L=17, 2.81 at L=5", "1.66 at L=17", "V100"):
        assert phrase in caption
    assert "5.2 times the memory and 5.3 times the days at L=8" in caption
    assert (
        make_table(3, Inputs.of()).missing[0].command
        == "stc-bench profile --methods stc,gdas,darts --batch-sizes 16,32,64"
    )
    assert len(make_table(3, Inputs.of()).rows) == PUBLISHED


def test_in_the_darts_space_the_printed_rows_stand_beside_ours() -> None:
    points = [point(*what, depth=2) for what in ((SUBNET, 1), ("stc", 1.5), ("darts", 5, 8), ("gdas", 3))]
    own = replace(made_up(*points), space="darts")
    table = make_table(3, Inputs.of(profiles=[own], space=DARTS))
    assert [row.section for row in table.rows[PUBLISHED:]] == ["Ours, L=8"] * 4
    border = DARTS.growth(2) ** 0.5
    assert 1.5 < border < 3
    assert [row.values["agrees"] for row in table.rows[PUBLISHED:]] == [
        None,
        "yes",
        "yes",
        "not memory, weights, alpha",
    ]
    notes = " ".join(table.more)
    assert f"{DARTS.growth(2):.2f} at L=8" in notes and "1.85 at L=8" in notes
    assert "7 cells without `none`, in which each edge that is kept" in notes and "of the five" not in notes.lower()
    missing = make_table(3, Inputs.of(space=DARTS)).missing[0]
    assert missing.command == "stc-bench profile --methods stc,gdas,darts --batch-sizes 16,32,64 --space darts"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("profiles", [[], [usual()]], ids=["none", "one"])
def test_every_format_has_the_numbers(form: str, profiles: list[Profile]) -> None:
    text = render(make_table(3, Inputs.of(profiles=profiles)), form)
    assert text.endswith("\n") and text == render(make_table(3, Inputs.of(profiles=profiles)), form)
    assert all(number in text for number in ("0.142", "0.059", "9.4"))
    if form == "text":
        assert max(map(len, text.splitlines())) <= 100
    if form == "csv" and profiles:
        ours = list(csv.DictReader(io.StringIO(text)))[-1]
        assert ours["device"] == "CPU: a_processor 100%" and float(ours["search_seconds_extrapolated"]) > 0
        assert json.loads(ours["costs"])["weights"]["seconds"] == [pytest.approx(0.3), pytest.approx(0.9)]


def test_the_commands_meet(tiny: tuple[Profile, Path]) -> None:
    """The report reads what the sweep wrote, and does not import torch."""
    code = (
        "import sys; from nasbench_stc.cli.main import cli; cli(sys.argv[1:], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    args = ["report", "--table", "3", "--notes", "--results", str(tiny[1].parent)]
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    assert "Ours, L=5" in done.stdout and "8x8" in done.stdout
    assert any(line.split()[:1] == ["SETN"] and "O(T)+O(nT)" in line for line in done.stdout.splitlines())


def test_the_command_line_measures(
    stc_bench: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    costs = {"weights": cost(0.1, 100)}
    monkeypatch.setattr(sweep, "measure_method", lambda *_: measuring.Measured(costs, {"weights": 3600}))
    monkeypatch.setattr(sweep, "measure_subnet", lambda *_: measuring.Measured({**costs, "alpha": cost(0.1, 90)}, {}))
    status, out, _ = stc_bench("profile", "--device", "cpu", "--batch-sizes", "16,32", "--out", tmp_path / "new")
    points = 4 * (1 + len(of_kind("one-shot")))  # two depths and two batch sizes of each, and of the subnet
    assert status == 0 and f"{points}/{points}: " in out and "--table 3" in out
    ((found,), _) = profile.read_all([tmp_path])
    assert len(found.points) == points and found.repeats == profile.REPEATS
    more = [
        "--methods",
        "stc",
        "--space",
        "darts",
        "--set",
        "channels=36",
        "--device",
        "cpu",
        "--out",
        tmp_path / "darts",
    ]
    status, out, _ = stc_bench("profile", *more)
    assert status == 0 and "stc-bench report --table 3 --space darts" in out
    ((found,), _) = profile.read_all([tmp_path / "darts"])
    assert [(point.method, point.cells) for point in found.points] == [
        (method, cells) for cells in (20, 8) for method in (SUBNET, "stc")
    ]
    assert (found.space, found.protocol["channels"]) == ("darts", 36)
