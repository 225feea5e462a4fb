"""The bilevel loop: which gradients are computed, and that a seed says everything."""

import copy
import math

import measuring
import numpy as np
import plain
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from nasbench_stc import Cell
from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine import checkpoint
from nasbench_stc.engine.evaluation import rate
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.protocol import PROTOCOLS, Protocol, choose_protocol
from nasbench_stc.errors import BadCallError, RunError
from nasbench_stc.methods.stc import STC, StcSettings
from nasbench_stc.models import Mixture, Supernet
from nasbench_stc.settings import changed

CPU = torch.device("cpu")
TINY = Protocol(channels=4, cells_per_stage=1, epochs=3, steps=4, batch_size=8, lr=0.1)


def images(seed=0, n=50, device=CPU):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (n, 3, 8, 8), dtype=np.uint8)
    return DeviceImages(Images(pixels, rng.integers(0, 10, n), (120.0,) * 3, (60.0,) * 3, 1), device)


def search(protocol=TINY, seed=0, **settings):
    settings = changed(StcSettings(), settings)
    return Search(lambda g: STC(settings, g), protocol, images(0), images(1), 10, seed)


def run(s):
    while not s.done:
        s.run_epoch()
    return s


def history(s):
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in s.progress.trajectory]


class BackwardMasks(TorchDispatchMode):
    """Records which of (input, weight, bias) gradients each convolution computes."""

    def __init__(self):
        super().__init__()
        self.masks = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten.convolution_backward.default:
            self.masks.append(tuple(args[-1]))
        return func(*args, **(kwargs or {}))


def test_the_alpha_step_computes_no_weight_gradient():
    s = search(sample_none=False)
    s.method.begin_epoch(0, 3)
    before = {name: value.clone() for name, value in s.supernet.named_parameters()}
    with BackwardMasks() as recorded:
        s.alpha_step(torch.arange(8))
    assert recorded.masks
    assert not any(weight or bias for _, weight, bias in recorded.masks)
    assert all(p.grad is None and p.requires_grad for p in s.supernet.parameters())
    assert all(torch.equal(before[name], p) for name, p in s.supernet.named_parameters())


def test_the_weight_step_computes_no_alpha_gradient():
    s = search(sample_none=False)
    s.method.begin_epoch(0, 3)
    alpha = s.method.alpha.detach().clone()
    with BackwardMasks() as recorded:
        s.weight_step(torch.arange(8))
    assert any(weight for _, weight, _ in recorded.masks)
    assert s.method.alpha.grad is None
    assert torch.equal(alpha, s.method.alpha.detach())


def test_weights_that_did_not_run_stay_as_they_are():
    s = search()
    s.weight_step(torch.arange(8))  # momentum everywhere it ran
    s.method.weight_mixture = lambda: Mixture.path(Cell((1, 1, 1, 1, 1, 3)))
    before = {name: p.detach().clone() for name, p in s.supernet.named_parameters()}
    s.weight_step(torch.arange(8))
    moved = {name for name, p in s.supernet.named_parameters() if not torch.equal(before[name], p)}
    in_cells = {name for name in before if ".edges." in name}
    assert {name for name in moved & in_cells if ".bias" not in name} == {
        f"blocks.{block}.edges.5.nor_conv_3x3.1.weight" for block in (0, 2, 4)
    }
    assert "classifier.weight" in moved


def test_the_loss_is_the_supernets_on_the_augmented_batch():
    s = search(sample_none=False)
    s.method.begin_epoch(2, 3)  # no noise: the sample is the argmax
    twin = copy.deepcopy(s.generators["augmentation"].get_state())
    index = torch.arange(10, 18)
    generator = torch.Generator()
    generator.set_state(twin)
    batch, labels = s.train.augmented(index, generator)
    mixture = Mixture.path(s.method.sample().tolist(), s.method.alpha.detach())
    with torch.no_grad():
        expected = F.cross_entropy(copy.deepcopy(s.supernet)(batch, mixture), labels)
    assert s.weight_step(index).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_seed_says_everything():
    one, two, other = run(search(seed=5)), run(search(seed=5)), run(search(seed=6))
    assert history(one) == history(two)
    assert history(one) != history(other)
    for a, b in zip(one.supernet.parameters(), two.supernet.parameters(), strict=True):
        assert torch.equal(a, b)
    assert one.result() == two.result()


def test_the_global_random_state_is_left_alone():
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    search().run_epoch()
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("bn", ["batch", "running"])
def test_a_continued_search_is_the_same_search(tmp_path, at, bn):
    protocol = changed(TINY, {"bn": bn})
    whole, first = run(search(protocol)), search(protocol)
    for _ in range(at):
        first.run_epoch()
    checkpoint.save(tmp_path / "c.pt", first.state_dict())
    second = search(protocol)
    second.load_state_dict(checkpoint.load(tmp_path / "c.pt"))
    assert second.epoch == at
    run(second)
    assert history(second) == history(whole)
    for name, value in whole.supernet.state_dict().items():
        assert torch.equal(value, second.supernet.state_dict()[name])
    assert second.result() == whole.result()


def test_a_damaged_checkpoint_is_named(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, search().state_dict())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(RunError, match=r"checkpoint\.pt: cannot be read.*--no-resume"):
        checkpoint.load(path)


def test_an_epoch_sees_each_image_once_before_any_twice():
    s = search(changed(TINY, {"batch_size": 10, "steps": 12}))
    order = s._order(s.train, 12).flatten()
    assert len(order) == 120
    for start in (0, 50):
        assert sorted(order[start : start + 50].tolist()) == list(range(50))
    assert search(changed(TINY, {"steps": 0})).steps == 50 // 8


def test_learning_rate_end_points():
    s = search()
    s._set_lr(0)
    assert s.form.lr == pytest.approx(0.1)
    s._set_lr(6)
    assert s.form.lr == pytest.approx((0.1 + 0.001) / 2)
    s._set_lr(12)
    assert s.form.lr == pytest.approx(0.001)


def test_the_learning_rate_may_fall_in_a_part_of_the_search():
    whole, part = search(), search(changed(TINY, {"annealed": 0.5}))
    for step in range(13):
        whole._set_lr(min(2 * step, 12))
        part._set_lr(step)
        assert part.form.lr == whole.form.lr


def test_uniform_epochs_take_no_alpha_steps():
    s = search(uniform=0.6)
    alpha = s.method.alpha.detach().clone()
    entries = [s.run_epoch() for _ in range(2)]
    assert [entry["valid_loss"] for entry in entries] == [None, None]
    assert torch.equal(alpha, s.method.alpha.detach())
    assert s.run_epoch()["valid_loss"] is not None
    assert entries[1]["seconds"] > 0 and s.progress.seconds["alpha"] > 0


def test_divergence_is_an_error():
    s = search(changed(TINY, {"lr": 1e30, "lr_min": 1e30, "grad_clip": 0}), sample_none=False)
    with pytest.raises(RunError, match=r"diverged.*lr="):
        run(s)


def test_evaluation_is_over_all_images():
    s = run(search())
    cell = Cell.from_index(11)
    found = rate(s.supernet, [cell], s.valid, 20)  # batches of 20, 20, 10
    losses, right = 0.0, 0
    with torch.no_grad():
        for batch in (torch.arange(0, 20), torch.arange(20, 40), torch.arange(40, 50)):
            x, labels = s.valid.plain(batch)
            logits = s.supernet(x, Mixture.path(cell))
            losses += F.cross_entropy(logits, labels).item() * len(batch)
            right += int((logits.argmax(1) == labels).sum())
    assert found.accuracy == pytest.approx([100 * right / 50])
    assert found.loss == pytest.approx([losses / 50], rel=1e-5)


def test_protocols():
    assert choose_protocol("auto", "digits", "cuda") == "digits"
    assert choose_protocol("auto", "cifar10", "cuda") == "paper"
    assert choose_protocol("auto", "cifar10", "cpu") == "cpu"
    with pytest.raises(BadCallError, match="choose from auto, paper, cpu, digits, nats-bench, nas-bench-201, smoke"):
        choose_protocol("fast", "cifar10", "cpu")
    paper = PROTOCOLS["paper"].settings
    assert (paper.channels, paper.cells_per_stage, paper.epochs) == (16, 5, 50)
    assert (paper.lr, paper.lr_min, paper.momentum, paper.weight_decay) == (0.025, 0.001, 0.9, 3e-4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"chanels": 8}, "unknown setting 'chanels'.*channels"),
        ({"channels": "many"}, "expected a whole number"),
        ({"channels": 0}, "at least 1"),
        ({"lr": math.nan}, "lr=nan: it has to be a finite number"),
        ({"grad_clip": "inf"}, "grad_clip='inf': it has to be a finite number"),
        ({"steps": math.inf}, "steps=inf: expected a whole number"),
        ({"momentum": 2}, "between 0 and 1"),
        ({"bn": "layer"}, "choose from batch, running"),
        ({"nesterov": "perhaps"}, "true or false"),
    ],
)
def test_bad_settings(change, said):
    with pytest.raises(BadCallError, match=said):
        changed(Protocol(), change)


def test_settings_from_text():
    got = changed(Protocol(), {"channels": "8", "lr": "1e-2", "nesterov": "true", "bn": "running"})
    assert (got.channels, got.lr, got.nesterov, got.bn) == (8, 0.01, True, "running")


def test_a_search_with_the_plain_supernet_goes_the_same_way(monkeypatch):
    # In double precision: the gradient of an alpha that a batch norm cancels is rounding, and Adam makes steps of it.
    def in_double():
        # The plain one sends zeros to the weights of dead edges; without momentum and decay that changes nothing.
        protocol = changed(TINY, {"epochs": 6, "momentum": 0, "weight_decay": 0})
        s = search(protocol, alpha_lr=0.1, lambda_end=0.0)  # cells that change from epoch to epoch, by the loss alone
        s.supernet.double()
        for part in (s.train, s.valid):
            part._scale, part._shift = part._scale.double(), part._shift.double()
        return history(run(s))

    ours = in_double()
    monkeypatch.setattr(Supernet, "forward", plain.logits)
    theirs = in_double()
    assert [entry["cell"] for entry in ours] == [entry["cell"] for entry in theirs]
    assert len({entry["cell"] for entry in ours}) > 1
    for mine, plain_one in zip(ours, theirs, strict=True):
        assert mine["train_loss"] == pytest.approx(plain_one["train_loss"], rel=1e-5)
        assert mine["valid_loss"] == pytest.approx(plain_one["valid_loss"], rel=1e-5)


def test_bfloat16_is_near_float32():
    losses = {}
    for precision in ("float32", "bfloat16"):
        s = search(changed(TINY, {"precision": precision, "channels": 8}), alpha_lr=0.1)
        losses[precision] = s.weight_step(torch.arange(32)).item()
        dtypes = {p.dtype for p in s.supernet.parameters()} | {s.method.alpha.dtype}
        assert dtypes == {torch.float32}
        before = s.method.alpha.detach().clone()
        s.alpha_step(torch.arange(32))
        assert s.method.alpha.isfinite().all()
        assert not torch.equal(before, s.method.alpha.detach())
        assert math.isfinite(s.result()[1]["loss"])
    assert losses["bfloat16"] == pytest.approx(losses["float32"], rel=0.05)
    assert losses["bfloat16"] != losses["float32"]  # it was another computation


def test_precision_is_what_the_device_has():
    assert Protocol().on("cpu").precision == "float32"
    assert changed(Protocol(), {"precision": "bfloat16"}).on("cpu").precision == "bfloat16"


def test_memory_goes_with_what_runs_not_with_what_there_is():
    ours = measuring.Ours(measuring.Size(8, 1, 16, 16), "cpu")
    peaks = {}
    for name, active in {
        "skips": ((1,),) * 6,
        "convolutions": ((3,),) * 6,
        "all": measuring.full(),
    }.items():
        ours.method.active = active
        ours.both()
        peaks[name] = measuring.peak_memory(ours.both, "cpu")
    assert peaks["skips"] < 0.7 * peaks["convolutions"]
    assert peaks["convolutions"] < 0.8 * peaks["all"]
