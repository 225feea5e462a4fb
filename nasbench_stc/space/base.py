"""What a search space is: edges, the operations that each may have, and which of them go together in a cell.

A space is a product of independent decisions. A decision is about one edge or several, and has a table of what these
may have: of NAS-Bench-201's cell each edge decides for itself, of DARTS's each node takes two of its inputs. From that
table follow the number of cells, their index, what a random one is, and what differs from a cell in one decision.

A new space is one subclass of `Space` in a file of this folder, and one module of networks in `models/`, which
`networks` names. Nothing here imports torch.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_stc.errors import BadCallError

Ops = tuple[int, ...]
"""A cell as the number of the operation on each edge."""


MOST_LISTED = 1_000_000
"""Cells of a space that is gone through as a whole, at most."""


class Decision(NamedTuple):
    """What is chosen at once: the operations of some edges."""

    edges: tuple[int, ...]
    """Which, as positions in `Space.edges`."""
    options: NDArray[np.int64]
    """What they may have, a row each, of shape (options, edges)."""


class Graph(NamedTuple):
    """A cell, or a part of it, as it is drawn."""

    name: str
    """Which part; empty: all of it."""
    nodes: tuple[str, ...]
    """Names, in an order in which edges lead forward."""
    edges: tuple[tuple[int, int, int | None], ...]
    """Source and target, as positions in `nodes`, and the edge of the space between them; None: of every cell."""


class Space:
    """A search space; to be subclassed. A subclass says the names; it may say more where a space has its own way.

    Where nothing else is said, every edge may have every operation, a cell's index counts its operations in the order
    of `itertools.product`, and its name is its operations, `op-op-…`.
    """

    name: str
    """By which `--space` and records know it."""
    title: str
    """For tables and messages."""
    edges: tuple[str, ...]
    """Names of what an operation is chosen for, in the order of a cell's operations."""
    ops: tuple[str, ...]
    """Names of the operations."""
    none: int | None = None
    """The number of the operation that puts out zeros, if there is one."""
    skip: int | None = None
    """The number of the skip connection, if there is one."""
    largest: Ops = ()
    """The cell of most parameters, where one has more than all others."""
    inputs: tuple[tuple[int, ...], ...] = ()
    """The edges that lead into each node but the first ones; empty of what is no graph."""
    graphs: tuple[Graph, ...] = ()
    """What a cell is drawn as; empty: it is not."""
    networks: str = ""
    """The module with `Supernet` and `CellNetwork`; empty: nothing is trained here."""
    has_supernet: bool = True
    """Whether that module has one, which weight-sharing methods train."""
    has_static_form: bool = False
    """Whether that module's supernet can be asked by tensors alone (`models/static.py`), for CUDA graphs."""
    has_scores: bool = False
    """Whether training-free scores (`models/scores.py`) know that module's networks."""
    has_imagenet_stem: bool = False
    """Whether that module's supernet takes `imagenet`: a stem for large images, which takes part of the resolution."""
    protocols: Mapping[str, Mapping[str, Any]] = {}
    """Settings of a search that differ here, by protocol."""
    on: Mapping[str, Mapping[str, Mapping[str, Any]]] = {}
    """Those that differ on one data set besides, by data set and protocol; by `any`, whatever the protocol."""
    depths: tuple[int, ...] = (5, 1)
    """N of the supernets of which it is measured what they cost, the deepest first."""
    growth_from: str = ""
    """What `growth` counts, in words to stand before a number; empty: it is not known."""
    benchmarks: tuple[str, ...] = ()
    """Benchmarks of its cells that go by a name of their own, as `--benchmark` takes it; tables that were imported and
    official files say themselves whose cells they have."""
    metrics: tuple[str, ...] = ()
    """Files of the data folder with further numbers of its cells, whose columns `benchmark/metrics.py` knows."""
    usual: bool = False
    """Whether it is what is meant where no space is named; so it is with one space alone."""
    example: str = ""
    """A cell, as `parse` reads it."""
    published: Mapping[str, str] = {}
    """Cells that have a name in the literature, as digits."""

    def module(self) -> ModuleType | None:
        """The module that `networks` names, imported; None where there is none."""
        return importlib.import_module(self.networks) if self.networks else None

    def differing(self, protocol: str, dataset: str) -> dict[str, Any]:
        """The settings of a search by that protocol on that data set that differ in this space, by name."""
        on = self.on.get(dataset, {})
        return {**self.protocols.get(protocol, {}), **on.get("any", {}), **on.get(protocol, {})}

    @property
    def shares_weights(self) -> bool:
        """Whether weight-sharing methods search it: there is a supernet of it."""
        return bool(self.networks) and self.has_supernet

    @property
    def option(self) -> str:
        """By which commands are told of it, with a space before it; empty of the usual one, which need not be named."""
        return "" if self.usual else f" --space {self.name}"

    @property
    def shape(self) -> tuple[int, int]:
        """Of alpha and of a mixture's weights: (edges, operations)."""
        return len(self.edges), len(self.ops)

    @cached_property
    def decisions(self) -> tuple[Decision, ...]:
        """What there is to decide. Every edge occurs once, in order."""
        every = np.arange(len(self.ops))[:, None]
        return tuple(Decision((edge,), every) for edge in range(len(self.edges)))

    @cached_property
    def num_cells(self) -> int:
        """How many cells there are."""
        return math.prod(len(decision.options) for decision in self.decisions)

    @cached_property
    def is_free(self) -> bool:
        """Whether every edge may have every operation, whatever the others have."""
        return bool(self.num_cells == len(self.ops) ** len(self.edges))

    @property
    def is_listable(self) -> bool:
        """Whether all cells can be gone through: there are a million at most."""
        return self.num_cells <= MOST_LISTED

    @property
    def legend(self) -> str:
        """The operations' numbers and names, for messages."""
        return ", ".join(f"{number} {name}" for number, name in enumerate(self.ops))

    def check(self, ops: Iterable[object]) -> Ops:
        """The operations, as plain numbers.

        Raises:
            BadCallError: they are no cell of the space.
        """
        ops = tuple(ops)
        if len(ops) != len(self.edges):
            raise BadCallError(f"a cell has {len(self.edges)} operations, one an edge; got {len(ops)}: {ops}")
        for op in ops:
            if isinstance(op, bool) or not hasattr(op, "__index__") or not 0 <= op < len(self.ops):  # type: ignore[operator]
                raise BadCallError(f"operation {op!r} is none of 0-{len(self.ops) - 1} ({self.legend})")
        plain = tuple(int(op) for op in ops)  # type: ignore[call-overload]
        if not self.is_free:
            self.choices(plain)
        return plain

    def choices(self, ops: Ops) -> list[int]:
        """Which of its options each decision has.

        Raises:
            BadCallError: a decision has none of them.
        """
        found = []
        for decision, numbers in zip(self.decisions, self._numbers, strict=True):
            chosen = tuple(ops[edge] for edge in decision.edges)
            if chosen not in numbers:
                told = ", ".join(f"{self.edges[edge]} {self.ops[ops[edge]]}" for edge in decision.edges)
                raise BadCallError(f"no cell of {self.title}: {told} do not go together")
            found.append(numbers[chosen])
        return found

    @cached_property
    def _numbers(self) -> list[dict[Ops, int]]:
        """Of each decision the number of each of its options."""
        return [{tuple(row): number for number, row in enumerate(one.options.tolist())} for one in self.decisions]

    def text(self, ops: Ops) -> str:
        """The cell's official string; `parse` reads it."""
        return "-".join(self.ops[op] for op in ops)

    def parse(self, text: str) -> Ops:
        """The cell that a user has written down: its string or its index.

        Raises:
            BadCallError: it is none; the message says what is allowed.
        """
        names = text.strip().split("-")
        if len(names) == len(self.edges) and set(names) <= set(self.ops):
            return self.check(self.ops.index(name) for name in names)
        if text.strip().isascii() and text.strip().isdigit():
            return self.at(int(text))
        raise self.no_cell(text)

    def owns(self, text: str) -> bool:
        """Whether the text is a cell of this space by its looks, so that the space need not be named."""
        return False

    def caution(self, text: str) -> str:
        """What else a text that `parse` reads could be meant as, in a sentence; empty: nothing."""
        return ""

    def decoded(self, listed: str | int | Iterable[object], encoding: str) -> Ops:
        """The cell that another tool writes as a list of operations.

        Raises:
            BadCallError: it is none, or no such encoding of this space's cells is known.
        """
        raise BadCallError(f"{self.title}: no encoding {encoding!r} of other tools is known")

    def listed(self, ops: Iterable[object]) -> Ops:
        """The cell of a list of operations, their numbers in edge order.

        Raises:
            BadCallError: it is none, or lists are ambiguous in this space.
        """
        return self.check(ops)

    def no_cell(self, text: object) -> BadCallError:
        """The error for what is no cell."""
        return BadCallError(
            f"{text!r} is no cell of {self.title}: give one like {self.example or self.text(self.at(0))!r}, "
            f"or an index 0-{self.num_cells - 1}"
        )

    def digits(self, ops: Ops) -> str:
        """The operations' numbers in edge order, without anything between them."""
        return "".join(np.base_repr(op, 36) for op in ops)

    def index(self, ops: Ops) -> int:
        """The cell's official index, below `num_cells`."""
        found = 0
        for decision, number in zip(self.decisions, self.choices(ops), strict=True):
            found = found * len(decision.options) + number
        return found

    def at(self, index: int) -> Ops:
        """The cell of that index.

        Raises:
            BadCallError: there is none.
        """
        if isinstance(index, bool) or not hasattr(index, "__index__") or not 0 <= index < self.num_cells:
            raise BadCallError(f"{index!r} is no cell index: it is a whole number 0-{self.num_cells - 1}")
        left, numbers = int(index), []
        for decision in reversed(self.decisions):
            left, number = divmod(left, len(decision.options))
            numbers.append(number)
        return self.chosen(numbers[::-1])

    def every(self) -> Iterator[Ops]:
        """All cells in index order.

        Raises:
            BadCallError: there are more than a million.
        """
        if not self.is_listable:
            raise BadCallError(f"{self.title} has {self.num_cells:,} cells, too many to list")
        return map(self.at, range(self.num_cells))

    def chosen(self, numbers: Sequence[int]) -> Ops:
        """The cell whose decisions have these of their options."""
        return tuple(
            op for one, number in zip(self.decisions, numbers, strict=True) for op in one.options[number].tolist()
        )

    def isomorphism_class(self, ops: Ops) -> str:
        """A string that two cells share when they compute the same function."""
        return self.text(ops)

    def strongest(self, scores: NDArray[np.floating]) -> Ops:
        """The cell that scores of operations stand for, shape (edges, operations): on each edge the highest one."""
        return tuple(scores.argmax(axis=1).tolist())

    def drawn(self, generator: np.random.Generator) -> Ops:
        """A random cell, all equally likely."""
        sizes = [len(decision.options) for decision in self.decisions]
        return self.chosen(generator.integers(sizes).tolist())

    def even(self, about: int, generator: np.random.Generator) -> list[Ops]:
        """Cells in which all operations occur on each edge alike, as near to `about` of them as can be.

        `none` is no operation, and of edges that are decided on together as many are kept as may be. Where it is free
        which ones, as of a DARTS node's inputs, that is drawn for each cell, and what is kept first, second and so on
        has each operation equally often.

        Raises:
            BadCallError: the space has operations that do not go together.
        """
        none = -1 if self.none is None else self.none
        ops = [op for op in range(len(self.ops)) if op != none]
        ops *= max(1, about // len(ops))
        columns = []
        for one in self.decisions:
            ways = np.unique(one.options != none, axis=0)
            ways = ways[ways.sum(axis=1) == ways.sum(axis=1).max()]
            drawn = np.stack([generator.permutation(ops) for _ in range(ways[0].sum())], axis=1)
            kept = ways[generator.integers(len(ways), size=len(ops)) if len(ways) > 1 else [0] * len(ops)]
            chosen = np.full(kept.shape, none)
            chosen[kept] = drawn.ravel()
            columns.append(chosen)
        return [self.check(row) for row in np.concatenate(columns, axis=1).tolist()]

    def mutated(self, ops: Ops, generator: np.random.Generator) -> Ops:
        """The cell with another option of one decision, all equally likely."""
        numbers, place = self.choices(ops), int(generator.integers(len(self.decisions)))
        size = len(self.decisions[place].options)
        numbers[place] = (numbers[place] + 1 + int(generator.integers(size - 1))) % size
        return self.chosen(numbers)

    def neighbours(self, ops: Ops) -> Iterator[Ops]:
        """The cells that differ from it in the operation of one edge."""
        for edge, own in enumerate(ops):
            for op in range(len(self.ops)):
                other = (*ops[:edge], op, *ops[edge + 1 :])
                if op != own and (self.is_free or self._allows(other)):
                    yield other

    def _allows(self, ops: Ops) -> bool:
        return all(
            tuple(ops[edge] for edge in one.edges) in numbers
            for one, numbers in zip(self.decisions, self._numbers, strict=True)
        )

    def params(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.int64]:
        """Trainable parameters of each cell's network on the data set, shape (cells,).

        Raises:
            BadCallError: they are not known here without the network.
        """
        raise BadCallError(f"{self.title}: no formula of parameters")

    def mflops(self, cells: Sequence[Ops], dataset: str) -> NDArray[np.float64]:
        """Multiply-adds of one image's forward pass, in millions, shape (cells,).

        Raises:
            BadCallError: they are not known here without the network.
        """
        raise BadCallError(f"{self.title}: no formula of multiply-adds")

    def growth(self, cells_per_stage: int) -> float | None:
        """Multiply-adds of a supernet that runs every operation on every edge, over those of a cell's own network.

        Both are of the same depth, with C=16 on 32x32 pixels; the cell is the mean of those that `even` draws from.
        None: they are not known here without the networks.
        """
        return None
