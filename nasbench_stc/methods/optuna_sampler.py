"""The samplers of Optuna as black-box methods: `optuna:TPESampler`, whose records and folders say `optuna-TPESampler`.

Akiba, Sano, Yanase, Ohta & Koyama, "Optuna: a next-generation hyperparameter optimization framework", KDD 2019. The
search space is a categorical parameter an edge, the sampler's arguments are its defaults (but see `_arguments`). Optuna
is imported when a sampler is found, not with this module. The two that try all cells know no way to end a run that goes
on after the last: it ends with an error (Optuna's, of `optuna.Study.stop`).
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.methods.blackbox import BlackBoxMethod, Listing, Query
from nasbench_stc.space import Cell, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

INSTALL = "pip install 'nasbench_stc[optuna]'"

SAMPLERS = {
    "TPESampler": "TPE, a tree-structured Parzen estimator: cells drawn by a ratio of joint densities",
    "GPSampler": "Gaussian process, the expected improvement of its logarithm; half a minute of CPU time a run",
    "NSGAIISampler": "NSGA-II; of one objective a genetic algorithm: population 50, crossover, mutations",
    "NSGAIIISampler": "NSGA-III; of one objective a genetic algorithm like NSGA-II",
    "QMCSampler": "quasi-Monte Carlo: Sobol's sequence, scrambled",
    "RandomSampler": "random search",
    "GridSampler": "all cells once, in random order",
    "BruteForceSampler": "all cells once, in random order",
}
"""Those that take categorical parameters, by name, each in one line."""

REFUSED = {
    "CmaEsSampler": "it takes no categorical parameters, and would draw all cells at random",
    "PartialFixedSampler": "it has to be given another sampler and what that must not change",
}
"""Those that do not, and why."""


def _arguments(sampler: str, space: Space) -> dict[str, Any]:
    """Those that are not the sampler's defaults."""
    if sampler == "GridSampler":
        return {"search_space": dict.fromkeys(_names(space), space.ops)}
    # Without that all seeds of QMC have the same sequence, but for its first cell.
    return {"scramble": True} if sampler == "QMCSampler" else {}


def _names(space: Space) -> list[str]:
    """Of the parameters, by edge: `0-1`."""
    return [edge.replace("→", "-") for edge in space.edges]


def is_installed() -> bool:
    """Whether Optuna is there to be imported."""
    return find_spec("optuna") is not None


class OptunaMethod(BlackBoxMethod):
    """What a sampler suggests; it is told each accuracy, and maximizes. Nothing is kept on disk."""

    sampler: ClassVar[str]
    """The sampler's class."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        import optuna
        from optuna.distributions import CategoricalDistribution

        ops = CategoricalDistribution(self.space.ops)
        self.parameters: dict[str, BaseDistribution] = dict.fromkeys(_names(self.space), ops)
        seed = int(self.generator.integers(2**32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = getattr(optuna.samplers, self.sampler)(seed=seed, **_arguments(self.sampler, self.space))
        level = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # else each new study is told of
        try:
            self.study = optuna.create_study(sampler=sampler, direction="maximize")
        finally:
            optuna.logging.set_verbosity(level)

    def ask(self) -> Cell:
        """The sampler's next cell."""
        self.trial = self.study.ask(self.parameters)
        chosen = (self.trial.params[edge] for edge in self.parameters)
        return Cell(tuple(map(self.space.ops.index, chosen)), self.space.name)

    def tell(self, query: Query, value: float) -> None:
        """The accuracy of the last cell."""
        self.study.tell(self.trial, value)


def find_sampler(name: str) -> tuple[str, type[OptunaMethod], str]:
    """A sampler by its class's name: the method's name, its class, and which Optuna it is from.

    Raises:
        BadCallError: Optuna is not installed, or has no such sampler; the message says what to do.
    """
    if name in REFUSED:
        raise BadCallError(f"method optuna:{name}: {REFUSED[name]}")
    if name not in SAMPLERS:
        raise choose("sampler of Optuna", name, SAMPLERS)
    if not is_installed():
        raise BadCallError(f"method optuna:{name}: Optuna is not installed; {INSTALL}")
    import optuna

    if not hasattr(optuna.samplers, name):
        raise BadCallError(f"method optuna:{name}: Optuna {optuna.__version__} has no such sampler; {INSTALL}")
    return f"optuna-{name}", _class(name), f"optuna {optuna.__version__}"


@cache
def _class(name: str) -> type[OptunaMethod]:
    listing = Listing(name.removesuffix("Sampler"), SAMPLERS.get(name, ""), order=175)
    return type(name, (OptunaMethod,), {"sampler": name, "listing": listing, "__doc__": f"Optuna's {name}."})
