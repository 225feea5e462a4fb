"""What `stc-bench data status` lists: one `Item` for each thing that the data folder may hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Item:
    """A data set or a benchmark, found or not."""

    name: str
    how_to_get: str
    path: Path | None = None
    """A file or a folder; None: it was not found."""
    version: str = ""
    state: str = ""
    """What is known of its content: a checksum that is right, that none was looked at, what is missing."""
    usable: bool = True
    """Whether what was found is all there, as far as was looked."""
    weighed: bool = True
    """Whether its size is known; of a folder with a million files nobody would wait for it."""

    @property
    def size(self) -> int | None:
        """Bytes, of a folder those of all its files; None: it is not `weighed`."""
        if not self.weighed:
            return None
        if self.path is None:
            return 0
        if self.path.is_dir():
            return sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file())
        return self.path.stat().st_size
