"""A Sphinx extension that puts right what ``sphinx_exercise`` makes of exercises and solutions.

Exercises and equations are numbered through all chapters: chapter 04 would begin with Exercise
12; here it begins with Exercise 4.1, as its tables do. That extension also gives all exercises of a
page the same anchor, and the title that opens a solution a link: whoever presses the words would be
taken away.
"""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx_exercise.nodes import is_exercise_node, is_solution_node

_AFTER_SPHINX = 900
_NUMBERED = ("exercise", "displaymath")


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the extension."""
    app.connect("env-get-updated", _number_by_chapter, priority=_AFTER_SPHINX)
    app.connect("doctree-resolved", _without_traps)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _number_by_chapter(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Replace the numbers that Sphinx gave; no page has to be read again for it."""
    for page, kinds in env.toc_fignumbers.items():
        for kind in _NUMBERED if re.match(r"\d\d-", page) else ():
            numbers = kinds.get(kind, {})
            for position, label in enumerate(sorted(numbers, key=numbers.__getitem__), start=1):
                numbers[label] = (int(page[:2]), position)
    return []


def _without_traps(_app: Sphinx, page: nodes.document, _name: str) -> None:
    for box in page.findall(lambda node: is_exercise_node(node) or is_solution_node(node)):
        title, body = box.children
        body["ids"] = []
        for link in list(title.findall(nodes.reference)):
            if is_solution_node(box):
                link.replace_self(link.children)
