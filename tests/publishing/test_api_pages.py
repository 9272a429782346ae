import pkgutil
import re

import yaml

import rulbook
from rulbook.publishing.api_pages import OVERVIEW, api_pages
from rulbook.publishing.layout import of_checkout

MODULES = {
    module.name
    for module in pkgutil.walk_packages(rulbook.__path__, "rulbook.")
    if not module.name.rpartition(".")[2].startswith("_")
}


def test_every_module_is_documented_once_and_listed():
    pages = api_pages()
    documented = re.findall(r"automodule:: ([\w.]+)", "\n".join(pages.values()))
    assert sorted(documented) == sorted(MODULES)
    listed = re.findall(r"\{py:mod\}`([\w.]+)`: \S", pages[OVERVIEW])
    assert set(listed) == {name for name in MODULES if name.count(".") == 1}


def test_files_in_the_way_are_no_modules(tmp_path, monkeypatch):
    for name in ("__init__.py", "one.py", ".#one.py", "._one.py", "part/__init__.py"):
        path = tmp_path / "rulbook" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text('"""A sentence."""\n')
    (tmp_path / "rulbook" / "part" / ".#two.py").symlink_to("nobody@nowhere.1")
    monkeypatch.setattr("rulbook.publishing.api_pages._ROOT", tmp_path / "rulbook")
    documented = re.findall(r"automodule:: ([\w.#]+)", "\n".join(api_pages().values()))
    assert sorted(documented) == ["rulbook.one", "rulbook.part"]


def test_the_table_of_contents_names_every_page():
    contents = (of_checkout().root / "_toc.yml").read_text(encoding="utf-8")
    assert set(api_pages()) <= set(re.findall(r"file: (api\S*)", contents))
    assert yaml.safe_load(contents)["root"] == "index"
