"""Downloading one file whose checksum is known: a progress bar on stderr, and errors that say what to do instead."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from nasbench_stc.errors import DataError

_SILENCE_S = 10  # a host that does not answer for so long is out of reach


def download(url: str, checksum: str, folder: Path, otherwise: str) -> Path:
    """Bring the file at `url` into `folder`, under its own name, and return its path.

    Args:
        url: where it is.
        checksum: `md5:` or `sha256:`, and the hexadecimal digest that it has to have.
        folder: where it goes.
        otherwise: the last sentence of the error message, on what to do without it.

    Raises:
        DataError: it is out of reach, or not the file that was meant; then nothing is kept.
        OSError: `folder` cannot be written.
    """
    import pooch  # with requests, half a second to import
    import requests

    name = url.rsplit("/", 1)[1]
    pooch.get_logger().setLevel("WARNING")  # the progress bar says it
    try:
        with _ProgressBar(name) as bar:
            downloader = pooch.HTTPDownloader(
                progressbar=bar,
                chunk_size=1 << 16,
                timeout=_SILENCE_S,
                headers={"Accept-Encoding": "identity"},  # else the length that the host names is a packed one
            )
            return Path(pooch.retrieve(url, checksum, fname=name, path=folder, downloader=downloader))
    except requests.RequestException as error:
        status = error.response.status_code if error.response is not None else None
        reason = f"answers with HTTP status {status}" if status else f"is out of reach ({type(error).__name__})"
        raise DataError(f"{url} {reason}. {otherwise}") from error
    except ValueError as error:  # pooch: the checksum differs
        raise DataError(f"{url} is damaged or another file; nothing was kept. {otherwise}") from error


class _ProgressBar:
    """What pooch expects of a progress bar, drawn by rich on stderr; nothing is drawn where that is no terminal."""

    def __init__(self, title: str) -> None:
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True)
        columns = (progress.TextColumn("{task.description}"), progress.BarColumn(), progress.DownloadColumn())
        self._progress = progress.Progress(
            *columns,
            progress.TransferSpeedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,  # else it leaves an empty line
        )
        self._task = self._progress.add_task(title, total=None)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    @property
    def total(self) -> float | None:
        """Bytes; None while it is unknown."""
        return self._progress.tasks[0].total

    @total.setter
    def total(self, total: float) -> None:
        self._progress.update(self._task, total=total or None)

    def update(self, size: int) -> None:
        self._progress.advance(self._task, size)

    def reset(self) -> None:
        self._progress.update(self._task, completed=0)

    def close(self) -> None:
        """The with statement ends it."""
