"""The configuration that Jupyter Book reads: the committed one, with the generated parts added.

The public addresses are empty until the pages have a home. What needs one of them (launch buttons,
repository links, site map, link previews) is generated here, or left out.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rulbook.errors import RulbookError
from rulbook.publishing import web_assets
from rulbook.publishing.layout import Layout
from rulbook.side_files import read_yaml

AFTER_THE_THEME = 900
"""Priority of what an extension of ours does to a page once the theme has done its part."""

_GITHUB, _GITLAB = "github.com", "gitlab.com"
_WEB_ADDRESS = re.compile(r"https?://[^\s/]\S*")

_BLOCKS: Mapping[tuple[str, ...], type] = MappingProxyType(
    {("html",): dict, ("sphinx", "config"): dict, ("sphinx", "config", "extensions"): list}
)
"""What the committed configuration must have, by its place in it."""


@dataclass(frozen=True)
class Addresses:
    """Where the pages and their repository are public; empty while they are not.

    Attributes:
        site_url: the address of the front page.
        repository_url: the address of the repository, ``https://HOST/OWNER/NAME``.
        jupyterhub_url: a hub with nbgitpuller on which readers may open the notebooks.
    """

    site_url: str
    repository_url: str
    jupyterhub_url: str


def site_config(layout: Layout, assets: Path) -> dict[str, Any]:
    """Return the whole configuration as Jupyter Book reads it.

    Args:
        layout: the checkout whose ``_config.yml`` is read.
        assets: the folder of ``web_assets.provide``, copied to the root of the site.

    Raises:
        RulbookError: as for ``addresses``, or ``_config.yml`` lacks a block of Sphinx's or the
            theme's that is added to.
    """
    config, public = _read(layout)
    _check_blocks(config, layout.root / "_config.yml")
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
            "binderhub_url": "https://mybinder.org",
            "jupyterhub_url": public.jupyterhub_url,
        }
        if _host(repository_url) == _GITHUB:
            # Colab opens notebooks from no other host.
            config["launch_buttons"]["colab_url"] = "https://colab.research.google.com"
        config["html"].update(use_repository_button=True, use_issues_button=True)
    return config


def addresses(layout: Layout) -> Addresses:
    """Return the public addresses.

    Raises:
        RulbookError: ``_config.yml`` is not YAML or lacks the block with the addresses, one of
            them is no address of the web, or the repository is on a host for which there are no
            buttons.
    """
    return _read(layout)[1]


def _read(layout: Layout) -> tuple[dict[str, Any], Addresses]:
    """Return the committed configuration without our own block, and that block."""
    path = layout.root / "_config.yml"
    config = read_yaml(path)
    block = config.pop("rulbook", None) if isinstance(config, dict) else None
    names = [field.name for field in fields(Addresses)]
    if not isinstance(block, dict) or set(block) != set(names):
        raise RulbookError(
            f"'{path}' has no block 'rulbook' of the addresses {', '.join(names)}: put them back, "
            "empty ones are fine."
        )
    public = Addresses(**{name: block[name] or "" for name in names})
    _check_addresses(public, path)
    if public.site_url:
        # Addresses of pages are put behind it.
        public = replace(public, site_url=public.site_url.rstrip("/") + "/")
    return config, public


def _check_addresses(public: Addresses, path: Path) -> None:
    """Raise ``RulbookError`` where an address is none, whatever YAML made of it."""
    if public.repository_url and _host(str(public.repository_url)) is None:
        raise RulbookError(
            f"The repository_url '{public.repository_url}' in '{path}' is none for which the pages "
            "have buttons: write https://github.com/OWNER/NAME or https://gitlab.com/OWNER/NAME, "
            "or leave it empty."
        )
    for name in ("site_url", "jupyterhub_url"):
        address = getattr(public, name)
        if address and not _WEB_ADDRESS.fullmatch(str(address)):
            raise RulbookError(
                f"The {name} '{address}' in '{path}' is no address of the web: begin it with "
                "https:// or http://, or leave it empty."
            )


def _check_blocks(config: Mapping[str, Any], path: Path) -> None:
    """Raise ``RulbookError`` where a block is missing to which something may be added."""
    for names, kind in _BLOCKS.items():
        block: Any = config
        for name in names:
            block = block.get(name) if isinstance(block, dict) else None
        if not isinstance(block, kind):
            raise RulbookError(
                f"'{path}' has no {'list' if kind is list else 'block'} '{'.'.join(names)}': put "
                "back what the committed one has there."
            )


def _host(repository_url: str) -> str | None:
    """Return the host of a repository, or ``None`` if its address is none that the theme knows."""
    found = re.fullmatch(rf"https://({_GITHUB}|{_GITLAB})/[\w.-]+/[\w.-]+", repository_url)
    return found[1] if found else None


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
