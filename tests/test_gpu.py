"""What only a GPU can show: that steps are captured, that replays are the same steps, and that a run goes on from one.

These are skipped where there is none. `python -m benchmarks.gpu check` runs them there.
"""

from __future__ import annotations

import copy
import math
import threading
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from nasbench_stc.data.images import DeviceImages, Images
from nasbench_stc.engine import graphs
from nasbench_stc.engine.graphs import WARM_UP, Graphs
from nasbench_stc.engine.loop import Search
from nasbench_stc.engine.precision import kept_in
from nasbench_stc.engine.protocol import Protocol
from nasbench_stc.errors import RunError
from nasbench_stc.methods import load, of_kind
from nasbench_stc.methods.alpha import AlphaMethod, AlphaSettings
from nasbench_stc.models import Mixture
from nasbench_stc.runs import environment
from nasbench_stc.settings import changed

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

GPU = torch.device("cuda")
TINY = Protocol(channels=4, cells_per_stage=1, epochs=3, steps=6, batch_size=8, lr=0.1, form="static", compiled=False)
EXACT = changed(TINY, {"precision": "float32", "deterministic": True})
ONE_SHOT = of_kind("one-shot")


def images(device: torch.device = GPU, dtype: torch.dtype = torch.float32) -> DeviceImages:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (50, 3, 8, 8), dtype=np.uint8)
    return DeviceImages(Images(pixels, rng.integers(0, 10, 50), (120.0,) * 3, (60.0,) * 3, 1), device, dtype)


def search(method: str, protocol: Protocol = EXACT, **own: Any) -> Search:
    cls = load(method)
    chosen = changed(cls.Settings(), own | ({"controller_steps": 1} if method == "enas" else {}))
    train = images()
    return Search(lambda g: cls(chosen, g), protocol, train, train, 10, 5, on_device=cls.on_device)


def launched_one_by_one(s: Search) -> Search:
    """The same search, its steps never captured."""
    s.form.graphs.enabled = False  # type: ignore[attr-defined]
    return s


def run(s: Search) -> list[dict[str, Any]]:
    while not s.done:
        s.run_epoch()
    return [{**entry, "seconds": 0} for entry in s.progress.trajectory]


@pytest.mark.parametrize("method", ONE_SHOT)
def test_replays_are_the_same_steps(method: str) -> None:
    captured, plain = search(method), launched_one_by_one(search(method))
    assert run(captured) == run(plain)
    for mine, theirs in zip(captured.supernet.parameters(), plain.supernet.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert captured.form.graphs._captured and not plain.form.graphs._captured  # type: ignore[attr-defined]


@pytest.mark.parametrize("method", ["stc", "gdas", "enas"])
def test_a_continued_search_is_the_same_search(method: str) -> None:
    whole, first, second = search(method), search(method), search(method)
    expected = run(whole)
    first.run_epoch()
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    assert run(second) == expected
    assert second.result() == whole.result()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("method", ONE_SHOT)
def test_a_search_ends_in_finite_losses(method: str, precision: str) -> None:
    s = search(method, changed(TINY, {"precision": precision}))
    run(s)
    assert math.isfinite(s.result()[1]["loss"])


@pytest.mark.parametrize("bn", ["batch", "running"])
@pytest.mark.parametrize("form", ["plan", "static"])
def test_a_gpu_takes_the_steps_of_a_cpu(form: str, bn: str) -> None:
    """In float64, of a method that draws nothing. What it would not share are random numbers, for augmentation."""
    # Images of one colour each, all in one batch: flips and order change nothing, and nothing is cropped.
    colours = np.repeat(np.arange(8, dtype=np.uint8) * 20, 3 * 8 * 8).reshape(8, 3, 8, 8)
    coloured = Images(colours, np.arange(8), (120.0,) * 3, (60.0,) * 3, 0)
    protocol = changed(TINY, {"form": form, "bn": bn, "precision": "float64"})
    darts = load("darts")
    settings = changed(darts.Settings(), {"alpha_init": 0})
    losses = []
    for device in (torch.device("cpu"), GPU):
        data = DeviceImages(coloured, device, torch.float64)
        s = Search(lambda g: darts(settings, g), protocol, data, data, 10, 5, on_device=True)
        losses.append([[entry["train_loss"], entry["valid_loss"]] for entry in run(s)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-8)


@pytest.mark.parametrize("form", ["plan", "static"])
@pytest.mark.parametrize("kind", ["path", "full"])
def test_gradients_in_float32_are_those_of_float64(form: str, kind: str) -> None:
    """In channels-last memory, which float64 does not take there: torch 2.11's avg_pool2d is wrong in it."""
    found = {}
    for precision in ("float64", "float32"):
        data = images(GPU, kept_in(precision))
        protocol = changed(TINY, {"form": form, "precision": precision, "channels": 16})
        stc = load("stc")
        s = Search(lambda g: stc(stc.Settings(), g), protocol, data, data, 10, 5, on_device=True)  # noqa: B023
        weights = torch.linspace(0.2, 1.0, 30, dtype=kept_in(precision), device=GPU).view(6, 5).requires_grad_()
        mixture = Mixture.path([3, 4, 1, 2, 3, 4], weights) if kind == "path" else Mixture.full(weights)
        with s.form.graphs.plainly() if form == "static" else nullcontext():  # type: ignore[attr-defined]
            loss = s.form.loss(data.plain(torch.arange(32, device=GPU)), mixture, of_weights=True)
            by = torch.autograd.grad(loss, [weights, *s.form.parameters], allow_unused=True, materialize_grads=True)
        found[precision] = torch.cat([gradient.flatten() for gradient in by]).double()
    exact = found["float64"]
    assert (found["float32"] - exact).norm() < 1e-2 * exact.norm()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_host_waits_for_nothing_within_a_captured_step(precision: str) -> None:
    s = search("stc", changed(TINY, {"precision": precision}))
    s.run_epoch()
    s.method.begin_epoch(1, 3)
    index = torch.arange(8, device=GPU)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        s.weight_step(index)
        s.alpha_step(index)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_function_is_captured_after_its_warm_up() -> None:
    generator = torch.Generator(GPU).manual_seed(3)
    twin = torch.Generator(GPU).manual_seed(3)
    graphs, total = Graphs(GPU, [generator]), torch.zeros(4, device=GPU)
    calls = []

    def add(what: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        total.add_(torch.rand(4, generator=generator, device=GPU) * what)
        return total * 2

    expected = torch.zeros(4, device=GPU)
    for factor in range(WARM_UP + 4):
        doubled = graphs("add", add, torch.tensor(float(factor), device=GPU))
        expected += torch.rand(4, generator=twin, device=GPU) * float(factor)
        torch.testing.assert_close(total, expected)
        torch.testing.assert_close(doubled, 2 * expected)
    assert len(calls) == WARM_UP + 1
    assert torch.equal(generator.get_state(), twin.get_state())


def test_what_cannot_be_captured_is_told() -> None:
    class Looking(AlphaMethod):
        on_device = True

        def mixture(self) -> Mixture:
            return Mixture.path(self.alpha.argmax(dim=1).tolist(), self.alpha)

    train = images()
    s = Search(lambda g: Looking(AlphaSettings(), g), EXACT, train, train, 10, 5, on_device=True)
    with pytest.raises(RunError, match=r"(?s)captured as a CUDA graph.*on_device.*form=plan"):
        run(s)


def test_searches_side_by_side_are_the_searches() -> None:
    """In threads, each with a stream of its own."""
    expected = run(search("stc"))
    found: dict[int, Any] = {}
    searches = [search("stc") for _ in range(3)]

    def one(number: int) -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            found[number] = run(searches[number])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(3)] == [expected] * 3


def test_a_search_ends_while_others_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rating the result meets sizes that cuDNN has not seen, while another thread captures its steps."""
    monkeypatch.setattr(graphs, "in_threads", True)
    errors: list[Exception] = []

    def one() -> None:
        try:
            with torch.cuda.stream(torch.cuda.Stream()):
                for _ in range(4):
                    s = search("stc", TINY)
                    run(s)
                    s.result()
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_record_says_the_driver() -> None:
    versions = environment.versions(device="cuda")
    assert versions["driver"].split(".")[0].isdigit() and versions["cuda"] and versions["cudnn"]


def test_a_search_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(search("stc"))
