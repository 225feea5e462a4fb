"""Simulated searches: answers and costs as the official API gives them, budgets kept to, whoever errs is named."""

import itertools
import math
import random
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_stc import open_benchmark
from nasbench_stc.benchmark.base import Key
from nasbench_stc.benchmark.table import TableBenchmark
from nasbench_stc.engine import simulation
from nasbench_stc.engine.oracle import Answer, Oracle
from nasbench_stc.engine.simulation import Incumbent, Simulation, simulate
from nasbench_stc.errors import BadCallError, DataError, MethodError, RunError
from nasbench_stc.methods import Method
from nasbench_stc.methods.blackbox import BlackBoxMethod, Query, random_cell
from nasbench_stc.runs import simulate as runner
from nasbench_stc.runs.simulate import plan, run_many
from nasbench_stc.space import NUM_CELLS, Cell

CELLS = [0, 11, 284]
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
pytestmark = pytest.mark.filterwarnings("ignore::nasbench_stc.errors.OfficialPickleWarning")


@pytest.fixture(params=["folder", "table"])
def real(request):
    """The three real cells, from NATS-Bench's folder and from the table imported from it."""
    return open_benchmark(request.getfixturevalue(f"nats_{request.param}"))


@pytest.fixture(scope="module")
def api(nats_folder):
    import nats_bench

    return nats_bench.create(str(nats_folder), "tss", fast_mode=True, verbose=False)


@pytest.fixture(scope="module")
def analog():
    return open_benchmark("analog")


class Asks(BlackBoxMethod):
    """Asks what it is told to, and notes what it is told."""

    def __init__(self, queries):
        self.queries, self.told = iter(queries), []

    def ask(self):
        return next(self.queries, None)

    def tell(self, query, value):
        self.told.append((query, value))


def asking(*queries):
    return lambda generator, budgets: Asks(queries)


class Made:
    """Stands for an oracle; accuracy and seconds of each training by (cell, epochs)."""

    def __init__(self, answers, usual=12):
        self._answers, self.usual = answers, usual
        self.budgets = tuple(sorted({epochs for _, epochs in answers}))

    def answers(self, index, epochs):
        return [Answer(*self._answers[index, epochs], None)]


# What is answered


def official(api, index, dataset, times=25, **which):
    """What the official API answers: the accuracies of all its seeds, and the seconds."""
    random.seed(0)
    found = {api.simulate_train_eval(index, dataset, **which)[::2][:2] for _ in range(times)}
    return {accuracy for accuracy, _ in found}, {seconds for _, seconds in found}


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize("epochs", [12, 200])
def test_answers_are_those_of_the_official_simulation(real, api, dataset, epochs):
    oracle = Oracle(real, dataset, epochs)
    assert oracle.timed
    for index in CELLS:
        accuracies, (seconds,) = official(api, index, dataset, hp=str(epochs))
        answers = oracle.answers(index, epochs)
        assert {answer.accuracy for answer in answers} == accuracies
        assert [answer.seconds for answer in answers] == pytest.approx([seconds] * len(answers), rel=1e-12)
    if dataset != "cifar10" and epochs == 200:
        assert oracle.budgets == (12, 200)  # validation accuracies after each epoch are not in the file
        return
    assert oracle.budgets == tuple(range(1, epochs + 1))
    for epoch in (1, 4, epochs - 1):
        accuracies, (seconds,) = official(api, 11, dataset, hp=str(epochs), iepoch=epoch - 1)
        answers = oracle.answers(11, epoch)
        assert {round(answer.accuracy, 3) for answer in answers} == {round(accuracy, 3) for accuracy in accuracies}
        assert [answer.seconds for answer in answers] == pytest.approx([seconds] * len(answers))


def test_what_a_training_costs(real):
    oracle = Oracle(real, "cifar10")
    assert [round(oracle.answers(cell, 12)[0].seconds, 1) for cell in CELLS] == [89.2, 153.7, 60.9]
    assert oracle.about == "valid accuracy after 12 epochs: one training seed, drawn anew each time"


def test_seeds_are_those_that_were_run_and_equally_likely(real):
    for dataset, seeds in (("cifar10", (111, 777)), ("cifar100", (111,))):
        oracle = Oracle(real, dataset)
        run = simulate("m", asking(*[Cell.from_index(11)] * 2000), oracle, Simulation(budget=1e9), 5)
        assert len(run.cells) == 2000
        counts = Counter(run.seeds)
        assert set(counts) == set(seeds)
        assert all(abs(count - 2000 / len(seeds)) < 100 for count in counts.values())  # 4.5 deviations


def test_the_answer_is_of_the_seed_that_is_noted(real):
    oracle, made = Oracle(real, "cifar10"), []

    def make(generator, budgets):
        made.append(Asks([Query(Cell.from_index(cell), epochs) for cell in CELLS for epochs in (1, 6, None)] * 5))
        return made[0]

    run = simulate("m", make, oracle, Simulation(budget=1e6), 0)
    assert len(run.cells) == 45
    for (query, value), asked, seed in zip(made[0].told, run.asked, run.seeds, strict=True):
        assert asked == (query.epochs or 12)
        assert value == real.accuracy([query.cell], "cifar10", "valid", 12, seed, asked)[0]


def test_means_where_they_are_asked_for_or_all_there_is(real, nb201):
    for bench, usual in ((real, Oracle(real, "cifar100", single=False)), (nb201, Oracle(nb201, "cifar100"))):
        (answer,) = usual.answers(11, 12)
        assert answer.seed is None
        assert answer.accuracy == bench.accuracy([11], "cifar100", "valid", 12)[0]
    assert usual.budgets == (12, 200)
    assert usual.answers(11, 200)[0].seconds == nb201.train_seconds([11], "cifar100", "valid", 200)[0]
    assert usual.about == "valid accuracy after 12 epochs: the mean over training seeds"


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_tables_seconds_are_those_of_the_official_file_but_for_an_evaluation(real, nb201, dataset):
    files, table = Oracle(real, dataset), Oracle(nb201, dataset)
    for cell in CELLS:
        ratio = table.answers(cell, 12)[0].seconds / files.answers(cell, 12)[0].seconds
        assert 0.9 < ratio < 1.01


def test_a_cell_that_lacks_is_the_files_fault(real):
    with pytest.raises(DataError, match=r"cell 5\b"):
        simulate("m", asking(Cell.from_index(5)), Oracle(real, "cifar10"), Simulation(budget=1000), 0)


def test_a_seed_that_was_not_run_for_a_cell_is_never_told(tmp_path):
    values = np.linspace(1, 99, NUM_CELLS)
    some = np.where(np.arange(NUM_CELLS) % 2, values, np.nan)
    columns = {
        (Key("cifar10", "valid", 12, seed), "accuracy"): column
        for seed, column in ((None, values), (777, some), (888, some + 0.25))
    }
    oracle = Oracle(TableBenchmark("made", "made here", tmp_path / "t", "0" * 64, columns), "cifar10")
    assert oracle.answers(0, 12) == [Answer(values[0], 0.0, None)]
    assert oracle.answers(1, 12) == [Answer(values[1], 0.0, 777), Answer(values[1] + 0.25, 0.0, 888)]


def test_without_validation_accuracies_and_times(analog):
    todo = plan("rs", analog)
    assert (todo.simulation.budget, todo.simulation.evaluations) == (0.0, 200)
    assert (todo.oracle.split, todo.oracle.timed, todo.oracle.budgets) == ("test", False, (None,))
    done = run_many(todo, analog, [0], None)
    (run,) = done.records()
    assert (run.evaluations, run.clock, run.total_seconds) == (200, "evaluations", 0)
    assert "test accuracy itself, for it has no other" in run.told
    tried = [cell for cell in done.runs()[0].cells]
    assert Cell.parse(run.cell).index == max(tried, key=lambda cell: analog.accuracy([cell])[0])
    with pytest.raises(BadCallError, match=r"budget=5000: the benchmark has no training times; limit the number"):
        plan("rs", analog, changes={"budget": 5000})
    with pytest.raises(BadCallError, match="has no trainings on 'cifar100'"):
        plan("rs", analog, "cifar100")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"dataset": "digits"}, "benchmark made up has no trainings on 'digits'.*it has cifar10, cifar100, ImageNet16"),
        ({"changes": {"epochs": 50}}, "epochs=50: benchmark made up has trainings of 12, 200 epochs on cifar10"),
        ({"protocol": "paper"}, "protocol of black-box methods 'paper'.*nats-bench, nas-bench-201, smoke"),
        ({"changes": {"lr": 1}}, "unknown setting 'lr'"),
        ({"changes": {"budget": -1}}, "budget=-1: it has to be between 0 and"),
        ({"changes": {"budget": "inf"}}, "budget='inf': it has to be a finite number"),
        ({"changes": {"accuracy": "best"}}, "choose from seed, mean"),
        ({"method": "bohb", "changes": {"top": 2}}, "top=2: it has to be between 0 and 1"),
    ],
)
def test_plans_say_what_cannot_be(timed, arguments, said):
    with pytest.raises(BadCallError, match=said):
        plan(**{"method": "rs", "benchmark": timed} | arguments)


# What a run may spend


@pytest.mark.parametrize("name", ["rs", "rea", "hyperband"])
def test_the_last_answer_fits_the_budget_and_the_next_would_not(timed, name):
    todo, more = (plan(name, timed, changes={"budget": budget}) for budget in (5000, 9000))
    for seed in range(20):
        run, longer = (simulate(name, it.make_method, it.oracle, it.simulation, seed) for it in (todo, more))
        costs = [todo.oracle.answers(*what)[0].seconds for what in zip(longer.cells, longer.asked, strict=True)]
        number = len(run.cells)
        assert run.cells == longer.cells[:number]
        assert run.seconds == pytest.approx(sum(costs[:number]))
        assert run.seconds <= 5000 < run.seconds + costs[number]
        assert [incumbent.seconds for incumbent in run.incumbents] == pytest.approx(
            [sum(costs[: incumbent.evaluation]) for incumbent in run.incumbents]
        )


def test_an_answer_that_takes_the_very_rest_of_the_budget_is_paid_for():
    oracle = Made({(0, 12): (50.0, 30.0), (1, 12): (60.0, 0.25)})
    queries = [Cell.from_index(0)] * 5
    assert len(simulate("m", asking(*queries), oracle, Simulation(budget=90), 0).cells) == 3
    assert len(simulate("m", asking(*queries), oracle, Simulation(budget=89.9), 0).cells) == 2
    with pytest.raises(RunError, match="budget=29: pays for no training, the first one took 30 s"):
        simulate("m", asking(*queries), oracle, Simulation(budget=29), 0)


def test_trainings_are_limited_scores_are_not():
    oracle, cell = Made({(0, 12): (50.0, 30.0)}), Cell.from_index(0)
    queries = [Query(cell, score="params")] * 5 + [cell] * 9
    run = simulate("m", asking(*queries), oracle, Simulation(evaluations=3), 0, lambda name, cell: 1.0)
    assert run.asked == ["params"] * 5 + [12] * 3
    both = simulate("m", asking(*queries), oracle, Simulation(evaluations=3, budget=70), 0, lambda name, cell: 1.0)
    assert (both.asked, both.seconds) == (["params"] * 5 + [12] * 2, 60.0)


def test_a_method_that_asks_no_more_ends_the_run(timed):
    run = simulate("m", asking(*map(Cell.from_index, (5, 4, 5))), Oracle(timed, "cifar10"), Simulation(budget=1e8), 0)
    assert run.cells == [5, 4, 5]


def test_a_large_budget_is_no_mistake(timed, monkeypatch):
    monkeypatch.setattr(simulation, "_MOST", 100)
    todo = plan("rs", timed, changes={"evaluations": 300})
    assert len(simulate("rs", todo.make_method, todo.oracle, todo.simulation, 0).cells) == 300


# The best so far


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(["naswot", 1, 4, 12]), st.integers(0, 30)), min_size=1, max_size=25),
    st.lists(st.integers(0, 3), min_size=31, max_size=31),
)
def test_longer_trainings_count_before_shorter_ones_and_these_before_scores(script, values):
    """Few values, so that many are equal: the first of them stays."""
    oracle = Made({(cell, epochs): (float(values[cell]), 1.5) for cell in range(31) for epochs in (1, 4, 12)})
    queries = [
        Query(Cell.from_index(cell), score=what) if isinstance(what, str) else Query(Cell.from_index(cell), what)
        for what, cell in script
    ]
    run = simulate("m", asking(*queries), oracle, Simulation(budget=1e6), 0, lambda name, cell: values[cell.index] - 9)
    expected, seconds = [], 0.0
    for number, (what, cell) in enumerate(script, 1):
        seconds += 0.0 if what == "naswot" else 1.5
        before = [(w if w != "naswot" else 0, values[c]) for w, c in script[: number - 1]]
        if all((what if what != "naswot" else 0, values[cell]) > other for other in before):
            expected.append(Incumbent(number, seconds, cell))
    assert run.incumbents == expected


def test_the_lowest_score_is_better_than_nothing():
    queries = [Query(Cell.from_index(cell), score="naswot") for cell in (3, 4, 5)]
    scores = {3: -np.inf, 4: -np.inf, 5: -1e9}
    run = simulate("m", asking(*queries), None, Simulation(), 0, lambda name, cell: scores[cell.index])
    assert [(one.evaluation, one.cell) for one in run.incumbents] == [(1, 3), (3, 5)]


# A run depends on its seed alone


@pytest.mark.parametrize("name", ["rea", "bohb"])
def test_a_run_does_not_depend_on_the_others(timed, name):
    todo = plan(name, timed, changes={"budget": 6000})
    many = run_many(todo, timed, range(40), None)
    alone = run_many(plan(name, timed, changes={"budget": 6000}), timed, [17], None)
    assert alone.runs()[17] == many.runs()[17]
    assert alone.records()[0].cell == many.records([17])[0].cell
    assert len({tuple(run.cells) for run in many.runs().values()}) == 40
    backwards = run_many(todo, timed, range(39, -1, -1), None)
    assert replace(backwards, sessions=[]) == replace(many, sessions=[])


def test_what_is_told_does_not_depend_on_what_the_method_draws(real):
    """The generator of the benchmark's seeds is another one than the method's."""

    class Drawing(Asks):
        def ask(self):
            self.generator.random(7)
            return super().ask()

    def drawing(generator, budgets):
        method = Drawing([Cell.from_index(0)] * 50)
        method.generator = generator
        return method

    oracle, limits = Oracle(real, "cifar10"), Simulation(budget=1e6)
    plain = simulate("m", asking(*[Cell.from_index(0)] * 50), oracle, limits, 3)
    assert simulate("m", drawing, oracle, limits, 3).seeds == plain.seeds
    assert simulate("m", drawing, oracle, limits, 4).seeds != plain.seeds


def test_epochs_that_numpy_drew_are_kept_as_plain_numbers(timed, tmp_path):
    class Numpy(BlackBoxMethod):
        def ask(self):
            return Query(random_cell(self.generator), self.generator.choice(self.budgets))

    todo = plan(Method("numpy", "black-box", Numpy, "", "numpy"), timed)
    run_many(todo, timed, [0, 1], tmp_path)
    kept = run_many(todo, timed, [0, 1], tmp_path)
    assert {type(epochs) for run in kept.runs().values() for epochs in run.asked} == {int}
    assert set(kept.runs()[0].asked) <= {12, 200}


# Mistakes of methods


def raises(error):
    def method(*_):
        raise error

    return method


def own(**methods):
    return type("Own", (BlackBoxMethod,), {"ask": lambda self: Cell.from_index(0), **methods})


MISTAKES = [
    (own(ask=raises(KeyError("lost"))), r"seed 3, query 1, ask: KeyError: 'lost'"),
    (own(ask=lambda self: next(iter(()))), r"seed 3, query 1, ask: StopIteration"),
    (own(ask=lambda self: 9930), r"query 1, ask: TypeError: .* a Cell, a Query with a Cell, or None; .* 9930"),
    (own(ask=lambda self: "333133"), r"query 1, ask: TypeError: .* it returned '333133'"),
    (own(ask=lambda self: (3, 3, 3, 1, 3, 3)), r"query 1, ask: TypeError: .* it returned \(3, 3, 3, 1, 3, 3\)"),
    (own(ask=lambda self: Query((3, 3, 3, 1, 3, 3))), r"query 1, ask: TypeError"),
    (own(ask=lambda self: Cell((9, 0, 0, 0, 0, 0))), r"query 1, ask: operation 9 is none of 0-4"),
    (
        own(ask=lambda self: Cell.from_index(0, "sss")),
        r"query 1, ask: .* is a cell of NATS-Bench.*, not of NAS-Bench-201",
    ),
    (own(ask=lambda self: Query(Cell.from_index(0), 5)), r"query 1, ask: .*epochs=5: its `budgets` are 12, 200"),
    (own(ask=lambda self: Query(Cell.from_index(0), "12")), r"query 1, ask: .*epochs='12': its `budgets` are 12, 200"),
    (own(ask=lambda self: Query(Cell.from_index(0), [12])), r"query 1, ask: .*epochs=\[12\]"),
    (own(ask=lambda self: Query(Cell.from_index(0), score="naswot")), r"ask: .*score 'naswot', and there are none"),
    (own(tell=raises(ZeroDivisionError("division"))), r"query 1, tell: ZeroDivisionError: division"),
    (own(tell=lambda self, query: None), r"query 1, tell: TypeError"),
    (own(__init__=raises(OSError("no file"))), r"seed 3, before the first query: OSError: no file"),
    (own(__init__=lambda self: None), r"before the first query: TypeError"),
    (own(ask=lambda self: None), r"seed 3: it asked nothing"),
    (own(__init__=lambda self, *_: None, ask=lambda self: self.generator), r"query 1, ask: AttributeError"),
]


@pytest.mark.parametrize(("cls", "said"), MISTAKES)
def test_a_mistake_names_the_method_and_the_query(timed, cls, said):
    with pytest.raises(MethodError, match=f"^method own: .*{said}"):
        simulate("own", lambda *args: cls(None, *args), Oracle(timed, "cifar10"), Simulation(budget=5000), 3)


def test_a_late_mistake_says_how_late(timed):
    cells = [Cell.from_index(index) for index in range(7)]
    with pytest.raises(MethodError, match=r"^method m: seed 4, query 8, ask: TypeError"):
        simulate("m", asking(*cells, 8), Oracle(timed, "cifar10"), Simulation(budget=5000), 4)


def test_mistakes_about_scores(monkeypatch):
    from nasbench_stc.runs.score import make_scorer

    scorer, cell = make_scorer("cifar10"), Cell.from_index(0)
    with pytest.raises(MethodError, match=r"^method m: seed 0, query 1, ask: unknown score 'size': choose from params"):
        simulate("m", asking(Query(cell, score="size")), None, Simulation(), 0, scorer)
    with pytest.raises(MethodError, match=r"^method m: seed 0, query 2, ask: it asked for a training, and there are"):
        simulate("m", asking(Query(cell, score="params"), cell), None, Simulation(), 0, scorer)
    monkeypatch.setattr(simulation, "_MOST", 50)
    forever = itertools.repeat(Query(cell, score="params"))
    with pytest.raises(MethodError, match=r"^method m: seed 0, query 51, ask: it does not end: it had 50 scores"):
        simulate("m", lambda *_: Asks(forever), None, Simulation(), 0, scorer)


FILE = """
from nasbench_stc.methods.blackbox import BlackBoxMethod, Query
from nasbench_stc.space import Cell


class Late(BlackBoxMethod):
    cells = 0

    def ask(self):
        self.cells += 1
        return Cell.from_index(self.cells) if self.cells < 4 else Cell((9,))


class Starting(BlackBoxMethod):
    def __init__(self, *args):
        raise RuntimeError("two\\nlines")


class Scores(BlackBoxMethod):
    scored = True

    def ask(self):
        return Query(Cell.from_index(0), score="beauty")
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Late", "method Late: seed 0, query 4, ask: a cell has 6 operations"),
        ("Starting", "method Starting: before the first query: RuntimeError: two"),
        ("Scores", "method Scores: seed 0, query 1, ask: unknown score 'beauty'"),
    ],
)
def test_the_command_says_it_in_one_sentence(stc_bench, tmp_path, name, said):
    (tmp_path / "own.py").write_text(FILE)
    args = ("--benchmark", "analog", "--seeds", "2", "--out", tmp_path / "out")
    status, _, err = stc_bench("search", "--method", f"{tmp_path / 'own.py'}:{name}", *args)
    assert status == 1
    assert err.startswith(f"Error: {said}")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


# Published numbers


def mean_of(column, done):
    return float(np.mean([run.scores[column] for run in done.records()]))


PUBLISHED = {
    "rea": {"cifar10-test": (93.92, 0.30), "cifar100-test": (71.84, 0.99), "ImageNet16-120-test": (45.54, 1.03)},
    "rs": {"cifar10-test": (93.70, 0.36), "cifar100-test": (71.04, 1.07), "ImageNet16-120-test": (44.57, 1.25)},
}
"""NAS-Bench-201's 500 runs of 12,000 s on CIFAR-10, as printed in Mellor et al., ICML 2021, Table 2(a)."""


@pytest.fixture
def asked(nb201, monkeypatch):
    """Each question that the benchmark is asked: a handful whatever the number of runs, so that 500 take seconds.

    What they take, benchmarks/blackbox_speed.py measures.
    """
    lookup, asked = nb201.lookup, []
    monkeypatch.setattr(runner, "_EVERY", math.inf)  # a busy machine writes the record in between, and asks each time
    monkeypatch.setattr(nb201, "lookup", lambda *args, **more: asked.append(args[1:]) or lookup(*args, **more))
    return asked


@pytest.mark.parametrize("name", PUBLISHED)
def test_500_runs_come_to_what_was_published(nb201, asked, name):
    done = run_many(plan(name, nb201, protocol="nas-bench-201"), nb201, range(500), None)
    assert 0 < len(asked) < 20
    records = done.records()
    assert len(records) == 500
    for column, (mean, deviation) in PUBLISHED[name].items():
        scores = [run.scores[column] for run in records]
        assert abs(np.mean(scores) - mean) < (0.15 if column == "cifar10-test" else 0.25)
        assert np.std(scores) == pytest.approx(deviation, rel=0.35)


def test_500_runs_of_20000_seconds(nb201, asked):
    done = run_many(plan("rea", nb201, protocol="nats-bench"), nb201, range(500), None)
    assert 0 < len(asked) < 20
    assert 150 < np.mean(done.queries["lengths"]) < 190
    assert 19_900 < np.mean(done.seconds) <= max(done.seconds) <= 20_000
    assert 93.95 < mean_of("cifar10-test", done) < 94.15


@pytest.mark.parametrize(
    ("dataset", "budget", "low", "high"),
    [("cifar10", 20_000, 93.80, 93.95), ("cifar100", 40_000, 71.2, 72.0), ("ImageNet16-120", 120_000, 44.7, 45.6)],
)
def test_random_search_under_nats_benchs_protocol(nb201, dataset, budget, low, high):
    todo = plan("rs", nb201, dataset)
    assert (todo.protocol, todo.simulation.budget) == ("nats-bench", budget)
    assert low < mean_of(f"{dataset}-test", run_many(todo, nb201, range(150), None)) < high
