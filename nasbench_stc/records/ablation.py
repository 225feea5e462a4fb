"""The paper's ablations, and the study of its open choices, as searches: which runs each of them compares.

Nothing here imports torch.

On NAS-Bench-201 an ablation costs no retraining: the benchmark says what the cells of its searches score. A run belongs
to an arm by its method and by what it changes of protocol and method, so that runs that were made for something else,
those without any change above all, count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nasbench_stc.engine.protocol import PROTOCOLS, Protocol
from nasbench_stc.errors import choose
from nasbench_stc.records.record import Record
from nasbench_stc.space import DATASETS

ANOTHER = "another"
"""In place of a data set: CIFAR-100 beside CIFAR-10, else CIFAR-10."""
LONGER = 3
"""Times the protocol's epochs that the ablation "epochs" runs: the paper's 150 instead of 50."""
TUNING_SEEDS = (100, 101, 102, 103, 104)
"""Of the study, by which settings are chosen; results are of other seeds."""


@dataclass(frozen=True)
class Arm:
    """One way of searching that an ablation compares with others."""

    label: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Of the protocol's and the method's settings, as in `Record.changes`."""
    method: str = "stc"
    dataset: str = ""
    """What it searches on; empty: the ablation's data set."""
    scaled: Callable[[Protocol], Mapping[str, Any]] = lambda own: {}
    """More changes, that follow from the protocol's own settings."""

    @property
    def is_usual(self) -> bool:
        """Whether it is the search as it is, which the other arms are compared with."""
        return self.method == "stc" and not self.changes and not self.dataset

    def under(self, dataset: str, own: Protocol) -> Arm:
        """What it is on that data set by a protocol of those settings: without changes to what these are anyway."""
        asked = {**self.changes, **self.scaled(own)}
        changes = {name: value for name, value in asked.items() if getattr(own, name, None) != value}
        another = "cifar100" if dataset == "cifar10" else "cifar10"
        return Arm(self.label, changes, self.method, another if self.dataset == ANOTHER else self.dataset)


@dataclass(frozen=True)
class Ablation:
    """Several arms, each run with the same seeds."""

    stands_for: str
    """The table or figure of the paper, or of the study."""
    about: str
    arms: tuple[Arm, ...]
    """In the paper's order."""
    seeds: tuple[int, ...] = (0, 1, 2)
    dataset: str = "cifar10"
    """The paper's, and the default."""
    protocols: tuple[str, ...] = tuple(PROTOCOLS)
    """Under which its arms are what they say; the first one is meant where none is said."""
    tunes: bool = False
    """Whether its seeds are for choosing settings: runs of other seeds are not of it."""

    def of(self, dataset: str, protocol: str) -> tuple[Arm, ...]:
        """Its arms on a data set under a protocol, by name; none under one that it is not of."""
        if protocol not in self.protocols:
            return ()
        arms = [arm for arm in self.arms if arm.dataset != ANOTHER or dataset in DATASETS]  # digits are another already
        return tuple(arm.under(dataset, PROTOCOLS[protocol].settings) for arm in arms)


def _smaller(own: Protocol) -> dict[str, Any]:
    """The paper searches 8 cells of width 16 where it means 20 of width 36: two fifths as deep, half as wide."""
    return {"cells_per_stage": max(1, 2 * own.cells_per_stage // 5), "channels": own.channels // 2}


def _longer(own: Protocol) -> dict[str, Any]:
    return {"epochs": LONGER * own.epochs}


_SOFTMAX: dict[str, Any] = {"activation": "softmax", "idle_alpha": "moves"}
_STRAIGHT: dict[str, Any] = {"scale": "straight-through"}

ABLATIONS = {
    "activation": Ablation(
        "Figure 6",
        "ReLU, softmax or sigmoid makes alpha an operation's weight",
        (Arm("softmax", {"activation": "softmax"}), Arm("sigmoid", {"activation": "sigmoid"}), Arm("ReLU")),
    ),
    "noise": Ablation(
        "Figure 7",
        "the initial range of the sampling noise",
        (Arm("0", {"noise": 0.0}), Arm("0.1", {"noise": 0.1}), Arm("0.3"), Arm("0.5", {"noise": 0.5})),
    ),
    "lambda": Ablation(
        "Table 7",
        "the coefficient of the JS loss, constant or rising",
        (
            Arm("0", {"lambda_end": 0.0}),
            Arm("1", {"lambda_start": 1.0, "lambda_end": 1.0}),
            Arm("2", {"lambda_start": 2.0}),
            Arm("0→1", {"lambda_end": 1.0}),
            Arm("1→2", {"lambda_start": 1.0}),
            Arm("0→2"),
        ),
    ),
    "consistency": Ablation(
        "Table 8",
        "without one of the four consistencies: cell, discretization, depth/width, data set",
        (
            Arm("all four"),
            Arm("not cell", {"runs": "super-cell"}),
            Arm("not discretization", {"lambda_end": 0.0}),
            Arm("not depth/width", scaled=_smaller),
            Arm("not task dataset", dataset=ANOTHER),
        ),
        dataset="cifar100",
    ),
    "epochs": Ablation(
        "Figure 8",
        "three times the epochs, DARTS against STC-NAS",
        (Arm("STC-NAS", scaled=_longer), Arm("DARTS", method="darts", scaled=_longer)),
    ),
    "depth": Ablation(
        "Figure 5",
        "eight searches each in the protocol's network and in a smaller one",
        (Arm("smaller network", scaled=_smaller), Arm("protocol's network")),
        tuple(range(8)),
    ),
    "study": Ablation(
        "Table study",
        "why STC-NAS falls behind: the arms of docs/study.md, on tuning seeds",
        (
            Arm("default"),
            Arm("softmax", _SOFTMAX),
            Arm("softmax, straight through", _SOFTMAX | _STRAIGHT),
            Arm("straight through", _STRAIGHT),
            Arm("no JS", {"lambda_end": 0.0}),
            Arm("wide noise", {"noise": 1.0}),
            Arm("wide noise, no JS", {"noise": 1.0, "lambda_end": 0.0}),
            Arm("wide noise, slow", {"noise": 1.0, "alpha_lr": 1e-3}),
            Arm("no uniform epochs", {"uniform": 0.0, "alpha_lr": 1e-3}),
            Arm("long uniform phase", {"uniform": 0.9, "alpha_lr": 1e-2}),
            Arm("DARTS", {}, "darts"),
            Arm("DARTS on mixtures alone", {"uniform": 0.0, "alpha_lr": 1e-3}, "darts"),
            Arm("DrNAS", {}, "drnas"),
            Arm("duel of any two", {}, "duel"),
            Arm("duel with the leader", {"pairs": "leader"}, "duel"),
            Arm("duel without none", {"none": False}, "duel"),
            Arm("duel with the leader, without none", {"pairs": "leader", "none": False}, "duel"),
            Arm("twins", {}, "twins"),
            Arm("twins, slow", {"alpha_lr": 3e-3}, "twins"),
            Arm("twins, fast", {"alpha_lr": 3e-2}, "twins"),
            Arm("twins, early", {"uniform": 0.25}, "twins"),
            Arm("twins, late and fast", {"uniform": 0.8, "alpha_lr": 5e-2}, "twins"),
            Arm("paired twins", {}, "paired_twins"),
            Arm("paired twins, slow", {"alpha_lr": 3e-3}, "paired_twins"),
            Arm("paired twins, late and fast", {"uniform": 0.8, "alpha_lr": 5e-2}, "paired_twins"),
            Arm("elimination", {"first": 0.5}, "elimination"),
            Arm("elimination, late", {}, "elimination"),
            Arm("elimination on single paths", {"weights": "paths", "first": 0.5}, "elimination"),
            Arm("elimination on single paths, late", {"weights": "paths"}, "elimination"),
            Arm("duel with local search", {}, "duel_ls"),
            Arm("duel with one move", {"moves": 1}, "duel_ls"),
            Arm("duel with one move, rests first", {"moves": 1, "uniform": 0.5}, "duel_ls"),
            Arm("two operations", {"runs": "pair"}),
            Arm("two operations, straight through", {"runs": "pair"} | _STRAIGHT),
            Arm("the rate falls first", {"annealed": 0.65}),
            Arm("the rate falls early", {"annealed": 0.5}),
        ),
        TUNING_SEEDS,
        protocols=("cpu", "digits"),  # the others have no uniform epochs, and the usual rate of alpha
        tunes=True,
    ),
}


def find_ablation(name: str) -> Ablation:
    """The ablation of that name.

    Raises:
        BadCallError: there is none.
    """
    if name not in ABLATIONS:
        raise choose("ablation", name, ABLATIONS)
    return ABLATIONS[name]


class Search(NamedTuple):
    """Which search a run was of; the fields are those of `Record`."""

    method: str
    search_dataset: str
    protocol: str
    changes: Mapping[str, Any]
    seed: int | None = None
    """None: of any seed."""


def belongs(run: Search | Record, arm: Arm, dataset: str) -> bool:
    """Whether the run is one of that arm of an ablation on `dataset`, under its own protocol."""
    of = (run.method, run.search_dataset, run.changes)
    return of == (arm.method, arm.dataset or dataset, arm.changes)


def changed_arm(run: Search | Record, name: str) -> Arm | None:
    """The arm of that ablation, one that changes a setting, of which the run is one; None where there is none."""
    ablation = ABLATIONS[name]
    if not run.changes or run.protocol not in PROTOCOLS:
        return None
    if ablation.tunes and run.seed not in (None, *ablation.seeds):
        return None
    arms = ablation.of(run.search_dataset, run.protocol)
    return next((arm for arm in arms if belongs(run, arm, run.search_dataset)), None)


def is_of_ablation(run: Search | Record) -> bool:
    """Whether the run is of an arm that changes a setting."""
    return any(changed_arm(run, name) is not None for name in ABLATIONS)
