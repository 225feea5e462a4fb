"""The searches that an ablation compares, planned. Nothing here imports torch before it is called."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasbench_stc.engine.protocol import choose_protocol
from nasbench_stc.errors import BadCallError
from nasbench_stc.records.ablation import find_ablation
from nasbench_stc.runs.environment import choose_device
from nasbench_stc.space import TSS

if TYPE_CHECKING:
    from nasbench_stc.runs.launch import Plan


def plans(
    name: str,
    dataset: str = "",
    seeds: Sequence[int] = (),
    protocol: str = "auto",
    device: str = "auto",
    here: bool = True,
    space: str = TSS.name,
) -> list[Plan]:
    """The searches that an ablation compares, seed by seed.

    Args:
        name: one of `ABLATIONS`.
        dataset, seeds: empty: the ablation's own.
        protocol, device: by name; `auto` chooses.
        here: whether the device has to be on this machine.
        space: that is searched, by name.

    Raises:
        BadCallError: something is unknown or out of range.
    """
    from nasbench_stc.runs import launch  # imports torch

    ablation = find_ablation(name)
    dataset = dataset or ablation.dataset
    device = choose_device(device, here)
    protocol = choose_protocol(protocol, dataset, device)
    if protocol not in ablation.protocols:
        raise BadCallError(f"ablation {name} is of the protocols {', '.join(ablation.protocols)}: give --protocol")
    return [
        launch.plan(arm.method, arm.dataset or dataset, seed, protocol, arm.changes, device, here, space)
        for seed in seeds or ablation.seeds
        for arm in ablation.of(dataset, protocol)
    ]
