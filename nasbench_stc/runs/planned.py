"""What is to be run, before it is: names resolved, so that what is wrong with them shows at once. No torch here."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Protocol

from nasbench_stc import settings
from nasbench_stc.methods import Method
from nasbench_stc.space import find_space


class Planned(Protocol):
    """A run, everything resolved."""

    @property
    def short_name(self) -> str:
        """For messages."""

    @property
    def folder_name(self) -> str:
        """Of its folder below `--out`."""

    @property
    def epochs(self) -> int:
        """How many it has."""

    @property
    def device(self) -> str:
        """On which it computes."""


@dataclass(frozen=True)
class Plan:
    """Everything that records, and the names of folders, say of a run before it begins, but for its seed."""

    method: Method
    """It stands first: in a worker its file is imported before its settings are unpickled."""
    dataset: str
    protocol: str
    parts: dict[str, Any]
    """Settings: `protocol` (where something is trained), `scores` (where cells are scored), `method`."""
    changes: dict[str, Any]
    """Those of them that differ from the protocol's and the method's own, by name."""
    device: str
    """Of networks; empty where there are none."""
    space: str
    """That is searched, by name."""

    @property
    def settings(self) -> dict[str, dict[str, Any]]:
        """Every setting, by part."""
        return {"protocol": {}, **{part: asdict(values) for part, values in self.parts.items()}}

    @property
    def naming(self) -> dict[str, dict[str, Any]]:
        """The settings by which a folder is named, by part; see `settings.named`."""
        return {"protocol": {}, **{part: settings.named(values) for part, values in self.parts.items()}}

    @property
    def said(self) -> dict[str, Any]:
        """The fields of a record that say what was run."""
        return {
            "method": self.method.name,
            "search_dataset": self.dataset,
            "protocol": self.protocol,
            "settings": self.settings,
            "changes": self.changes,
            "space": self.space,
            "title": self.method.listing.title,
            "order": self.method.listing.order,
        }

    @property
    def beginning(self) -> str:
        """Of folder names: the method's, and the space's where it is not the usual one."""
        return self.method.name if find_space(self.space).usual else f"{self.method.name}-{self.space}"

    def make_method(self, *of_run: Any) -> Any:
        """The method; `of_run`: its generator, from which it draws everything random, and what else its kind needs."""
        return self.method.make(find_space(self.space), self.parts["method"], *of_run)
