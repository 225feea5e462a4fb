"""HTML, from the template that lies beside this module."""

from __future__ import annotations

import re
from functools import cache
from html import escape
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Template


def page(title: str, **content: Any) -> str:
    """A whole document, ending with a newline.

    Args:
        title: of the window.
        content: what the template says it is of.
    """
    return _template().render(title=title, **content) + "\n"


@cache
def _template() -> Template:
    from jinja2 import Environment
    from markupsafe import Markup

    def told(sentence: str) -> Markup:
        """What is in backticks is code."""
        return Markup(re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(sentence)))

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["told"] = told
    return environment.from_string(resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8"))
