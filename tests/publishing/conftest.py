"""A small checkout with one chapter, and its finished pages."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from rulbook.publishing import web_assets
from rulbook.publishing.chapters import Chapter, choose
from rulbook.publishing.execute import execute
from rulbook.publishing.layout import Layout
from rulbook.publishing.parameters import ChapterParameters
from rulbook.publishing.site import build_site

ROOT = Path(__file__).parents[2]

FRONT_MATTER = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3 (ipykernel)
  language: python
  name: python3
---

"""

PARAMETERS_CELL = """\
```{code-cell} ipython3
:tags: [parameters]

profile = "quick"
data = "auto"
device = "auto"
seed = 42
```
"""

TINY = f"""\
# A tiny chapter

{PARAMETERS_CELL}

The optimum is $\\theta^* = \\frac{{1}}{{\\rho + 1}}$, in bold $\\boldsymbol{{\\theta}}$.

```{{code-cell}} ipython3
print("parameters seen:", profile, data, device, seed)
```

```{{code-cell}} ipython3
import ipywidgets

slider = ipywidgets.IntSlider(min=0, max=1, description=r"\\(\\rho^2\\)")
frames = ["<svg width='90' height='20'><text y='15'>zero</text></svg>",
          "<svg width='90' height='20'><text y='15'>one</text></svg>"]
stack = ipywidgets.Stack([ipywidgets.HTML(frame) for frame in frames], selected_index=0)
ipywidgets.jslink((slider, "value"), (stack, "selected_index"))
ipywidgets.VBox([slider, stack, ipywidgets.Button(icon="play")])
```
"""

EXERCISES = """
## Exercises
% fold

$$
a + b = 0
$$ (c01-sum)

All of them rest on {eq}`c01-sum`.

:::{exercise}
:label: c01-zero

Is it zero, as {ref}`c01-one` asks?
:::

:::{solution-start} c01-zero
:label: c01-zero-solution
:class: dropdown
:::

It is not.

```{code-cell} ipython3
print("solved")
```

:::{solution-end}
:::

:::{exercise}
:label: c01-one

Is it one?
:::

:::{solution-start} c01-one
:label: c01-one-solution
:class: dropdown
:::

It is.

:::{solution-end}
:::
"""


def make_checkout(root: Path) -> Layout:
    """Return a checkout with the project's configuration and no chapter."""
    layout = Layout(root)
    layout.book.mkdir(parents=True)
    layout.notebooks.mkdir()
    shutil.copy2(ROOT / "_config.yml", root)
    shutil.copy2(ROOT / "book" / "references.bib", layout.book)
    (layout.book / "_static").mkdir()
    shutil.copy2(ROOT / "book" / "_static" / "favicon.svg", layout.book / "_static")
    return layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A checkout with the project's configuration and no chapter."""
    return make_checkout(tmp_path / "checkout")


@pytest.fixture
def tiny(layout: Layout) -> Chapter:
    """One small chapter in ``layout``."""
    (layout.book / "01-tiny.md").write_text(FRONT_MATTER + TINY, encoding="utf-8")
    return choose(layout, [])[0]


@pytest.fixture
def write(layout: Layout) -> Callable[..., Chapter]:
    """Write a chapter of ``layout``: a title, the parameters cell and the given code cells."""

    def write_chapter(name: str, *cells: str) -> Chapter:
        code = "\n".join(f"```{{code-cell}} ipython3\n{cell}\n```\n" for cell in cells)
        text = f"{FRONT_MATTER}# Chapter {name}\n\n{PARAMETERS_CELL}\n{code}"
        (layout.book / f"{name}.md").write_text(text, encoding="utf-8")
        return choose(layout, [name])[0]

    return write_chapter


@pytest.fixture(scope="session")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The web assets: those of the last build, else fetched from npm."""
    of_the_book = ROOT / "_build" / "web-assets"
    if web_assets.is_provided(of_the_book):
        return of_the_book
    return web_assets.provide(tmp_path_factory.mktemp("npm") / "web-assets")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, assets: Path) -> Layout:
    """A checkout whose two chapters were executed and whose pages were built; not to be changed.

    Whichever worker needs it first builds it for all.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with FileLock(folder / "built.lock"):
        layout = Layout(folder / "built" / "checkout")
        if not layout.index.is_file():
            _build(layout.root, assets)
    return layout


def _build(root: Path, assets: Path) -> None:
    layout = make_checkout(root)
    (layout.book / "01-tiny.md").write_text(FRONT_MATTER + TINY + EXERCISES, encoding="utf-8")
    (layout.book / "02-second.md").write_text(
        FRONT_MATTER
        + f"# Second\n\n{PARAMETERS_CELL}\n"
        + EXERCISES.replace("c01", "c02").replace("02-one`", "02-one` and {ref}`c01-one`"),
        encoding="utf-8",
    )
    (layout.book / "index.md").write_text("# A tiny book\n\nOne page of text.\n")
    (layout.root / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n"
        "  - file: 01-tiny\n  - file: 02-second\n  - file: report\n"
    )
    shutil.copytree(assets, layout.build / assets.name)
    shutil.copy2(web_assets.stamp_of(assets), layout.build)
    execute(layout, choose(layout, []), ChapterParameters(data="simulated", device="cpu", seed=7))
    build_site(layout)
