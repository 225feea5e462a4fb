"""Writes the API reference from the docstrings: one HTML page a module, by pdoc. `make docs` runs it.

    python docs/reference.py .docs                        # all modules
    python docs/reference.py .docs nasbench_stc.space     # those below one

pdoc shows what it finds in modules and classes. Some of what there is to know lies elsewhere, and some of what it finds
says nothing; both are put right before it looks. This changes modules that are loaded: run it in a process of its own.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, get_type_hints

import pdoc.doc
from pdoc import doc_ast, render

import nasbench_stc

NAME = nasbench_stc.__name__
_ARRAY = re.compile(r"numpy\.ndarray\[tuple\[typing\.Any, \.\.\.\], numpy\.dtype\[(.+?)\]\]")


def build(out: Path, below: Iterable[str] = ()) -> None:
    """Write the pages of the package, or of the modules `below` and what is below these, into the folder `out`."""
    modules = list(_modules())
    for package in modules:
        for name in getattr(package, "__all__", ()):  # `__getattr__` imports some of them late
            setattr(package, name, getattr(package, name))
    for module in modules:
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                _prepare(cls)
    for package in modules:
        if hasattr(package, "__path__") and hasattr(package, "__all__"):  # which names the submodules to show, too
            names = [info.name for info in pkgutil.iter_modules(package.__path__) if info.name != "__main__"]
            package.__all__ = list(dict.fromkeys([*package.__all__, *names]))
    written_out = pdoc.doc.formatannotation
    pdoc.doc.formatannotation = lambda annotation: _ARRAY.sub(r"NDArray[\1]", written_out(annotation))
    warnings.filterwarnings("ignore", "Cannot determine where", UserWarning)  # a TypedDict's fields, before Python 3.12
    render.configure(docformat="google", show_source=False, footer_text=f"{NAME} {nasbench_stc.__version__}")
    pdoc.pdoc(*(list(below) or [NAME]), output_directory=out)


def _modules() -> Iterator[ModuleType]:
    yield nasbench_stc
    for info in pkgutil.walk_packages(nasbench_stc.__path__, f"{NAME}."):
        if not info.name.endswith(".__main__"):
            yield importlib.import_module(info.name)


def _prepare(cls: Any) -> None:
    if dataclasses.is_dataclass(cls):
        with suppress(NameError):  # of what is imported for type checkers alone
            hints = get_type_hints(cls, include_extras=True)  # each in the module of the class that says it
            own = cls.__init__.__annotations__
            own |= {name: hints[name] for name in own.keys() & hints.keys()}
        for field in dataclasses.fields(cls):
            if "why" in field.metadata:  # a setting's reason, see `nasbench_stc.settings.setting`
                doc_ast.walk_tree(cls).var_docstrings.setdefault(field.name, field.metadata["why"])
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):  # a NamedTuple, whose own docstrings are "Alias for field 0"
        cls.__new__.__doc__ = None
        cls.__new__.__module__ = cls.__module__  # where its annotations mean something
        for name in cls._fields:
            getattr(cls, name).__doc__ = None
    if getattr(cls, "_is_protocol", False):
        cls.__init__.__doc__ = "@private"  # it takes any arguments and makes nothing
    if not cls.__mro__[1].__module__.startswith(NAME):  # else what has no docstring is shown with that of torch's class
        for name, value in vars(cls).items():
            function = getattr(value, "__func__", value)
            if inspect.isfunction(function) and function.__doc__ is None:
                function.__doc__ = ""
                doc_ast.walk_tree(cls).func_docstrings[name] = ""


if __name__ == "__main__":
    build(Path(sys.argv[1]), sys.argv[2:])
