"""The pages: links lead somewhere, lines are where the page says, commands are ones."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "benchmarks").rglob("README.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name if page.parent == ROOT else f"docs-{page.name}")
def test_links_lead_to_files(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if not link.startswith(("http", "#")):
            assert (page.parent / link.partition("#")[0]).exists(), f"{page.name}: {link}"


def test_paper_to_code_names_the_lines(regenerate: ModuleType) -> None:
    page = ROOT / "docs/paper-to-code.md"
    text = page.read_text()
    assert len(regenerate.LINE.findall(text)) > 20
    assert regenerate.with_lines(text, page.parent) == text, "run docs/regenerate.py"
    path = ROOT / "nasbench_stc/methods/stc.py"
    assert path.read_text().splitlines()[regenerate.line_of("STC.sample", path) - 1].startswith("    def sample(")


def test_paper_to_code_has_everything_of_the_paper() -> None:
    text = (ROOT / "docs/paper-to-code.md").read_text()
    equations, rest = text.split("## Tables")
    tables, figures = rest.split("## Figures")

    def numbers(part: str) -> set[int]:
        firsts = [line.split("|")[1] for line in part.splitlines() if line.startswith("| ")]
        found: set[int] = set()
        for first in firsts:
            for low, high in re.findall(r"(\d+)(?:–(\d+))?", first if "Sec" not in first else ""):
                found |= set(range(int(low), int(high or low) + 1))
        return found

    assert numbers(equations) == set(range(1, 11))
    assert numbers(tables) == set(range(1, 9))
    assert numbers(figures) == set(range(1, 13))


COMMAND = re.compile(r"^(?:    |\| .*`)?(stc-bench [^`#|\n]+)|`(stc-bench [^`\n]+)`", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name if page.parent == ROOT else f"docs-{page.name}")
def test_commands_are_known_to_the_command_line(page: Path, stc_bench) -> None:
    """Every option and subcommand that a page names: with `-h` behind it a command shows its help."""
    text = re.sub(r"`(stc-bench[^`]*)\n\s*([^`]*)`", r"`\1 \2`", page.read_text())
    for match in COMMAND.finditer(text):
        command = (match[1] or match[2]).split("  ")[0].strip()
        words = shlex.split(command)[1:]
        words = ["3" if word == "…" else word for word in words]
        status, _, err = stc_bench(*words, "-h")
        assert status == 0, f"{page.name}: {command}: {err}"
