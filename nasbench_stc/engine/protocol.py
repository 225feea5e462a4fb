"""A protocol: the named search settings that every method shares, so that rows of a table differ by method alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import NamedTuple

from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.settings import setting
from nasbench_stc.space import TSS, Space


@dataclass(frozen=True)
class Protocol:
    """The supernet, its images and how its weights train. Defaults: what the STC-NAS paper says, or leaves open."""

    channels: int = setting(16, "C, channels of the first stage (the target network, Sec. 4.4)", low=1)
    cells_per_stage: int = setting(5, "N, cells in each of the three stages (the target network)", low=1)
    stem: str = setting(
        "plain",
        "what is before the cells: plain keeps the resolution, imagenet takes an eighth of it, as DARTS on ImageNet",
        choices=("plain", "imagenet"),
        earlier="plain",
    )
    resolution: int = setting(0, "pixels a side that images are averaged down to; 0: as they are, of ImageNet 224")
    epochs: int = setting(50, "epochs of the search (Sec. 4.4)", low=1)
    steps: int = setting(0, "weight steps an epoch; 0: one pass over the training half")
    batch_size: int = setting(64, "open: the batch size behind the paper's 3,600 s; the reference code's", low=2)
    lr: float = setting(0.025, "SGD's first learning rate for the weights (Sec. 4.2)")
    lr_min: float = setting(0.001, "the learning rate in the end; a cosine leads there, step by step (Sec. 4.2)")
    annealed: float = setting(
        1.0,
        "share of the search after which the learning rate is lr_min, and stays there; the paper says a cosine alone",
        low=0.01,
        high=1,
        earlier=1.0,
    )
    momentum: float = setting(0.9, "SGD's momentum (Sec. 4.2)", high=1)
    nesterov: bool = setting(False, "open: the paper names momentum alone")
    weight_decay: float = setting(3e-4, "of the weights (Sec. 4.2)")
    grad_clip: float = setting(5.0, "open: as DARTS, whose other settings the paper has; 0: none")
    bn: str = setting(
        "batch",
        "open: batch statistics in evaluation too, as NATS-Bench searches, or running ones",
        choices=("batch", "running"),
    )
    split: str = setting(
        "published",
        "images for weights and alpha: published (CIFAR-10, ImageNet: halves of the training set; CIFAR-100 and "
        "ImageNet16-120: the training set, and half of the test set) or halves (of the training set, always)",
        choices=("published", "halves"),
    )
    share: float = setting(
        1.0,
        "of each class's images, at least two, that take part in a search (on ImageNet a tenth, Sec. 4.3)",
        high=1,
        earlier=1.0,
    )
    eval_batch: int = setting(
        512, "images a batch in evaluation (batch statistics depend on it; the reference code's)", low=2
    )
    precision: str = setting(
        "auto",
        "of convolutions and what they yield: bfloat16 (autocast: weights, statistics and alpha stay float32), "
        "float32, float64 (all of it, for comparisons), or auto: bfloat16 on a GPU that has it, else float32",
        choices=("auto", "float32", "bfloat16", "float64"),
    )
    form: str = setting(
        "auto",
        "how a step is carried out: plan (Python decides what runs), static (a tensor does, and on a GPU a step is one "
        "CUDA graph), or auto: static on a GPU. Both compute the same but for rounding",
        choices=("auto", "plan", "static"),
        earlier="plan",
    )
    compiled: bool = setting(
        True,
        "static form on a GPU: torch.compile makes few kernels of what is between convolutions. That takes a minute or "
        "two when a size is met for the first time on a machine",
        earlier=False,
    )
    deterministic: bool = setting(
        False,
        "on a GPU: cuDNN takes deterministic algorithms alone, so that a run can be repeated bit for bit",
        earlier=False,
    )

    def on(self, device: str, space: Space = TSS) -> Protocol:
        """The same with what `auto` means on that device, for that space's supernet.

        Raises:
            BadCallError: the space's supernet does not have that form, or that stem.
        """
        if self.stem == "imagenet" and not space.has_imagenet_stem:
            raise BadCallError(f"setting stem=imagenet: the supernet of {space.title} has the stem plain alone")
        if self.nesterov and not self.momentum:
            raise BadCallError("setting nesterov=true: it is of momentum, which is 0")
        on_gpu = device.startswith("cuda")
        if self.form == "static" and not space.has_static_form:
            raise BadCallError(f"setting form=static: the supernet of {space.title} has the form plan alone")
        form = self.form if self.form != "auto" else "static" if on_gpu and space.has_static_form else "plan"
        compiled = self.compiled and on_gpu and form == "static" and find_spec("triton") is not None
        return replace(self, form=form, compiled=compiled, precision=precision_on(device, self.precision))


def precision_on(device: str, precision: str) -> str:
    """The same precision; of `auto` what it means on that device."""
    if precision != "auto":
        return precision
    import torch  # this module is also read by what never computes

    # Of a GPU on another machine it is assumed: all made since 2020 have it.
    on_gpu = device.startswith("cuda")
    bfloat16 = on_gpu and (not torch.cuda.is_available() or torch.cuda.is_bf16_supported(including_emulation=False))
    return "bfloat16" if bfloat16 else "float32"


class Preset(NamedTuple):
    """A protocol by name: its settings, what it is, and about how long one seed takes."""

    settings: Protocol
    about: str
    takes: str


PROTOCOLS = {
    "paper": Preset(
        Protocol(),
        "the paper's: the target network (C=16, N=5), 50 epochs over the training half",
        "2.6 minutes a seed on an H100 (STC-NAS), and up to as much again to compile before the first; days on a CPU",
    ),
    "cpu": Preset(
        Protocol(cells_per_stage=1, resolution=16, epochs=20, steps=400, lr=0.1),
        "a shallower supernet (N=1) on images of 16x16 pixels and fewer steps than the paper's",
        "4 to 30 minutes a seed on a CPU core, by method",
    ),
    "digits": Preset(
        Protocol(channels=8, cells_per_stage=1, epochs=60, batch_size=32, lr=0.1, compiled=False),
        "a small supernet (C=8, N=1) for the embedded 8x8 images",
        "10 seconds to a minute a seed on a CPU core, by method",
    ),
    "nats-bench": Preset(
        Protocol(epochs=100, nesterov=True, weight_decay=5e-4, grad_clip=0.0),
        "NATS-Bench's search: the target network, 100 epochs, no clipping (weight-sharing.config in AutoDL-Projects)",
        "hours on a GPU (not measured here), days on two CPU cores",
    ),
    "nas-bench-201": Preset(
        Protocol(epochs=250, nesterov=True, weight_decay=5e-4, bn="running"),
        "NAS-Bench-201's search: the target network, 250 epochs (DARTS: 50), running statistics, clipping",
        "hours on a GPU (not measured here), days on two CPU cores",
    ),
    "smoke": Preset(
        Protocol(channels=4, cells_per_stage=1, resolution=8, epochs=2, steps=3, batch_size=16, compiled=False),
        "a few steps of a tiny supernet: shows that everything runs, finds nothing",
        "seconds",
    ),
}


def choose_protocol(name: str, dataset: str, device: str) -> str:
    """The protocol that `name` means; `auto`: `digits` for that data set, else `paper` on a GPU, else `cpu`.

    Raises:
        BadCallError: no such protocol.
    """
    if name == "auto":
        return "digits" if dataset == "digits" else "cpu" if device == "cpu" else "paper"
    if name not in PROTOCOLS:
        raise choose("protocol", name, ("auto", *PROTOCOLS))
    return name
