"""What a record says of the machine and the code that it was made with."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nasbench_stc.errors import BadCallError, choose
from nasbench_stc.methods import Method
from nasbench_stc.records.record import Made, Memory

PACKAGES = ("nasbench_stc", "torch", "numpy", "scipy")


def choose_device(name: str, here: bool = True) -> str:
    """The torch device that `name` means; `auto` is a GPU if there is one.

    Args:
        here: whether it has to be on this machine; else `cuda` is taken for one that another machine has.

    Raises:
        BadCallError: it is none, or is not there.
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.split(":")[0] not in ("cpu", "cuda"):
        raise choose("device", name, ("auto", "cpu", "cuda", "cuda:N"))
    if name == "cuda" and not here:
        return name
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise BadCallError(
            f"device {name!r} is not to be had here ({str(error).splitlines()[0]}); try --device cpu"
        ) from None
    return name


def made_by(method: Method | None = None, device: str = "") -> Made:
    """What makes a record that is finished now.

    Args:
        method: that ran; its origin is among the versions, if it is not ours.
        device: a torch device; empty where torch computed nothing: the processor.
    """
    return {
        "versions": versions(method, device),
        "device": device_name(device) if device else processor(),
        "git_revision": git_revision(),
        "finished": now(),
    }


def now() -> str:
    """The time, UTC, as records have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def device_name(device: str) -> str:
    """The device's own name, like that of its processor."""
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else f"CPU: {processor()}"


def peak_memory(device: str) -> Memory:
    """The most memory in use so far, in MiB: the CUDA allocator's, or the resident memory of this process."""
    import torch

    if device.startswith("cuda"):
        return {"mib": round(torch.cuda.max_memory_allocated(device) / 2**20, 1), "of": "CUDA allocator"}
    unit = 2**20 if sys.platform == "darwin" else 2**10  # ru_maxrss is in bytes there, in KiB elsewhere
    return {
        "mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1),
        "of": "resident memory of the process",
    }


def forget_peak_memory(device: str) -> None:
    """Count a GPU's `peak_memory` from here on; of a process on a CPU it can only be that of all it did."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def versions(method: Method | None = None, device: str = "cpu") -> dict[str, str]:
    """Python's version, those of the packages that results depend on, of a GPU those of its driver, CUDA and cuDNN, and
    by its name that of a method not ours."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    if device.startswith("cuda"):
        import torch

        found |= {"driver": _driver(), "cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}  # type: ignore[no-untyped-call]
    return {**found, **({method.name: method.origin} if method and method.origin else {})}


def _driver() -> str:
    try:
        said = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            check=True,
        )
        return said.stdout.split()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "unknown"


@cache
def git_revision() -> str:
    """The commit of this code, `+changes` where files differ from it.

    Outside a checkout of this project it is what `$STC_BENCH_REVISION` says, for copies without their history, or else
    `unknown`.
    """
    here = Path(__file__).parent

    def git(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # else it is somebody else's checkout around us
        changes = "+changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "HEAD") + changes
    except (OSError, subprocess.CalledProcessError):
        return os.environ.get("STC_BENCH_REVISION") or "unknown"


def processor() -> str:
    """The processor's own name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
