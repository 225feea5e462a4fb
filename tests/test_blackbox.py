"""Black-box methods against plain, slow versions of them, torch, and what can be counted by hand."""

import itertools
from collections import Counter
from copy import deepcopy
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from nasbench_stc.errors import BadCallError
from nasbench_stc.methods import load, of_kind
from nasbench_stc.methods.blackbox import Query, mutated, neighbours, random_cell
from nasbench_stc.methods.bohb import Density
from nasbench_stc.methods.hyperband import brackets
from nasbench_stc.settings import changed
from nasbench_stc.space import EDGES, NUM_CELLS, OPS, Cell, all_cells

TWELVE = tuple(range(1, 13))
CHOOSING = [name for name in of_kind("training-free") if name != "area"]  # which a score guides to trainings
UNSCORED = [name for name in of_kind("black-box") if not load(name).scored]
RUGGED = np.random.default_rng(201).permutation(NUM_CELLS) / NUM_CELLS * 100
"""A made-up accuracy of each cell by index, no two alike, that has nothing to do with its neighbours'."""


def make(name, budgets=(12,), seed=0, **changes):
    cls = load(name)
    return cls(changed(cls.Settings(), changes), np.random.default_rng(seed), budgets)


def drive(method, objective, number):
    """The method's first queries, each answered at once; fewer where it ends."""
    asked = []
    while len(asked) < number and (query := method.ask()) is not None:
        query = Query(query) if isinstance(query, Cell) else query
        asked.append(query)
        method.tell(query, objective(query))
    return asked


def rugged(query):
    return float(RUGGED[query.cell.index])


def smooth(query):
    """The higher the numbers of the operations, most of all on early edges: its one optimum is 444444."""
    return float(sum(op * 5.0**place for place, op in enumerate(reversed(query.cell.ops)))) / 5**6 * 100


def distance(one, other):
    return sum(a != b for a, b in zip(one.ops, other.ops, strict=True))


# Cells drawn


def test_random_search_draws_every_operation_equally_often():
    ops = np.array([query.cell.ops for query in drive(make("rs"), rugged, 5000)])
    for edge in range(len(EDGES)):
        assert chisquare(np.bincount(ops[:, edge], minlength=len(OPS))).pvalue > 1e-3
    cells = Counter(map(tuple, ops))
    expected = NUM_CELLS * (1 - np.exp(-5000 / NUM_CELLS))  # different ones of as many drawn with replacement
    assert len(cells) == pytest.approx(expected, rel=0.03)


def test_neighbours_are_the_cells_at_distance_one():
    for cell in (Cell.from_index(0), Cell((3,) * 6)):
        around = list(neighbours(cell))
        assert len(around) == 24
        assert set(around) == {other for other in all_cells() if distance(cell, other) == 1}


class Scripted:
    """A generator that draws what it is told to, and notes how likely that was."""

    def __init__(self, *draws):
        self.draws, self.chance = list(draws), Fraction(1)

    def integers(self, below):
        self.chance /= below
        draw = self.draws.pop(0)
        assert 0 <= draw < below
        return draw


def test_a_mutation_changes_one_edge_and_how_likely_each_is():
    parent, chances = Cell((0, 1, 2, 3, 4, 0)), Counter()
    for node in range(3):
        for place, op in itertools.product(range(node + 1), range(4)):
            draws = Scripted(node, place, op)
            child = mutated(parent, draws)
            assert not draws.draws
            assert distance(parent, child) == 1
            chances[child] += draws.chance
    assert set(chances) == set(neighbours(parent))
    by_edge = [sum(p for child, p in chances.items() if child.ops[e] != parent.ops[e]) for e in range(len(EDGES))]
    into_node = {1: Fraction(1, 3), 2: Fraction(1, 6), 3: Fraction(1, 9)}
    assert by_edge == [into_node[target] for _, target in EDGES]
    assert {chances[child] * 4 for child in chances if child.ops[5] != 0} == {Fraction(1, 9)}  # operations alike


def test_mutations_come_as_often_as_they_are_likely():
    generator, parent = np.random.default_rng(5), Cell.from_index(99)
    seen = Counter(mutated(parent, generator) for _ in range(12_000))
    weights = {1: 3, 2: 6, 3: 9}
    around = list(neighbours(parent))
    target = [next(t for e, (_, t) in enumerate(EDGES) if child.ops[e] != parent.ops[e]) for child in around]
    expected = [12_000 / weights[t] / 4 for t in target]
    assert chisquare([seen[child] for child in around], expected).pvalue > 1e-3


# Regularized evolution


def plain_rea(objective, number, seed, population=10, sample=3):
    """Algorithm 1 of Real et al. on a list: (value, cell) of all that ever lived."""
    draws, history = np.random.default_rng(seed), []
    for _ in range(number):
        alive = history[-population:]
        if len(alive) < population:
            child = Cell.from_index(int(draws.integers(NUM_CELLS)))
        else:
            parent = alive[draws.integers(population)]
            for _ in range(sample - 1):
                rival = alive[draws.integers(population)]
                parent = rival if rival[0] > parent[0] else parent
            node = int(draws.integers(3)) + 1
            edge = EDGES.index((int(draws.integers(node)), node))
            ops = list(parent[1].ops)
            ops[edge] = [(ops[edge] + step) % 5 for step in (1, 2, 3, 4)][draws.integers(4)]
            child = Cell(tuple(ops))
        history.append((objective(Query(child)), child))
    return history


@pytest.mark.parametrize(("population", "sample"), [(10, 3), (1, 1), (4, 9)])
@pytest.mark.parametrize("objective", [rugged, smooth, lambda query: float(query.cell.ops[0])])  # the last one ties
def test_rea_is_algorithm_1(objective, population, sample):
    method = make("rea", seed=7, population=population, sample=sample)
    expected = plain_rea(objective, 300, 7, population, sample)
    assert [query.cell for query in drive(method, objective, 300)] == [cell for _, cell in expected]
    assert list(method.population) == expected[-population:]


def test_every_child_is_a_mutation_of_one_that_lives_and_the_oldest_dies():
    method = make("rea", seed=1)
    for number in range(200):
        before = list(method.population)
        (query,) = drive(method, rugged, 1)
        if number >= 10:
            assert any(distance(query.cell, cell) == 1 for _, cell in before)
            assert list(method.population) == [*before[1:], (rugged(query), query.cell)]


def test_area_begins_with_the_best_of_its_pool():
    method = make("area", seed=2, score="flops", pool=30)
    asked = drive(method, rugged, 60)
    pool, first, children = asked[:30], asked[30:40], asked[40:]
    assert {query.score for query in pool} == {"flops"}
    assert {query.score for query in first + children} == {""}
    assert [query.cell for query in first] == [q.cell for q in sorted(pool, key=rugged, reverse=True)[:10]]
    alive = [query.cell for query in first]
    for child in children:
        assert any(distance(child.cell, cell) == 1 for cell in alive[-10:])
        alive.append(child.cell)


def test_area_with_a_small_pool_fills_its_population_with_random_cells():
    asked = drive(make("area", pool=3), rugged, 40)
    assert [bool(query.score) for query in asked] == [True] * 3 + [False] * 37


# Local search


def plain_local_search(objective, seed):
    """Hill climbing: yields the cells it tries, until it knows all."""
    draws, known = np.random.default_rng(seed), {}
    while len(known) < NUM_CELLS:
        here = Cell.from_index(int(draws.integers(NUM_CELLS)))
        while here in known:
            here = Cell.from_index(int(draws.integers(NUM_CELLS)))
        known[here] = objective(Query(here))
        yield here
        while True:
            around = [here]
            for edge, op in itertools.product(range(len(EDGES)), range(len(OPS))):
                if op != here.ops[edge]:
                    around.append(Cell(tuple(op if e == edge else own for e, own in enumerate(here.ops))))
            for place in reversed(draws.permutation(25)):
                if around[place] not in known:
                    known[around[place]] = objective(Query(around[place]))
                    yield around[place]
            best = here
            for cell in around:
                best = cell if known[cell] > known[best] else best
            if best == here:
                break
            here = best


@pytest.mark.parametrize("objective", [rugged, smooth, lambda query: 1.0])
def test_local_search_is_hill_climbing(objective):
    asked = [query.cell for query in drive(make("ls", seed=4), objective, 1500)]
    assert asked == list(itertools.islice(plain_local_search(objective, 4), 1500))


def test_local_search_knows_all_cells_in_the_end_and_asks_none_twice():
    method = make("ls", seed=3)
    asked = [query.cell for query in drive(method, rugged, NUM_CELLS + 1)]
    assert len(asked) == len(set(asked)) == NUM_CELLS
    assert method.ask() is None
    assert method.ask() is None


def test_local_search_climbs_to_the_optimum_and_begins_anew_from_there():
    asked = [query.cell for query in drive(make("ls", seed=8), smooth, 600)]
    top = asked.index(Cell((4,) * 6))
    assert top <= 6 * 24  # at most a move an edge
    later = next(place for place in range(top, 600) if set(neighbours(asked[top])) <= set(asked[:place]))
    assert later <= top + 2 * 24
    starts = asked[later]  # what comes next is near nothing that was tried on purpose
    assert distance(starts, asked[top]) > 1
    assert set(asked[later + 1 : later + 20]) <= set(neighbours(starts))


# REINFORCE


@pytest.mark.parametrize("changes", [{}, {"policy_lr": 0.3, "baseline_decay": 0.5, "policy_init": 1.0}])
def test_reinforce_is_adam_on_a_categorical(changes):
    usual = {"policy_lr": 0.01, "baseline_decay": 0.9, "policy_init": 1e-3} | changes
    method, draws = make("reinforce", seed=3, **changes), np.random.default_rng(3)
    logits = torch.tensor(usual["policy_init"] * draws.standard_normal((6, 5)), requires_grad=True)
    adam = torch.optim.Adam([logits], usual["policy_lr"])
    rewards = []
    for _ in range(250):
        policy = torch.distributions.Categorical(logits=logits)
        drawn = torch.as_tensor(draws.random((6, 1)))
        ops = torch.searchsorted(policy.probs.detach().cumsum(1), drawn, right=True)[:, 0]
        cell = method.ask()
        assert cell.ops == tuple(ops.tolist())
        rewards.append(rugged(Query(cell)))
        weights = usual["baseline_decay"] ** np.arange(len(rewards))[::-1]
        advantage = rewards[-1] - np.average(rewards, weights=weights)
        adam.zero_grad()
        (-policy.log_prob(ops) * advantage).sum().backward()
        adam.step()
        method.tell(Query(cell), rewards[-1])
        np.testing.assert_allclose(method.logits, logits.detach().numpy(), rtol=1e-7, atol=1e-10)


def test_reinforce_draws_by_its_probabilities():
    method = make("reinforce", seed=1, policy_init=1.0)
    expected = method.probabilities()
    np.testing.assert_allclose(expected.sum(axis=1), 1)
    ops = np.array([method.ask().ops for _ in range(4000)])
    for edge in range(len(EDGES)):
        assert chisquare(np.bincount(ops[:, edge], minlength=5), 4000 * expected[edge]).pvalue > 1e-3


def test_reinforce_learns():
    method = make("reinforce", policy_lr=0.1)
    asked = drive(method, smooth, 1000)
    assert np.mean(list(map(smooth, asked[-100:]))) > 95  # of random cells it is 50
    assert method.probabilities()[0].argmax() == 4


def test_reinforce_survives_large_rewards():
    method = make("reinforce", policy_lr=50.0)
    drive(method, lambda query: 1e9 * rugged(query), 300)
    assert np.isfinite(method.logits).all()
    np.testing.assert_allclose(method.probabilities().sum(axis=1), 1)


# Successive halving and Hyperband


def test_brackets_by_hand():
    assert brackets(TWELVE, 3.0) == [[(1, 9), (4, 3), (12, 1)], [(4, 3), (12, 1)], [(12, 3)]]
    assert brackets((12, 200), 3.0) == [[(12, 9), (200, 1)], [(200, 2)]]
    assert brackets((12, 200), 3.0, most=12) == [[(12, 1)]]
    assert brackets((None,), 3.0) == brackets((None,), 3.0, most=12) == [[(None, 1)]]
    assert brackets(tuple(range(1, 13)), 2.0)[0] == [(1, 8), (3, 4), (6, 2), (12, 1)]  # HpBandSter's, from 1.5 epochs
    assert brackets((1, 3, 9, 27, 81), 3.0)[0] == [(1, 81), (3, 27), (9, 9), (27, 3), (81, 1)]  # Li et al., Table 1
    with pytest.raises(BadCallError, match="longest=5: the shortest training has 12 epochs"):
        brackets((12, 200), 3.0, most=5)


@pytest.mark.parametrize(("longest", "eta"), [(12, 3), (30, 3), (200, 3), (16, 2), (70, 4)])
def test_brackets_are_hpbandsters(longest, eta):
    """Where all lengths are to be had, and the shortest rung, longest / eta^k, is close to a whole number of epochs."""
    rungs = next(k for k in range(99) if longest < eta**k)
    expected = []
    for s in reversed(range(rungs)):
        first = rungs // (s + 1) * eta**s
        expected.append([max(int(first * eta ** (-i)), 1) for i in range(s + 1)])
    found = brackets(tuple(range(1, longest + 1)), float(eta))
    assert [[number for _, number in bracket] for bracket in found] == expected
    assert [epochs for epochs, _ in found[0]] == [longest // eta**s for s in reversed(range(rungs))]


@given(st.sets(st.integers(1, 200), min_size=1), st.floats(1.5, 10), st.integers(0, 200))
def test_brackets_go_from_many_short_trainings_to_few_long_ones(lengths, eta, most):
    budgets = tuple(sorted(lengths))
    if 0 < most < budgets[0]:
        with pytest.raises(BadCallError):
            brackets(budgets, eta, most)
        return
    found = brackets(budgets, eta, most)
    longest = max(length for length in budgets if not most or length <= most)
    assert [len(bracket) for bracket in found] == list(range(len(found), 0, -1))
    for bracket in found:
        epochs, numbers = zip(*bracket, strict=True)
        assert set(epochs) <= lengths
        assert epochs[-1] == longest
        assert list(epochs) == sorted(set(epochs))
        assert list(numbers) == sorted(numbers, reverse=True)
        assert numbers[-1] >= 1


@pytest.mark.parametrize("budgets", [TWELVE, (12, 200)])
@pytest.mark.parametrize("name", ["sh", "hyperband", "bohb"])
def test_the_best_of_a_rung_go_on(name, budgets):
    def objective(query):
        return rugged(query) + query.epochs

    method = make(name, budgets, seed=6, **({"longest": 0} if name == "bohb" else {}))
    asked = iter(drive(method, objective, 900))
    todo = brackets(budgets, 3.0)
    todo = todo[:1] if name == "sh" else todo
    for number_before, bracket in enumerate(itertools.cycle(todo)):
        rung = []
        for epochs, number in bracket:
            best = [query.cell for query in sorted(rung, key=objective, reverse=True)[:number]]
            rung = list(itertools.islice(asked, number))
            if len(rung) < number:
                assert number_before >= 9
                return
            assert {query.epochs for query in rung} == {epochs}
            assert not best or [query.cell for query in rung] == best


def test_with_one_training_of_unknown_length_they_are_random_search():
    expected = [Query(query.cell, None) for query in drive(make("rs", (None,), seed=5), rugged, 50)]
    for name in ("sh", "hyperband"):
        assert drive(make(name, (None,), seed=5), rugged, 50) == expected
    asked = drive(make("bohb", (None,), seed=5), rugged, 50)
    assert asked[:14] == expected[:14]  # then it has a model
    assert asked != expected
    assert {query.epochs for query in asked} == {None}


# BOHB


def plain_density(cells, at, bandwidth):
    total = 0.0
    for cell in cells:
        product = 1.0
        for edge, h in enumerate(bandwidth):
            product *= 1 - h if cell[edge] == at[edge] else h / 4
        total += product
    return total / len(cells)


@pytest.mark.parametrize("least", [0.0, 0.3, 1.0])
def test_a_density_is_the_mean_of_products_and_sums_to_one(least):
    draws = np.random.default_rng(0)
    ops = draws.integers(5, size=(11, 6))
    ops[:, 0] = 3
    density = Density(ops, 5, least)
    for edge in range(6):
        spread = 1.06 * float(np.std(ops[:, edge])) * 11 ** (-1 / 10)
        assert density.bandwidth[edge] == pytest.approx(min(max(spread, least), 0.8))
    every = np.array([cell.ops for cell in all_cells()])
    found = density(every)
    assert found.sum() == pytest.approx(1)
    for index in (0, 77, 15_624):
        assert found[index] == pytest.approx(plain_density(ops, every[index], density.bandwidth))


def test_cells_drawn_from_a_density_keep_as_much_as_its_bandwidth_says():
    ops = np.array([[0, 1, 2, 3, 4, 0]])
    density = Density(ops, 5, 0.3)
    drawn = density.draw(8000, np.random.default_rng(0))
    kept = 1 - 0.3 + 0.3 / 5  # HpBandSter draws the other operation from all five
    for edge in range(6):
        counts = np.bincount(drawn[:, edge], minlength=5)
        expected = np.full(5, (1 - kept) / 4)
        expected[ops[0, edge]] = kept
        assert chisquare(counts, 8000 * expected).pvalue > 1e-3


def test_bohb_draws_at_random_until_it_has_a_model_of_good_and_bad():
    method, draws = make("bohb", seed=9), np.random.default_rng(9)
    drive(method, rugged, 13)
    assert not method.models
    (last,) = drive(method, rugged, 1)
    assert [*method.told[12][0][:-1], last.cell.ops] == [random_cell(draws).ops for _ in range(14)]
    assert list(method.models) == [12]
    (next_one,) = drive(method, rugged, 1)
    assert next_one.cell != random_cell(draws)


def test_bohbs_models_are_of_the_best_and_of_the_rest_of_the_longest_training():
    method = make("bohb", TWELVE, seed=2)
    asked = drive(method, smooth, 500)
    long = [query.cell.ops for query in asked if query.epochs == 12]
    assert max(method.models) == 12
    ranked = sorted(long, key=lambda ops: smooth(Query(Cell(ops))), reverse=True)
    number = max(7, int(0.15 * len(ranked)))
    for density, part in zip(method.models[12], (ranked[:number], ranked[number:]), strict=True):
        assert sorted(map(tuple, density.ops)) == sorted(part)


def test_bohb_tries_the_likeliest_by_its_longest_training():
    draws = np.random.default_rng(0)
    low, high = (Density(np.clip(draws.integers(-1, 2, (9, 6)) + op, 0, 4), 5, 0.3) for op in (0, 4))
    method = make("bohb", TWELVE, seed=5, samples=20)
    method.models = {1: (low, high), 12: (high, low), 4: (low, high)}
    for _ in range(50):
        ahead = deepcopy(method.generator)
        ahead.random()  # for the random fraction
        ratios = {
            tuple(ops): plain_density(high.ops, ops, high.bandwidth) / plain_density(low.ops, ops, low.bandwidth)
            for ops in high.draw(20, ahead).tolist()
        }
        assert method.draw().ops == max(ratios, key=ratios.__getitem__)


def test_good_cells_become_likelier_than_bad_ones():
    method = make("bohb", seed=4)
    asked = drive(method, smooth, 150)
    good, bad = method.models[12]
    every = np.array([cell.ops for cell in all_cells()])
    values = np.array([smooth(Query(cell)) for cell in all_cells()])
    ratio = good(every) / bad(every)
    assert ratio[values > 80].mean() > 3 * ratio[values < 20].mean()
    assert np.mean(list(map(smooth, asked[-50:]))) > 70  # of random cells it is 50


def test_bohb_with_nothing_but_random_cells():
    method = make("bohb", seed=4, random_fraction=1.0)
    ops = np.array([query.cell.ops for query in drive(method, smooth, 400)])
    assert all(chisquare(np.bincount(ops[:, edge], minlength=5)).pvalue > 1e-3 for edge in range(6))


# All of them


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([*of_kind("black-box"), *of_kind("training-free")]),
    st.integers(0, 2**32 - 1),
    st.one_of(st.just((None,)), st.sets(st.integers(1, 200), min_size=1).map(lambda found: tuple(sorted(found)))),
    st.integers(1, 5),
)
def test_what_they_ask_can_be_answered_and_follows_from_the_seed(name, seed, budgets, levels):
    def objective(query):  # few different values: many are equal
        return float(query.cell.index % levels)

    changes = {"longest": 0} if name == "bohb" else {}
    asked, again = (drive(make(name, budgets, seed, **changes), objective, 120) for _ in range(2))
    assert asked == again
    assert len(asked) == (100 if name in CHOOSING else 120)
    for query in asked:
        assert isinstance(query.cell, Cell)
        assert 0 <= query.cell.index < NUM_CELLS
        assert query.epochs is None or query.epochs in budgets
        assert not query.score or load(name).scored
    other = drive(make(name, budgets, seed + 1, **changes), objective, 120)
    assert asked != other


@pytest.mark.parametrize("name", UNSCORED)
def test_they_find_the_better_cells(name):
    """Of 300 trainings on a landscape with one optimum; random search's best is among the best percent."""
    values = [smooth(query) for query in drive(make(name, seed=3), smooth, 300)]
    assert max(values) > 98.5


@pytest.mark.parametrize("name", CHOOSING)
def test_training_free_methods_score_different_cells_once(name):
    asked = drive(make(name, (), candidates=40), rugged, 1000)
    assert len({query.cell for query in asked}) == len(asked) == 40
    assert {query.score for query in asked} == {name}
