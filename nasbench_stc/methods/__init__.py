"""The methods by name: ours, those that installed packages offer, and classes in files. Listing them loads none.

A package offers a method through the entry-point group `nasbench_stc.methods`; a file's class is named by
`path/to/file.py:Name`. Either way it is a subclass of `OneShotMethod` (`base.py`) or `BlackBoxMethod` (`blackbox.py`).
A sampler of Optuna is named by `optuna:Name` (`optuna_sampler.py`).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from nasbench_stc.errors import BadCallError, MethodError, blamed, choose

GROUP = "nasbench_stc.methods"
KINDS = {
    "one-shot": "a supernet is trained, all cells share its weights",
    "black-box": "cell after cell is trained alone, which a benchmark simulates",
    "training-free": "untrained networks are scored, to choose a cell or to guide a black-box search (area)",
}


class Entry(NamedTuple):
    """One of our methods: where it is, under which of `KINDS` it is listed, and what it is in one line."""

    target: str
    kind: str
    about: str


def _ours(kind: str, **methods: tuple[str, str]) -> dict[str, Entry]:
    return {name: Entry(f"{__name__}.{target}", kind, about) for name, (target, about) in methods.items()}


METHODS = {
    **_ours(
        "one-shot",
        stc=("stc:STC", "STC-NAS: one sampled operation an edge, ReLU weights, JS to the sample (Sun et al., 2022)"),
        rsps=("rsps:RSPS", "RSPS: uniform paths, then the best of random cells (Li & Talwalkar, 2019)"),
        darts=("darts:DARTS", "DARTS, first order: softmax over all operations (Liu et al., 2019)"),
        darts2=("darts:DARTS2", "DARTS, second order: alpha looks one step ahead (Liu et al., 2019)"),
        gdas=("gdas:GDAS", "GDAS: hard Gumbel-softmax, straight through (Dong & Yang, 2019)"),
        setn=("setn:SETN", "SETN: uniform paths, alpha on a template of all (Dong & Yang, 2019)"),
        enas=("enas:ENAS", "ENAS: an LSTM draws cells, learns by REINFORCE (Pham et al., 2018)"),
        snas=("snas:SNAS", "SNAS: all operations, concrete relaxation (Xie et al., 2019)"),
        drnas=("drnas:DrNAS", "DrNAS: all operations, weights drawn from a Dirichlet distribution (Chen et al., 2021)"),
        beta_darts=(
            "beta_darts:BetaDARTS",
            "beta-DARTS: softmax weights are kept from running apart (Ye et al., 2022)",
        ),
        darts_minus=("darts_minus:DARTSMinus", "DARTS-: an auxiliary skip connection fades away (Chu et al., 2021)"),
        gaea=("gaea:GAEA", "GAEA: weights on the simplex, exponentiated gradient (Li et al., 2021)"),
        darts_pt=("darts_pt:DartsPT", "DARTS-PT: an edge keeps what accuracy misses most (Wang et al., 2021)"),
        spos=("spos:SPOS", "SPOS: uniform paths, then evolution over the ratings (Guo et al., 2020)"),
        fairnas=(
            "fairnas:FairNAS",
            "FairNAS: all operations of an edge in each step, then evolution (Chu et al., 2021)",
        ),
        few_shot=("few_shot:FewShot", "few-shot NAS: a supernet for each operation of an edge (Zhao et al., 2021)"),
        duel=(
            "duel:Duel",
            "Duel: two operations an edge meet, weighed by a draw from their Dirichlet distribution (ours)",
        ),
    ),
    **_ours(
        "black-box",
        rs=("random_search:RandomSearch", "random search"),
        rea=("rea:REA", "regularized evolution: mutated children, the oldest dies (Real et al., 2019)"),
        ls=("local_search:LocalSearch", "local search: moves to the best cell one edge away (White et al., 2021)"),
        reinforce=("reinforce:Reinforce", "REINFORCE: a distribution an edge learns from rewards (Williams, 1992)"),
        sh=("hyperband:SuccessiveHalving", "successive halving: the best go on to longer trainings"),
        hyperband=("hyperband:Hyperband", "Hyperband: brackets of successive halving (Li et al., 2018)"),
        bohb=("bohb:BOHB", "BOHB: Hyperband, cells drawn by a ratio of densities (Falkner et al., 2018)"),
    ),
    **_ours(
        "training-free",
        params=("training_free:Params", "the most parameters of random cells"),
        flops=("training_free:Flops", "the most multiply-adds of random cells"),
        naswot=("training_free:Naswot", "NASWOT: ReLU patterns of images differ most (Mellor et al., 2021)"),
        synflow=("training_free:Synflow", "SynFlow: saliency without data (Tanaka et al., 2020)"),
        jacob_cov=(
            "training_free:JacobCov",
            "Jacobian covariance: gradients at images differ most (Mellor et al.)",
        ),
        snip=("training_free:Snip", "SNIP: saliency for the loss (Lee et al., 2019)"),
        grad_norm=("training_free:GradNorm", "GradNorm: the largest gradient (Abdelfattah et al., 2021)"),
        area=("rea:AREA", "AREA: regularized evolution, begun with the best by a score (Mellor et al., 2021)"),
    ),
}


class Method(NamedTuple):
    """A method that was found and loaded."""

    name: str
    """As records and reports have it."""
    kind: str
    """That of `KINDS` which its class is of: `area` is black-box, though it is listed with the scores that guide it."""
    cls: Any
    """Its class."""
    origin: str
    """Where it is from, with its version or checksum; empty for ours."""
    spec: str
    """By which it is found again: its name, or `path/to/file.py:Name`."""

    def make_settings(self) -> Any:
        """Its settings, all at their defaults.

        Raises:
            MethodError: they cannot be made.
        """
        with blamed(self.name, "its Settings"):
            return self.cls.Settings()

    def __reduce__(self) -> tuple[Any, ...]:
        return find, (self.spec,)  # another process finds it anew: it has not imported the file yet


def of_kind(kind: str) -> list[str]:
    """Our methods that are listed under one of `KINDS`."""
    return [name for name, entry in METHODS.items() if entry.kind == kind]


def installed() -> dict[str, EntryPoint]:
    """The methods that installed packages offer, by name, but for names that ours have."""
    return {found.name: found for found in sorted(entry_points(group=GROUP)) if found.name not in METHODS}


def find(spec: str) -> Method:
    """The method that is called so, the class in a file, `path/to/file.py:Name`, or Optuna's sampler, `optuna:Name`.

    Raises:
        BadCallError: there is none; the message says what there is.
        MethodError: its module cannot be imported, or it is no method.
    """
    if spec in METHODS:
        entry = METHODS[spec]
        module, name = entry.target.split(":")
        return _method(spec, getattr(importlib.import_module(module), name), "", spec)
    path, _, name = spec.rpartition(":")
    if path.endswith(".py"):
        own_module, digest = _imported(Path(path))
        if not hasattr(own_module, name):
            own = {key: value for key, value in vars(own_module).items() if _kind(value)}
            raise choose(f"method of {path}", name, [key for key in own if own[key].__module__ == own_module.__name__])
        origin = f"{Path(path).name}, sha256 {digest[:12]}"
        return _method(name, getattr(own_module, name), origin, spec)
    offered = installed()
    if spec not in offered:
        if sampler := re.fullmatch("optuna[:-](.+)", spec):  # with a hyphen in records
            from nasbench_stc.methods import optuna_sampler

            name, cls, origin = optuna_sampler.find_sampler(sampler[1])
            return _method(name, cls, origin, name)
        raise BadCallError(
            f"{choose('method', spec, (*METHODS, *offered))}; or a class in a file: path/to/file.py:Name; "
            "or a sampler of Optuna: optuna:TPESampler"
        )
    point = offered[spec]
    origin = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    with blamed(f"{spec} of {origin}", "cannot be loaded"):
        loaded = point.load()
    return _method(spec, loaded, origin, spec)


def load(name: str) -> Any:
    """The class of the method; see `find`."""
    return find(name).cls


def _method(name: str, loaded: Any, origin: str, spec: str) -> Method:
    kind = _kind(loaded)
    if not kind:
        raise MethodError(
            f"method {name} of {origin}: it is no subclass of OneShotMethod (nasbench_stc.methods.base) or "
            "BlackBoxMethod (nasbench_stc.methods.blackbox)"
        )
    return Method(name, kind, loaded, origin, spec)


def _kind(loaded: Any) -> str:
    """One of `KINDS`; empty for what is no method."""
    from nasbench_stc.methods.base import OneShotMethod
    from nasbench_stc.methods.blackbox import BlackBoxMethod
    from nasbench_stc.methods.training_free import TrainingFree

    above = getattr(loaded, "__mro__", ())
    bases = {TrainingFree: "training-free", BlackBoxMethod: "black-box", OneShotMethod: "one-shot"}
    return next((kind for base, kind in bases.items() if base in above), "")


def _imported(path: Path) -> tuple[ModuleType, str]:
    """The file as a module, and its sha256; the same content is imported once."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise BadCallError(f"method file {path}: cannot be read ({error.strerror})") from None
    name = f"nasbench_stc_method_{digest[:12]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None  # a .py file has both
        module = importlib.util.module_from_spec(spec)
        with blamed(f"file {path}", "cannot be imported"):
            sys.modules[name] = module
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
    return sys.modules[name], digest
