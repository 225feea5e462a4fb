"""A recipe: how the network of one cell is trained alone, as named settings; and the recipes that have a name."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

from nasbench_stc.engine.protocol import precision_on
from nasbench_stc.errors import choose
from nasbench_stc.settings import setting


@dataclass(frozen=True)
class Recipe:
    """The network, its images and how its weights train. Defaults: what the STC-NAS paper says, or leaves open.

    Trained is on the whole training set, tested on the whole test set after each epoch. Nothing is chosen by that: what
    counts is the last epoch.
    """

    channels: int = setting(36, "C, channels of the first stage (Sec. 4.2)", low=1)
    cells_per_stage: int = setting(
        6, "N: three stages of N cells, and in DARTS's space two reduction cells: 20 cells (Sec. 4.2)", low=1
    )
    resolution: int = setting(0, "pixels a side that images are averaged down to; 0: as they are, of ImageNet 224")
    epochs: int = setting(600, "passes over the training set (Sec. 4.2)", low=1)
    steps: int = setting(0, "steps an epoch; 0: one pass, whose last batch is what is left")
    batch_size: int = setting(96, "images a step (Sec. 4.2)", low=2)
    lr: float = setting(0.025, "SGD's first learning rate (Sec. 4.2)")
    lr_min: float = setting(
        0.0, "the learning rate in the end (Sec. 4.2); open: a cosine leads there step by step, DARTS's epoch by epoch"
    )
    momentum: float = setting(0.9, "SGD's momentum (Sec. 4.2)", high=1)
    nesterov: bool = setting(False, "open: the paper names momentum alone")
    weight_decay: float = setting(3e-4, "of the weights (Sec. 4.2)")
    grad_clip: float = setting(5.0, "open: as DARTS; 0: none")
    cutout: int = setting(
        16,
        "open: side in pixels of the square that is cut out of an image (Table 4 says cutout alone); as DARTS; 0: none",
    )
    auxiliary: float = setting(
        0.4,
        "open: weight of the loss of an auxiliary head, which is no part of the network tested; as DARTS; 0: no head",
    )
    drop_path: float = setting(
        0.2,
        "open: how likely what is on an edge is dropped for an image, in the end; it rises linearly from 0; as DARTS",
        high=0.99,
    )
    label_smoothing: float = setting(
        0.0, "open: share of a label that all classes have alike; as DARTS, which has 0.1 on ImageNet", high=0.99
    )
    stem: str = setting(
        "plain",
        "what is before the cells: plain keeps the resolution, imagenet takes an eighth of it, as DARTS on ImageNet",
        choices=("plain", "imagenet"),
    )
    eval_batch: int = setting(
        512, "images a batch in the test: a matter of memory, for statistics are running ones", low=1
    )
    precision: str = setting(
        "auto",
        "open: of convolutions and what they yield: bfloat16 (autocast: weights and statistics stay float32), float32, "
        "float64 (all of it, for comparisons), or auto: bfloat16 on a GPU that has it, else float32",
        choices=("auto", "float32", "bfloat16", "float64"),
    )
    deterministic: bool = setting(
        False, "on a GPU: cuDNN takes deterministic algorithms alone, so that a run can be repeated bit for bit"
    )

    def on(self, device: str) -> Recipe:
        """The same with what `auto` means on that device."""
        return replace(self, precision=precision_on(device, self.precision))

    def lr_at(self, done: float) -> float:
        """The learning rate when so much of the training, 0 to 1, is done."""
        return self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * done)) / 2

    def drop_path_at(self, epoch: int) -> float:
        """The probability of dropping a path in that epoch, from 0 on: 0 in the first one, as DARTS has it."""
        return self.drop_path * epoch / self.epochs


class NamedRecipe(NamedTuple):
    """A recipe by name: its settings, what it is, and about how long one training takes."""

    settings: Recipe
    about: str
    takes: str
    spaces: tuple[str, ...] = ()
    """Whose cells were published with it."""


_SMALL = Recipe(channels=8, cells_per_stage=1, lr=0.1, cutout=0, auxiliary=0.0, drop_path=0.0)

RECIPES = {
    "paper": NamedRecipe(
        Recipe(),
        "the paper's: C=36, in DARTS's space 20 cells, 600 epochs, cutout, auxiliary head and path dropout",
        "a day or more on a GPU (not measured here), years on a CPU",
    ),
    "imagenet": NamedRecipe(
        Recipe(
            channels=48,
            cells_per_stage=4,
            epochs=250,
            batch_size=1024,
            lr=0.5,
            weight_decay=3e-5,
            cutout=0,
            drop_path=0.0,
            label_smoothing=0.1,
            stem="imagenet",
        ),
        "the paper's on ImageNet (Sec. 4.3): C=48, in DARTS's space 14 cells, 250 epochs, batches of 1,024 at lr 0.5; "
        "open: smoothed labels and the auxiliary head, as DARTS, and that 3e-5 is the weight decay",
        "days on several GPUs, of which one is used here (not measured)",
    ),
    "nats-bench": NamedRecipe(
        Recipe(
            channels=16,
            cells_per_stage=5,
            epochs=200,
            batch_size=256,
            lr=0.1,
            nesterov=True,
            weight_decay=5e-4,
            grad_clip=0.0,
            cutout=0,
            auxiliary=0.0,
            drop_path=0.0,
        ),
        "what NATS-Bench trained its networks with: C=16, N=5, 200 epochs, Nesterov, no cutout",
        "an hour or more on a GPU (not measured here), weeks on a CPU",
        spaces=("tss", "sss"),
    ),
    "cpu": NamedRecipe(
        replace(_SMALL, resolution=16, epochs=12, steps=150),
        "a small network (C=8, N=1), images of 16x16 pixels, and few steps",
        "1 (a cell of tss) to 3 minutes (DARTS_V2) on a CPU core",
    ),
    "digits": NamedRecipe(
        replace(_SMALL, epochs=15, batch_size=32),
        "a small network (C=8, N=1) for the embedded 8x8 images",
        "10 to 20 seconds on a CPU core",
    ),
    "smoke": NamedRecipe(
        replace(_SMALL, channels=4, resolution=8, epochs=2, steps=3, batch_size=16),
        "a few steps of a tiny network: shows that everything runs, learns nothing",
        "seconds",
    ),
}


def choose_recipe(name: str, space: str, dataset: str, device: str) -> str:
    """The recipe that `name` means; `auto`: the data set's own, if it has one, else `cpu` on a CPU, else the space's.

    Raises:
        BadCallError: no such recipe.
    """
    if name == "auto":
        own = next((one for one, recipe in RECIPES.items() if space in recipe.spaces), "paper")
        return dataset if dataset in RECIPES else "cpu" if device == "cpu" else own
    if name not in RECIPES:
        raise choose("protocol", name, ("auto", *RECIPES))
    return name
