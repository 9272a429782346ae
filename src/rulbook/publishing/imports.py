"""Which modules of the package a chapter imports, directly or through others.

Read from the sources, nothing is run. Imports inside functions count; those for type checkers only
do not, and the package of a module counts with it, because Python runs it first.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import grimp

import rulbook
from rulbook.paths import files_in, is_in_the_way

_PACKAGE = rulbook.__name__
_FOLDER = Path(rulbook.__file__).parent
_RESOURCES = (".css", ".html", ".js", ".mjs", ".json", ".jinja")
_IPYTHON_LINE = re.compile(r"^([ \t]*)[%!?].*$", re.MULTILINE)


def imported(cells: Iterable[str]) -> list[str]:
    """Return the names of the modules of this package that code cells import themselves.

    A cell that cannot be read as Python counts as importing all of them.
    """
    known = _graph().modules
    return sorted({name for cell in cells for name in _imported(cell, known)})


def digest(modules: Iterable[str]) -> str:
    """Return the SHA-256 over the modules and all that they import, with the files beside them.

    Styles, scripts and templates in the folder of a module are what its outputs carry; they count
    with it, and so do those in folders below it that hold no module.
    """
    found = hashlib.sha256()
    for module in sorted(reached_from(modules)):
        found.update(f"{module}\0{_module_digest(module)}\n".encode())
    return found.hexdigest()


def reached_from(modules: Iterable[str]) -> set[str]:
    """Return the names of the modules of this package that run when ``modules`` are imported.

    One that is no longer there is passed over: the chapter that imports it has to change.
    """
    graph = _graph()
    waiting = set(modules) & graph.modules
    reached: set[str] = set()
    while waiting:
        module = waiting.pop()
        reached.add(module)
        parent = module.rpartition(".")[0]
        nearest = graph.find_modules_directly_imported_by(module) | ({parent} if parent else set())
        waiting |= nearest - reached
    return reached


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(_PACKAGE, exclude_type_checking_imports=True, cache_dir=None)


def _imported(cell: str, known: set[str]) -> Iterator[str]:
    """Yield the modules of this package that a cell imports; all of them if it is no Python."""
    tree = _parsed(cell) or _parsed(_without_magics(cell))
    if tree is None:
        yield from known
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from {alias.name for alias in node.names} & known
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (names | {node.module}) & known


def _parsed(cell: str) -> ast.Module | None:
    try:
        return ast.parse(cell)
    except SyntaxError:
        return None


def _without_magics(cell: str) -> str:
    """Return a cell with a statement that does nothing in place of every line of IPython's."""
    return _IPYTHON_LINE.sub(r"\1pass", cell)


@cache
def _module_digest(module: str) -> str:
    path = _FOLDER.joinpath(*module.split(".")[1:])
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    content = b"\0".join(one.read_bytes() for one in (source, *_resources(source.parent)))
    return hashlib.sha256(content).hexdigest()


def _resources(folder: Path) -> Iterator[Path]:
    """Yield styles, scripts and templates in a folder, and in those below it without Python."""
    yield from (one for one in files_in(folder, "*") if one.suffix in _RESOURCES)
    for inner in sorted(filter(Path.is_dir, folder.iterdir())):
        if not is_in_the_way(inner.name) and not files_in(inner, "*.py"):
            yield from _resources(inner)
