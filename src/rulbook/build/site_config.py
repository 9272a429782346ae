"""The configuration that Jupyter Book reads: the committed one, with the generated parts added.

The two public addresses are empty until the book has a home. What needs one of them (launch
buttons, repository links, site map, link previews) is generated here, or left out.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from rulbook.build import web_assets
from rulbook.build.layout import Layout
from rulbook.errors import RulbookError


@dataclass(frozen=True)
class Addresses:
    """Where the book and its source are public; empty while they are not."""

    site_url: str
    repository_url: str


def site_config(layout: Layout, assets: Path) -> dict[str, Any]:
    """Return the whole configuration as Jupyter Book reads it.

    Args:
        layout: The checkout whose ``_config.yml`` is read.
        assets: The folder of ``web_assets.provide``, copied to the root of the site.

    Raises:
        RulbookError: ``_config.yml`` is not YAML or lacks the block with the two addresses.
    """
    config, public = _read(layout)
    site_url, repository_url = public.site_url, public.repository_url
    sphinx = config["sphinx"]
    sphinx["config"].update(_local_scripts(assets))
    if site_url:
        config["html"]["baseurl"] = site_url
        sphinx["config"]["extensions"] += ["sphinx_sitemap", "sphinxext.opengraph"]
        sphinx["config"] |= {
            "html_baseurl": site_url,
            "sitemap_url_scheme": "{link}",
            "ogp_site_url": site_url,
        }
    if repository_url:
        # Pages of chapters are notebooks, and have the names of those that readers can launch.
        config["repository"] = {
            "url": repository_url,
            "path_to_book": layout.notebooks.name,
            "branch": "main",
        }
        config["launch_buttons"] = {
            "notebook_interface": "jupyterlab",
            "colab_url": "https://colab.research.google.com",
            "binderhub_url": "https://mybinder.org",
        }
        config["html"].update(use_repository_button=True, use_issues_button=True)
    return config


def addresses(layout: Layout) -> Addresses:
    """Return the two public addresses.

    Raises:
        RulbookError: ``_config.yml`` is not YAML or lacks the block with the two addresses.
    """
    return _read(layout)[1]


def _read(layout: Layout) -> tuple[dict[str, Any], Addresses]:
    """Return the committed configuration without our own block, and that block."""
    path = layout.root / "_config.yml"
    try:
        config = dict(yaml.safe_load(path.read_text(encoding="utf-8")))
        return config, Addresses(**config.pop("rulbook"))
    except (yaml.YAMLError, TypeError, ValueError, KeyError) as fault:
        raise RulbookError(
            f"'{path}' is not YAML with a block 'rulbook' of the addresses site_url and "
            "repository_url: put them back, empty ones are fine."
        ) from fault


def _local_scripts(assets: Path) -> dict[str, Any]:
    """Return the settings that make pages load our copies; paths are relative to ``_static``."""
    return {
        "html_extra_path": [str(assets)],
        "mathjax_path": f"../{web_assets.MATHJAX}",
        "nb_ipywidgets_js": {
            f"../{web_assets.REQUIRE}": {},
            f"../{web_assets.WIDGETS_SETUP}": {},
            # The manager asks this address for widgets it does not know: our own site, not a CDN.
            f"../{web_assets.WIDGETS}": {"data-jupyter-widgets-cdn": "_vendor/"},
        },
    }
