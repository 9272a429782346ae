"""The configuration that Jupyter Book reads: the committed one, with the generated parts added.

The two public addresses are empty until the book has a home. Everything that needs one of them
(launch buttons, repository links, site map, link previews) is generated here, or left out.
"""

from pathlib import Path
from typing import Any

import yaml

from rulbook.build import web_assets
from rulbook.build.layout import Layout
from rulbook.errors import RulbookError

ADDRESSES = ("site_url", "repository_url")


def site_config(layout: Layout, assets: Path) -> dict[str, Any]:
    """Return the whole configuration as Jupyter Book reads it.

    Args:
        layout: The checkout whose ``_config.yml`` is read.
        assets: The folder of ``web_assets.provide``, copied to the root of the site.

    Raises:
        RulbookError: ``_config.yml`` is not YAML or lacks the block with the two addresses.
    """
    config = _read(layout.root / "_config.yml")
    site_url, repository_url = (config["rulbook"][name] for name in ADDRESSES)
    del config["rulbook"]
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


def _read(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        complete = set(config["rulbook"]) == set(ADDRESSES)
    except (yaml.YAMLError, TypeError, KeyError):
        complete = False
    if not complete:
        raise RulbookError(
            f"'{path}' is not YAML with a block 'rulbook' of the addresses "
            f"{' and '.join(ADDRESSES)}: put them back, empty ones are fine."
        )
    return dict(config)


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
