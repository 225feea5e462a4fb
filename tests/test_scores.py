"""Training-free scores: each is the slow one written down here, and they agree with the published ones."""

import copy
import csv
import json
import math
import subprocess
import sys

import numpy as np
import plain
import pytest
import torch
import torch.nn.functional as F
from scipy import stats
from torch import nn

from nasbench_stc import Cell, open_benchmark, search
from nasbench_stc.benchmark import find_metric
from nasbench_stc.engine.scoring import Scorer, Scoring
from nasbench_stc.errors import BadCallError, DataError
from nasbench_stc.models import CellNetwork, Mixture
from nasbench_stc.models.scores import SCORES, Untrained, grad_norm, jacob_cov, naswot, snip, synflow
from nasbench_stc.records.ranking import choose_cells
from nasbench_stc.runs.score import make_scorer, score_cells
from nasbench_stc.space import flops, params

OF_NETWORKS = [name for name, score in SCORES.items() if score.of_network]
DEAD_END = "330200"  # convolutions 0 -> 1, 0 -> 2 and 0 -> 3, of which only the last reaches the result
CELLS = ["333333", "314224", "023110", "402031", "130042", DEAD_END, "300100", "003003"]
N = 7


def network(digits, cells_per_stage=1):
    torch.manual_seed(int(digits, 5))
    return CellNetwork(Cell.parse(digits), 4, cells_per_stage, 10).double()


def batch():
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(N, 3, 8, 8, generator=generator, dtype=torch.float64)
    return images.to(memory_format=torch.channels_last), torch.randint(10, (N,), generator=generator)


class Plain(nn.Module):
    """The network by its definition: every operation is a module of its own, `none` a product with zero."""

    def __init__(self, net):
        super().__init__()
        self.net = copy.deepcopy(net).train()

    def forward(self, images):
        return plain.logits(self.net, images, Mixture.path(self.net.cell))


def weights(module):
    return {f"{name}.weight": of.weight for name, of in module.named_modules() if isinstance(of, nn.Conv2d | nn.Linear)}


@pytest.mark.parametrize("digits", CELLS)
def test_naswot_counts_agreeing_units(digits):
    net, (images, labels) = network(digits), batch()
    slow, patterns = Plain(net), [[] for _ in images]

    def see(x):
        for of_image, one in zip(patterns, x, strict=True):
            of_image.extend((one > 0).flatten().tolist())

    for module in slow.modules():
        if isinstance(module, nn.ReLU):
            module.register_forward_hook(lambda module, given, made: see(given[0]))
    slow.net.head_norm.register_forward_hook(lambda module, given, made: see(made))
    slow(images)
    kernel = [[sum(a == b for a, b in zip(one, other, strict=True)) for other in patterns] for one in patterns]
    expected = np.linalg.slogdet(np.array(kernel, float)).logabsdet
    assert math.isfinite(expected) or digits == "003003"
    assert naswot(Untrained(net, images, labels)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("digits", CELLS)
def test_synflow_is_the_flow_through_absolute_weights(digits):
    net, (images, labels) = network(digits, 2), batch()
    slow = Plain(net)
    for module in list(slow.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, nn.Identity())
    for parameter in slow.parameters():
        parameter.data = parameter.data.abs()
    slow(torch.ones(1, 3, 8, 8, dtype=torch.float64)).sum().backward()
    total = sum(
        (weight.data * weight.grad).sum().item() for weight in weights(slow).values() if weight.grad is not None
    )
    found = synflow(Untrained(net, images, labels))
    assert found == (pytest.approx(math.log(total), rel=1e-12) if total else -math.inf)


def test_synflow_does_not_overflow():
    net, (images, labels) = network("333333", 5), batch()
    for parameter in net.parameters():
        parameter.data *= 30
    assert 200 < synflow(Untrained(net.float(), images.float(), labels)) < 300  # float32 ends at 88


@pytest.mark.parametrize("digits", CELLS[:-1])
def test_jacob_cov_image_by_image(digits):
    net, (images, labels) = network(digits), batch()
    single = [image.clone().requires_grad_() for image in images]
    total = Plain(net)(torch.stack(single)).sum()
    jacobian = [torch.autograd.grad(total, one, retain_graph=True)[0].flatten().numpy() for one in single]
    values = np.linalg.eigvals(np.corrcoef(np.array(jacobian))).real + 1e-5
    expected = -sum(math.log(value) + 1 / value for value in values)
    assert jacob_cov(Untrained(net, images, labels)) == pytest.approx(expected, rel=1e-7)
    assert expected <= -N * (math.log(1 + 1e-5) + 1 / (1 + 1e-5))


@pytest.mark.parametrize("digits", CELLS)
def test_snip_is_the_gradient_of_a_mask(digits):
    net, (images, labels) = network(digits), batch()
    slow = Plain(net)
    masks = {name: torch.ones_like(weight, requires_grad=True) for name, weight in weights(slow).items()}
    masked = {name: weight.detach() * masks[name] for name, weight in weights(slow).items()}
    loss = F.cross_entropy(torch.func.functional_call(slow, masked, images), labels)
    found = torch.autograd.grad(loss, list(masks.values()), allow_unused=True)
    expected = sum(float(of_mask.abs().sum()) for of_mask in found if of_mask is not None)
    assert snip(Untrained(net, images, labels)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("digits", CELLS)
def test_grad_norm_sums_over_layers(digits):
    net, (images, labels) = network(digits), batch()
    slow = Plain(net)
    F.cross_entropy(slow(images), labels).backward()
    expected = sum(float(weight.grad.norm()) for weight in weights(slow).values() if weight.grad is not None)
    assert grad_norm(Untrained(net, images, labels)) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_what_ignores_its_images_has_the_lowest_score():
    images, labels = batch()
    for digits in ("000000", "003003"):
        nothing = Untrained(network(digits), images, labels)
        assert [naswot(nothing), synflow(nothing), jacob_cov(nothing)] == [-math.inf] * 3
        assert [snip(nothing), grad_norm(nothing)] == [0, 0]
    hanging = Untrained(network("300000"), images, labels)  # a ReLU that sees the images, and leads nowhere
    assert math.isfinite(naswot(hanging))
    assert [synflow(hanging), jacob_cov(hanging), snip(hanging), grad_norm(hanging)] == [-math.inf, -math.inf, 0, 0]


@pytest.mark.parametrize("training", [False, True])
def test_the_network_stays_as_it_was(training):
    net, (images, labels) = network("314224").train(training), batch()
    before = copy.deepcopy(net.state_dict())
    for name in OF_NETWORKS:
        SCORES[name].of_network(Untrained(net, images, labels))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.training == training
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())
    assert images.grad is None
    assert not images.requires_grad


SMALL = {"channels": 4, "cells_per_stage": 1, "batch_size": 16}


def small(seed=0, **changes):
    return make_scorer("digits", seed, device="cpu", changes=SMALL | changes)


def test_a_score_depends_on_cell_and_seed_alone():
    cells = [Cell.parse(digits) for digits in CELLS]
    found = score_cells(small(), OF_NETWORKS, cells)
    again = small()
    for name in reversed(OF_NETWORKS):
        one_by_one = [again(name, cell) for cell in reversed(cells)]
        np.testing.assert_array_equal(found[name], one_by_one[::-1])
        other = score_cells(small(1), [name], cells[:3])[name]
        assert (other != found[name][:3]).all()
        started = score_cells(small(init="kaiming"), [name], cells[:3])[name]
        assert (started != found[name][:3]).all()
    for order in (OF_NETWORKS, OF_NETWORKS[::-1], OF_NETWORKS[2:] + OF_NETWORKS[:2]):
        together = again.scores(order, cells[1])
        assert together == {name: found[name][1] for name in OF_NETWORKS}
    state = torch.get_rng_state()
    again("snip", cells[0])
    assert torch.equal(torch.get_rng_state(), state)


def test_parameters_and_flops_look_at_no_image(tmp_path, stc_bench):
    scorer = make_scorer("cifar100", data_dir=tmp_path, device="cpu")
    cells = [Cell.parse(digits) for digits in CELLS]
    found = score_cells(scorer, ["params", "flops"], cells)
    np.testing.assert_array_equal(found["params"], params(cells, "cifar100") / 1e6)
    np.testing.assert_array_equal(found["flops"], flops(cells, "cifar100"))
    with pytest.raises(DataError, match="no cifar100 in"):
        scorer("snip", cells[0])
    with pytest.raises(BadCallError, match="looks at images, and none were given"):
        Scorer(Scoring(), None, "cifar10")("naswot", cells[0])
    status, out, _ = stc_bench("score", 9930, "--score", "params,flops", "--data-dir", tmp_path)
    assert status == 0
    assert "184.73" in out
    assert "mini-batch" not in out


def test_one_mini_batch_for_all():
    reads = []
    made = small()
    read, made._read = made._read, lambda: reads.append(1) or read()
    for digits in CELLS[:3]:
        made.scores(["naswot", "jacob_cov"], Cell.parse(digits))
    assert reads == [1]
    images, labels = made.batch
    assert (tuple(images.shape), tuple(labels.shape)) == ((16, 3, 8, 8), (16,))
    assert images.flatten(1).unique(dim=0).shape[0] == 16
    assert small(resolution=4).batch[0].shape[-1] == 4


def test_wrong_calls_are_said(stc_bench):
    tiny = [f"--set={key}={value}" for key, value in SMALL.items()]
    for args, message in (
        (["score"], "give either cells, or --cells for a sample of them"),
        (["score", 1, "--cells", 5], "give either cells, or --cells"),
        (["score", 1, "--score", "fisher"], "unknown score 'fisher': choose from all, params, flops, naswot"),
        (["score", 1, "--score", "snip,snip"], "give names, each once (naswot,synflow), or all"),
        (["score", 1, "--set", "init=zero"], "choose from torch, kaiming"),
        (["score", 1, "--set", "lr=1"], "unknown setting 'lr': choose from channels"),
        (["score", 1, "--set", "batch_size=1"], "it has to be at least 2"),
        (["score", 1, "--dataset", "mnist"], "unknown data set 'mnist'"),
        (["score", 1, "--dataset", "digits", *tiny[:-1], "--set", "batch_size=9999"], "more than the 719 images"),
        (["score", 99999, "--score", "params"], "is no cell index"),
        (["score", "--cells", 0, "--score", "params"], "give how many"),
    ):
        status, _, err = stc_bench(*args, "--benchmark", "analog", "--device", "cpu")
        assert (status, message in err) == (2, True), err
    with pytest.raises(BadCallError, match="unknown score 'fisher'"):
        small()("fisher", Cell.from_index(0))
    with pytest.raises(BadCallError, match="seed -1"):
        make_scorer("digits", -1)


def test_the_command_shows_scores_of_cells(stc_bench):
    args = ["score", "9930", "000000", "--dataset", "digits", "--device", "cpu", "--seed", 3]
    args += [f"--set={key}={value}" for key, value in SMALL.items()]
    status, out, err = stc_bench(*args)
    assert status == 0 and err.startswith("Note: 000000 is read as six digits") and err.count("\n") == 1
    assert "333133" in out
    assert "–: minus infinity, the lowest" in out
    rows = json.loads(stc_bench(*args, "--format", "json")[1])["rows"]
    scorer = small(3)
    for row in rows:
        expected = scorer.scores(SCORES, Cell.from_index(row["cell"]))
        assert {name: row[name] for name in SCORES} == {
            name: value if math.isfinite(value) else None for name, value in expected.items()
        }
    assert [(row["seed"], row["channels"], row["init"]) for row in rows] == [(3, 4, "torch")] * 2
    lines = list(csv.DictReader(stc_bench(*args, "--format", "csv")[1].splitlines()))
    assert [line["naswot"] for line in lines] == [str(rows[0]["naswot"]), ""]


def test_the_command_compares_with_a_benchmark(stc_bench):
    args = ["score", "--cells", 30, "--dataset", "digits", "--benchmark", "analog", "--device", "cpu"]
    args += [f"--set={key}={value}" for key, value in SMALL.items()]
    status, out, err = stc_bench(*args, "--format", "json", "--score", "synflow,params")
    assert (status, err) == (0, "")
    rows = json.loads(out)["rows"]
    assert [(row["slice"], row["score"]) for row in rows] == [
        (of_slice, name) for of_slice in ("all", "all, merged", "best tenth") for name in ("synflow", "params")
    ]
    cells = [Cell.from_index(index) for index in choose_cells(30)]
    truth = open_benchmark("analog").accuracy(cells)
    found = score_cells(small(), ["synflow"], cells)["synflow"]
    assert rows[0]["tau_b"] == pytest.approx(stats.kendalltau(found, truth).statistic)
    assert rows[0]["low"] < rows[0]["tau_b"] < rows[0]["high"]
    assert (rows[0]["n"], rows[4]["n"], rows[0]["compared_with"]) == (30, 3, "cifar10-test")
    for form in ("text", "markdown", "latex"):
        assert "synflow" in stc_bench(*args, "--format", form, "--score", "synflow")[1]


def test_help_does_without_torch():
    code = (
        "import sys; from nasbench_stc.cli.main import cli; cli(['score', '-h'], standalone_mode=False); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


PUBLISHED = {
    "naswot": ("naswot", "monet-naswot", "zcsuite-nwot"),
    "synflow": ("synflow",),
    "jacob_cov": ("zcsuite-jacov",),
    "snip": ("zcsuite-snip",),
    "grad_norm": ("zcsuite-grad-norm",),
}


def test_published_scores_order_cells_alike(nb201, metrics_dir, images_dir):
    """A few cells, so that it ends soon; benchmarks/score_agreement.py has hundreds, and what can be expected."""
    index = choose_cells(40)
    index = index[~np.isnan(find_metric("zcsuite-snip", nb201, metrics_dir).values(index))][:16]
    scorer = make_scorer(data_dir=images_dir, device="cpu")
    found = score_cells(scorer, list(PUBLISHED), [Cell.from_index(i) for i in index])
    for name, columns in PUBLISHED.items():
        for column in columns:
            theirs = find_metric(column, nb201, metrics_dir).values(index)
            agreement = stats.spearmanr(found[name], theirs).statistic
            # Two seeds of our own agree about as well: a draw of weights says less of Jacobians than of the others.
            assert agreement > (0.65 if name == "jacob_cov" else 0.9), (column, agreement)


def test_scores_of_other_images_guide_a_search_on_a_benchmark_alone(tmp_path):
    """Without CIFAR-10 at hand: embedded images for the scores, analog for the trainings."""
    small = {"channels": 4, "cells_per_stage": 1, "batch_size": 8, "images": "digits"}
    common = {"benchmark": "analog", "data_dir": tmp_path, "seed": 1, **small}
    guided = search("area", evaluations=15, **common)
    assert guided.trajectory[-1]["evaluation"] > 20 and guided.settings["scores"]["images"] == "digits"
    chosen = search("naswot", candidates=5, **common)
    assert chosen.seconds["scores"] > 0 and chosen.scores["cifar10-test"] > 0
    with pytest.raises(DataError, match="no cifar10"):
        search("naswot", candidates=5, **{**common, "images": "own"})
