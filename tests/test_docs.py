"""The pages: links lead somewhere, lines are where the page says, commands are ones. The names in docstrings, too."""

from __future__ import annotations

import ast
import builtins
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import nasbench_stc

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


def test_the_wall_time_of_a_table_is_computed(monkeypatch, capsys) -> None:
    (script,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/clusters.md").read_text(), re.DOTALL)
    monkeypatch.chdir(ROOT)
    exec(script, {})
    hours = [float(hours) for hours in re.findall(r"--jobs \d+: ([\d.]+) h", capsys.readouterr().out)]
    assert len(hours) == 5 and hours == sorted(hours, reverse=True)


NAME = re.compile(r"(?=.*[.(A-Z])(?!.*\.(py|json|gz|npy|pt|pth)$)[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\(\))?")  # and no file's
OTHERS = {"CONFIG_KEYS", "EDGE_LIST", "OP_NAMES_NB201", "ImageNet16"}  # three of other tools, and what is no data set
ARGS = re.compile(r"^Args:\n((?: .*\n?|\n)+)", re.MULTILINE)


class References:
    """What the names in docstrings may mean."""

    def __init__(self) -> None:
        below = [info.name for info in pkgutil.walk_packages(nasbench_stc.__path__, "nasbench_stc.")]
        self.modules = [nasbench_stc, *(importlib.import_module(n) for n in below if not n.endswith("__main__"))]
        self.trees = [ast.parse(Path(str(module.__file__)).read_text()) for module in self.modules]
        self.known: dict[str, list[object]] = {}
        self.own: dict[object, set[str]] = {}  # what classes annotate, or assign to self
        for module, tree in zip(self.modules, self.trees, strict=True):
            for name, value in [(module.__name__.rpartition(".")[2], module), *vars(module).items()]:
                self.known.setdefault(name, []).append(value)
            for node in [node for node in tree.body if isinstance(node, ast.ClassDef)]:
                own = self.own.setdefault(getattr(module, node.name), set())
                for inner in ast.walk(node):
                    if isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                        own.add(inner.target.id)
                    elif isinstance(inner, ast.Attribute) and ast.unparse(inner.value) == "self":
                        own.add(inner.attr)

    def has(self, owner: object, path: list[str]) -> bool:
        for part in path:
            if not hasattr(owner, part):  # of what is not assigned yet the type is not known: anything may follow
                return any(part in self.own.get(base, ()) for base in getattr(owner, "__mro__", ()))
            owner = getattr(owner, part)
        return True

    def is_there(self, name: str, scope: list[ast.AST], module: ModuleType) -> bool:
        first, *rest = name.removesuffix("()").split(".")
        for node in scope:
            if isinstance(node, ast.ClassDef) and self.has(getattr(module, node.name, None), [first, *rest]):
                return True
            for arg in ast.walk(node.args) if isinstance(node, ast.FunctionDef) else ():
                if isinstance(arg, ast.arg) and arg.arg == first:
                    kinds = re.findall(r"\w+", ast.unparse(arg.annotation or arg))
                    return not rest or any(self.has(one, rest) for kind in kinds for one in self.known.get(kind, ()))
        if hasattr(builtins, first) or any(self.has(one, rest) for one in self.known.get(first, ())):
            return True
        return first != "nasbench_stc" and importlib.util.find_spec(first) is not None  # another package's

    def broken(self, node: ast.AST, scope: list[ast.AST], module: ModuleType) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt):
                yield from self.broken(child, [*scope, child], module)
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
                text = inspect.cleandoc(str(child.value.value))
                listed = re.findall(r"^    (\w+):", "".join(ARGS.findall(text)), re.MULTILINE)
                taken = {arg.arg for arg in ast.walk(node) if isinstance(arg, ast.arg)} if listed else set()
                names = [
                    name for name in re.findall(r"`([^`\n]+)`", text) if NAME.fullmatch(name) and name not in OTHERS
                ]
                wrong = [name for name in names if not self.is_there(name, scope, module)]
                for name in [*wrong, *(arg for arg in listed if arg not in taken)]:
                    yield f"{module.__name__}, docstring in line {child.lineno}: {name}"


def test_names_in_docstrings_lead_somewhere() -> None:
    """Those in backticks with a dot, a capital or parentheses, and the arguments that are listed."""
    references = References()
    pairs = zip(references.modules, references.trees, strict=True)
    found = [line for module, tree in pairs for line in references.broken(tree, [], module)]
    assert not found, "\n".join(found)


def test_the_reference_is_built(tmp_path: Path) -> None:
    """Two of the pages that `make docs` writes: without a warning, and with what pdoc alone would not show."""
    command = [sys.executable, "-W", "error::UserWarning", ROOT / "docs/reference.py", tmp_path]
    subprocess.run([*command, "nasbench_stc.methods.stc", "nasbench_stc.benchmark.base"], check=True)
    settings = (tmp_path / "nasbench_stc/methods/stc.html").read_text()
    assert "learning rate for alpha" in settings and "Alias for field" not in settings
    assert "NDArray" in (tmp_path / "nasbench_stc/benchmark/base.html").read_text()
