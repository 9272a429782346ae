"""The reference of the package: one page a subpackage, filled from the docstrings by autodoc."""

import ast
from pathlib import Path

import rulbook
from rulbook.paths import files_in

OVERVIEW = "api"
"""Name of the page that lists all modules and documents those outside subpackages."""

_ROOT = Path(rulbook.__file__).parent


def api_pages() -> dict[str, str]:
    """Return the text of every page of the reference by its name, the overview first."""
    packages = sorted(path.parent for path in _ROOT.glob("*/__init__.py"))
    alone = files_in(_ROOT, "[!_]*.py")
    overview = [
        "# The package",
        "",
        "Chapters import everything that deserves a name from the package `rulbook`, and so can "
        "you. These pages are made from its docstrings; each says shapes and units.",
        "",
        *(
            f"- {{py:mod}}`{_module(path)}`: {_summary(path)}"
            for path in (*(package / "__init__.py" for package in packages), *alone)
        ),
        "",
        *_documented(alone),
    ]
    pages = {OVERVIEW: "\n".join(overview)}
    for package in packages:
        inner = sorted(path.parent for path in package.glob("*/__init__.py"))
        folders = (package, *inner)
        own = [path for folder in folders for path in _modules_of(folder)]
        pages[_page(package)] = "\n".join([f"# `{_module(own[0])}`", "", *_documented(own)])
    return pages


def _page(package: Path) -> str:
    return f"{OVERVIEW}-{package.name}"


def _modules_of(package: Path) -> list[Path]:
    """Return the files of a package's own modules, the package's first."""
    return [package / "__init__.py", *files_in(package, "[!_]*.py")]


def _module(path: Path) -> str:
    parts = path.relative_to(_ROOT.parent).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def _summary(path: Path) -> str:
    documentation = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return documentation.split("\n\n")[0].replace("\n", " ").replace("``", "`")


def _documented(modules: list[Path]) -> list[str]:
    """Return a section a module; the package of a page has none, the page is its section."""
    blocks = []
    for path in modules:
        if path.name != "__init__.py" or path.parent.parent != _ROOT:
            blocks.append(f"## `{_module(path)}`\n")
        blocks.append(f"```{{eval-rst}}\n.. automodule:: {_module(path)}\n```\n")
    return blocks
