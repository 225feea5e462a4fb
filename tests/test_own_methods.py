"""Methods of users: classes in files and in other packages, the examples, and what their mistakes say."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nasbench_stc import methods, search
from nasbench_stc.errors import BadCallError, MethodError
from nasbench_stc.methods import listing
from nasbench_stc.methods.listing import Listing
from nasbench_stc.records import read_all
from nasbench_stc.report import Inputs, make_table
from nasbench_stc.runs import launch

ROOT = Path(__file__).parents[1]
EXAMPLES = {"annealing.py": "Annealing", "mean_loss.py": "MeanLoss"}

PACKAGE = """
from nasbench_stc.methods.blackbox import BlackBoxMethod, random_cell


class Offered(BlackBoxMethod):
    def ask(self):
        return random_cell(self.generator)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package that offers the method `offered`, one that is broken, and one under a name of ours."""
    (tmp_path / "their_package.py").write_text(PACKAGE)
    about = tmp_path / "their_package-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.2\n")
    lines = ("offered = their_package:Offered", "broken = their_package:Nothing", "rea = their_package:Offered")
    (about / "entry_points.txt").write_text(f"[{methods.GROUP}]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_complete_and_short(name: str) -> None:
    assert len((ROOT / "examples" / name).read_text().splitlines()) < 40


def test_the_examples_run_outside_the_repository_and_are_in_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stc_bench: Callable[..., tuple[int, str, str]]
) -> None:
    for name in EXAMPLES:
        shutil.copy(ROOT / "examples" / name, tmp_path)
    monkeypatch.chdir(tmp_path)

    def said(*args: str) -> str:
        status, out, err = stc_bench(*args)
        assert status == 0, err
        return out

    told = said(
        "search", "--method", "annealing.py:Annealing", "--seeds", "50", "--set", "start=0.5", "--benchmark", "analog"
    )
    assert "50 runs of 200 trainings" in told
    smoke = ("--dataset", "digits", "--protocol", "smoke", "--benchmark", "analog")
    # In other processes, too: these import the file anew.
    said("search", "--method", "mean_loss.py:MeanLoss", "--seeds", "2", "--jobs", "2", *smoke)
    table = said("report", "--table", "6", "--benchmark", "analog", "--format", "csv")
    assert "Annealing" in table and "MeanLoss" in table
    records, problems = read_all([tmp_path / "results"])
    assert not problems and len(records) == 52
    digests = {record.method: record.versions[record.method] for record in records}
    assert digests["Annealing"].startswith("annealing.py, sha256 ")


def test_an_example_learns(tmp_path: Path) -> None:
    path = f"{ROOT / 'examples/annealing.py'}:Annealing"
    found = [search(path, benchmark="analog", seed=seed, evaluations=100).scores["cifar10-test"] for seed in range(20)]
    drawn = [search("rs", benchmark="analog", seed=seed, evaluations=100).scores["cifar10-test"] for seed in range(20)]
    assert sum(found) > sum(drawn)


def test_a_changed_file_is_another_method(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(PACKAGE)
    before = methods.find(f"{own}:Offered")
    own.write_text(PACKAGE + "\n# changed\n")
    after = methods.find(f"{own}:Offered")
    assert before.origin != after.origin
    plans = [launch.plan(method_file(tmp_path, "pass"), "digits", protocol="smoke")]
    plans.append(launch.plan(method_file(tmp_path, "pass  # changed"), "digits", protocol="smoke"))
    assert plans[0].folder_name != plans[1].folder_name


@pytest.mark.usefixtures("package")
def test_packages_offer_methods(stc_bench: Callable[..., tuple[int, str, str]], tmp_path: Path) -> None:
    status, out, _ = stc_bench("methods")
    assert status == 0 and "offered" in out and "their-package" in out
    assert list(methods.installed()) == ["broken", "offered"]  # names of ours stay ours
    assert methods.find("rea").origin == ""
    record = search("offered", benchmark="analog", evaluations=5, out=tmp_path / "results")
    assert record.versions["offered"] == "their-package 1.2"
    with pytest.raises(MethodError, match=r"broken of their-package 1\.2: cannot be loaded"):
        methods.find("broken")


@pytest.mark.parametrize(
    ("text", "name", "error", "says"),
    [
        (None, "Mine", BadCallError, "cannot be read"),
        ("import nothing_like_it", "Mine", MethodError, "cannot be imported: ModuleNotFoundError"),
        ("def broken(", "Mine", MethodError, "cannot be imported: SyntaxError"),
        (PACKAGE, "Mine", BadCallError, "unknown method of .*own.py 'Mine': choose from Offered"),
        ("class Mine:\n    pass", "Mine", MethodError, "no subclass of OneShotMethod"),
        ("Mine = 3", "Mine", MethodError, "no subclass of OneShotMethod"),
        ("", "Mine", BadCallError, "choose from none: the file has no class of a method"),
        ("raise SystemExit(3)", "Mine", MethodError, "cannot be imported: RuntimeError: it ends the program"),
        (PACKAGE + "\n    presets = 5", "Offered", MethodError, "its presets are no settings by protocol"),
    ],
)
def test_files_that_hold_no_method(
    tmp_path: Path, text: str | None, name: str, error: type[Exception], says: str
) -> None:
    if text is not None:
        (tmp_path / "own.py").write_text(text)
    with pytest.raises(error, match=says):
        methods.find(f"{tmp_path / 'own.py'}:{name}")


LISTED = """
from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, random_cell


class Offered(BlackBoxMethod):
    listing = Listing("Drawn cells", "one after the other", order=115)

    def ask(self):
        return random_cell(self.generator)
"""
OURS = LISTED.replace("order=115", 'name="drawn", kind="black-box", order=115')


def test_what_ours_say_of_themselves_is_read_as_it_is() -> None:
    for name, entry in methods.ours().items():
        found = methods.find(name)
        assert vars(found.cls)["listing"] == found.listing == entry.listing
        assert entry.listing.name == name and entry.listing.about
        assert entry.listing.kind == found.kind or name == "area"  # listed with the scores that guide it


def test_ours_are_in_order() -> None:
    orders = [entry.listing.order for entry in methods.ours().values()]
    assert all(orders) and orders == sorted(set(orders))
    assert list(methods.ours())[:3] == ["rsps", "darts", "darts2"]
    assert sorted(name for kind in methods.KINDS for name in methods.of_kind(kind)) == sorted(methods.ours())


def test_a_file_in_the_folder_is_a_method_of_ours(tmp_path: Path) -> None:
    """It is listed without being imported, found, run, and has its name and place in the report."""
    package = tmp_path / "nasbench_stc"
    shutil.copytree(ROOT / "nasbench_stc", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "methods" / "dropped.py").write_text(OURS)
    code = (
        "import json, sys\n"
        "from nasbench_stc import methods\n"
        "listed = methods.of_kind('black-box')\n"
        "before = [name for name in sys.modules if name == 'torch' or name.startswith('nasbench_stc.methods.')]\n"
        "found = methods.find('drawn')\n"
        "print(json.dumps([listed, before, found.kind, found.origin, methods.__file__]))"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True)
    listed, before, kind, origin, where = json.loads(answer.stdout)
    assert listed[:3] == ["rs", "drawn", "rea"] and before == ["nasbench_stc.methods.listing"]
    assert (kind, origin, Path(where).parent) == ("black-box", "", package / "methods")

    def stc_bench(*args: str) -> str:
        command = [sys.executable, "-m", "nasbench_stc", *args]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    assert re.search("^  drawn +one after the other$", stc_bench("methods"), re.MULTILINE)
    stc_bench("search", "--method", "rea,drawn,rs", "--set", "evaluations=12", "--seeds", "2", "--benchmark", "analog")
    table = stc_bench("report", "--table", "6", "--benchmark", "analog", "--format", "csv")
    rows = [row["method"] for row in csv.DictReader(table.splitlines()) if row["section"].startswith("Ours, black-box")]
    assert rows == [f"{name}, evaluations=12" for name in ("RS", "Drawn cells", "REA")]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (OURS.replace("drawn", "rea"), "method rea: both Offered in a.py and REA in rea.py are listed by that name"),
        (LISTED, "a.py, line 6: listing of Offered: it needs a title, a name, an order, and a kind of one-shot, "),
        (OURS.replace("black-box", "black"), "it needs .* a kind of one-shot, black-box, training-free"),
        (OURS.replace("order=115", "order=10 * 2.5"), "its arguments have to be literals"),
        (
            OURS.replace("order=115", "order='first'"),
            "order of a Listing has to be a whole number or None, not 'first'",
        ),
        (OURS.replace("order=", "place="), "unexpected keyword argument 'place'"),
        (OURS + "\n    listing = made(Listing('x'))[0]\n", "it has to be written as Listing"),
        ("Listing(", "a.py: it cannot be read"),
    ],
)
def test_listings_of_ours_that_cannot_be_read(tmp_path: Path, text: str, says: str) -> None:
    shutil.copy(ROOT / "nasbench_stc/methods/rea.py", tmp_path)
    (tmp_path / "a.py").write_text(text)
    with pytest.raises(MethodError, match=says):
        listing.read(tmp_path)


def test_a_file_without_a_listing_is_no_method_of_ours(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(PACKAGE)
    (tmp_path / "base.py").write_text((ROOT / "nasbench_stc/methods/base.py").read_text())
    assert listing.read(tmp_path) == {}


def test_an_own_method_has_its_title_and_place(tmp_path: Path, stc_bench: Callable[..., tuple[int, str, str]]) -> None:
    """In reports of its records, which do not import it; a subclass has none of its parent's."""
    own = tmp_path / "own.py"
    heirs = "\n\nclass Heir(Offered):\n    pass\n\n\nclass rs(RandomSearch):\n    pass\n"
    own.write_text("from nasbench_stc.methods.random_search import RandomSearch\n" + LISTED + heirs)
    assert methods.find(f"{own}:Offered").listing == Listing("Drawn cells", "one after the other", 115)
    out = tmp_path / "results"
    for spec in ("rs", "rea", *(f"{own}:{name}" for name in ("Offered", "Heir", "rs"))):
        search(spec, benchmark="analog", evaluations=12, out=out)
    assert "\none after the other\n" in "\n" + stc_bench("methods", f"{own}:Offered")[1]
    own.unlink()
    records, problems = read_all([out])
    assert not problems
    rows = make_table(6, Inputs.of(records)).rows
    names = [row.values["method"] for row in rows if row.section.startswith("Ours, black-box")]
    assert names == [f"{name}, evaluations=12" for name in ("RS", "Drawn cells", "REA", "Heir", "rs")]


def test_a_one_shot_record_has_the_title(tmp_path: Path) -> None:
    own = Path(method_file(tmp_path, "pass").removesuffix(":Mine"))
    text = own.read_text().replace("import OneShotMethod", "import Listing, OneShotMethod")
    own.write_text(
        text.replace("    learns = True\n", "    learns = True\n    listing = Listing('My own', order=15)\n")
    )
    search(f"{own}:Mine", "digits", protocol="smoke", benchmark="analog", out=tmp_path / "results")
    (record,) = read_all([tmp_path / "results"])[0]
    assert (record.method, record.title, record.order) == ("Mine", "My own", 15)


def test_a_record_without_a_title_is_read_and_goes_with_those_that_have_one(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(LISTED)
    for seed, spec in enumerate(("rs", f"{own}:Offered")):
        search(spec, benchmark="analog", evaluations=12, seed=seed, out=tmp_path / "results")
    for path in (tmp_path / "results").glob("*/runs.json"):
        content = json.loads(path.read_text())
        older = {key: value for key, value in content.items() if key not in ("title", "order")}
        older |= {"seeds": [9], "sessions": [{**content["sessions"][0], "seeds": [9]}]}
        (tmp_path / "older" / path.parent.name).mkdir(parents=True)
        (tmp_path / "older" / path.parent.name / path.name).write_text(json.dumps(older))
    rows = []
    for folders in (["older"], ["results", "older"]):
        records, problems = read_all([tmp_path / folder for folder in folders])
        assert not problems
        table = make_table(6, Inputs.of(records))
        ours = [row.values for row in table.rows if row.section.startswith("Ours, ")]
        rows += [(values["method"].removesuffix(", evaluations=12"), values["n"]) for values in ours]
    assert rows == [("RS", 1), ("Offered", 1), ("RS", 2), ("Drawn cells", 2)]


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ("'Mine'", "its listing is no Listing"),
        ("Listing(3)", "cannot be imported: TypeError: title, about, name and kind of a Listing have to be strings"),
    ],
)
def test_a_listing_that_is_none(tmp_path: Path, said: str, says: str) -> None:
    own = tmp_path / "own.py"
    own.write_text(PACKAGE.replace("random_cell", "Listing, random_cell", 1) + f"\n    listing = {said}\n")
    with pytest.raises(MethodError, match=says):
        methods.find(f"{own}:Offered")


def method_file(folder: Path, body: str, where: str = "begin_epoch(self, epoch, epochs)") -> str:
    """A one-shot method that does `body` in one of its functions."""
    path = folder / "mine.py"
    path.write_text(
        "import torch\n"
        "from nasbench_stc.methods.base import OneShotMethod\n"
        "from nasbench_stc.models import Mixture\n"
        "from nasbench_stc.space import Cell\n\n\n"
        "class Mine(OneShotMethod):\n"
        "    learns = True\n\n"
        "    def weight_mixture(self):\n        return Mixture.path([3] * 6)\n\n"
        "    def alpha_step(self, objective):\n        return objective.valid_loss(Mixture.path([3] * 6))\n\n"
        "    def cell(self):\n        return Cell((3,) * 6)\n\n"
        f"    def {where}:\n        {body}\n"
    )
    return f"{path}:Mine"


def test_a_method_without_a_mistake_runs(tmp_path: Path) -> None:
    record = search(method_file(tmp_path, "pass"), "digits", protocol="smoke", benchmark="analog")
    assert record.method == "Mine" and record.cell.count("nor_conv_3x3") == 6


@pytest.mark.parametrize(
    ("where", "body", "says"),
    [
        ("__init__(self, *args)", "raise RuntimeError('no')", "before the first epoch, construction: RuntimeError: no"),
        ("begin_epoch(self, epoch, epochs)", "1 / (epoch - 1)", "epoch 1, begin_epoch: ZeroDivisionError"),
        ("weight_mixture(self)", "return Mixture.path([3] * 5)", "epoch 0, step 0, weight_mixture: .*6 edges.*got 5"),
        ("weight_mixture(self)", "return Mixture.path([3] * 5 + [7])", "weight_mixture: .*operations are numbered"),
        ("weight_mixture(self)", "return Mixture.full(torch.ones(5, 6))", r"weight_mixture: .*\(5, 6\)"),
        ("weight_mixture(self)", "return Mixture.full(torch.full((6, 5), torch.nan))", "weight_mixture: .*no numbers"),
        ("weight_mixture(self)", "return [3] * 6", "weight_mixture: .*has to return a Mixture"),
        ("alpha_step(self, objective)", "return None", "epoch 0, step 0, alpha_step: .*returned None"),
        ("alpha_step(self, objective)", "return torch.ones(3)", "alpha_step: .*a tensor of one number"),
        ("alpha_step(self, objective)", "raise KeyError('x')", "alpha_step: KeyError: 'x'"),
        ("cell(self)", "return Cell((3, 3, 3, 3, 3, 9))", "end of epoch 0, cell: operation 9 is none of 0-4"),
        ("cell(self)", "return 'a cell'", "end of epoch 0, cell: .*returned 'a cell'"),
        (
            "cell(self)",
            "return Cell.from_index(7, 'sss')",
            "end of epoch 0, cell: .*is a cell of NATS-Bench.*, not of NAS",
        ),
        ("weight_mixtures(self)", "return []", "weight_mixture: .*has to return a mixture at least"),
        ("state_dict(self)", "raise OSError('disk')", "state_dict: OSError: disk"),
        ("result(self, rate)", "return 7", "after the last epoch, result: .*returned 7"),
        ("snapshot(self)", "raise OSError('disk')", "end of epoch 0, snapshot: OSError: disk"),
    ],
)
def test_a_mistake_of_a_one_shot_method_names_it_and_the_step(
    tmp_path: Path, stc_bench: Callable[..., tuple[int, str, str]], where: str, body: str, says: str
) -> None:
    spec = method_file(tmp_path, body, where)
    with pytest.raises(MethodError, match=f"(?s)method Mine: .*{says}"):
        search(spec, "digits", protocol="smoke", benchmark="analog")
    smoke = ("--dataset", "digits", "--protocol", "smoke", "--benchmark", "analog", "--seeds", "1")
    status, _, err = stc_bench("search", "--method", spec, "--out", tmp_path / "results", *smoke)
    assert status == 1 and "method Mine" in err and "Traceback" not in err


def test_a_loss_that_is_no_number_names_the_method_and_the_epoch(tmp_path: Path) -> None:
    spec = method_file(tmp_path, "return torch.tensor(torch.nan)", "alpha_step(self, objective)")
    with pytest.raises(Exception, match="method Mine, epoch 0: the loss is no number"):
        search(spec, "digits", protocol="smoke", benchmark="analog")


def test_a_black_box_method_cannot_be_profiled() -> None:
    with pytest.raises(BadCallError, match="method rea is black-box: it trains no supernet"):
        launch.plan("rea")
