import pytest
import yaml

from rulbook.errors import RulbookError
from rulbook.publishing import web_assets
from rulbook.publishing.layout import of_checkout
from rulbook.publishing.site_config import site_config

SITE = "https://example.org/rulbook/"
REPOSITORY = "https://github.com/example/rulbook"
HUB = "https://hub.example.org"


@pytest.fixture
def config_with(layout, tmp_path):
    """Return the configuration for the given addresses."""

    def config(**addresses):
        path = layout.root / "_config.yml"
        content = yaml.safe_load(path.read_text())
        content["rulbook"] |= addresses
        path.write_text(yaml.safe_dump(content))
        return site_config(layout, tmp_path)

    return config


def test_the_committed_addresses_are_empty_and_nothing_depends_on_them(tmp_path):
    config = site_config(of_checkout(), tmp_path)
    assert "rulbook" not in config
    assert "repository" not in config
    assert "launch_buttons" not in config
    assert "baseurl" not in config["html"]
    assert not any(config["html"].values())
    extensions = config["sphinx"]["config"]["extensions"]
    assert not {"sphinx_sitemap", "sphinxext.opengraph", "sphinx_thebe"} & set(extensions)
    assert "://" not in yaml.safe_dump(config)


@pytest.mark.parametrize("site_url", [SITE, SITE.rstrip("/")])
def test_a_site_address_brings_the_site_map_and_link_previews(config_with, site_url):
    config = config_with(site_url=site_url)
    sphinx = config["sphinx"]["config"]
    assert {"sphinx_sitemap", "sphinxext.opengraph"} <= set(sphinx["extensions"])
    assert config["html"]["baseurl"] == sphinx["html_baseurl"] == sphinx["ogp_site_url"] == SITE
    assert "launch_buttons" not in config


def test_a_repository_address_brings_launch_buttons_to_the_notebooks(config_with):
    config = config_with(repository_url=REPOSITORY)
    assert config["repository"]["url"] == REPOSITORY
    assert config["repository"]["path_to_book"] == "notebooks"
    assert config["launch_buttons"]["colab_url"]
    assert config["launch_buttons"]["binderhub_url"]
    assert not config["launch_buttons"]["jupyterhub_url"]
    assert config["html"]["use_repository_button"]
    assert "baseurl" not in config["html"]


def test_colab_is_offered_only_for_github_and_a_hub_only_where_there_is_one(config_with):
    config = config_with(repository_url=REPOSITORY.replace("github", "gitlab"), jupyterhub_url=HUB)
    assert "colab_url" not in config["launch_buttons"]
    assert config["launch_buttons"]["jupyterhub_url"] == HUB


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/someone/rulbook",
        "https://github.com/example",
        "github.com/example/rulbook",
        "git@github.com:example/rulbook.git",
        "https://github.com/example/rulbook/tree/main",
    ],
)
def test_a_repository_elsewhere_is_one_sentence_with_the_remedy(config_with, url):
    with pytest.raises(RulbookError) as caught:
        config_with(repository_url=url)
    assert f"'{url}'" in str(caught.value)
    assert "https://github.com/OWNER/NAME" in str(caught.value)


def test_scripts_are_the_sites_own(config_with, tmp_path):
    sphinx = config_with()["sphinx"]["config"]
    assert sphinx["html_extra_path"] == [str(tmp_path)]
    scripts = [sphinx["mathjax_path"], *sphinx["nb_ipywidgets_js"]]
    expected = ["MATHJAX", "REQUIRE", "WIDGETS_SETUP", "WIDGETS"]
    assert scripts == [f"../{getattr(web_assets, name)}" for name in expected]


@pytest.mark.parametrize(
    "content", ["", "[]", "title: x\n", "rulbook:\n  site_url: ''\n", "rulbook:"]
)
def test_a_configuration_without_addresses_is_an_error_that_names_it(layout, tmp_path, content):
    (layout.root / "_config.yml").write_text(content)
    with pytest.raises(
        RulbookError, match=r"_config\.yml.*site_url, repository_url, jupyterhub_url"
    ):
        site_config(layout, tmp_path)
