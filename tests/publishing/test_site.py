import io
import json
import re
import shutil
import threading
import zipfile
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import nbformat
import pytest
import yaml
from rich.console import Console

from rulbook.claims import collect
from rulbook.errors import RulbookError
from rulbook.publishing import pairing, site, stamps, web_assets
from rulbook.publishing.chapters import choose
from rulbook.publishing.execute import execute
from rulbook.publishing.layout import Layout
from rulbook.publishing.parameters import ChapterParameters
from rulbook.publishing.site import build_site, claim_faults, replace_folder
from rulbook.publishing.staging import stage, with_present_prose

from .conftest import EXERCISES


@pytest.fixture
def executed(layout, tiny):
    """A checkout whose one chapter has an executed notebook, written by hand."""
    tiny.executed.parent.mkdir(parents=True)
    nbformat.write(pairing.to_notebook(tiny), tiny.executed)
    (layout.book / "index.md").write_text("# Book\n")
    _contents(layout, "01-tiny")
    return layout


def _contents(layout, *pages):
    listed = "".join(f"  - file: {page}\n" for page in (*pages, "report"))
    (layout.root / "_toc.yml").write_text(f"format: jb-book\nroot: index\nchapters:\n{listed}")


def test_staged_are_pages_and_executed_chapters_each_once(executed, tmp_path):
    (executed.book / "claims.yml").write_text("claims: []\n")
    (executed.book / "_static" / "house.css").write_text("p {}")
    stage(executed, tmp_path)
    staged = {path.relative_to(executed.staged).as_posix() for path in executed.staged.rglob("*.*")}
    assert staged == {
        "01-tiny.ipynb",
        "_config.yml",
        "_static/favicon.svg",
        "_static/house.css",
        "_toc.yml",
        "index.md",
        "references.bib",
        "report.md",
        "root/404.html",
        "root/claims-search.js",
        "root/downloads/claims.csv",
        "root/downloads/claims.json",
        "root/downloads/01-tiny.ipynb",
        "root/downloads/notebooks-without-solutions.zip",
        "root/downloads/01-tiny.md",
        "root/downloads/01-tiny.py",
    }


@pytest.mark.parametrize(
    ("site_url", "home"),
    [
        ("", ""),
        ("https://example.org/rulbook/", "https://example.org/rulbook/"),
        ("https://example.org/rulbook", "https://example.org/rulbook/"),
    ],
)
def test_the_page_for_unknown_addresses_links_home(executed, tmp_path, site_url, home):
    config = executed.root / "_config.yml"
    config.write_text(config.read_text().replace('site_url: ""', f'site_url: "{site_url}"'))
    stage(executed, tmp_path)
    page = (executed.staged / "root" / "404.html").read_text()
    assert f'href="{home}index.html"' in page
    assert "$" not in page
    staged = yaml.safe_load((executed.staged / "_config.yml").read_text())
    assert staged["sphinx"]["config"]["html_extra_path"] == [str(tmp_path), "root"]


def test_downloads_are_the_paired_notebook_the_text_and_a_script(executed, tiny, tmp_path):
    pairing.pair(executed)
    stage(executed, tmp_path)
    folder = executed.staged / "root" / "downloads"
    notebook = nbformat.read(folder / tiny.notebook.name, as_version=4)
    assert notebook == nbformat.read(tiny.notebook, as_version=4)
    assert (folder / tiny.text.name).read_bytes() == tiny.text.read_bytes()
    compile((folder / "01-tiny.py").read_text(), "01-tiny.py", "exec")


def test_the_archive_for_lecturers_has_every_notebook_without_its_solutions(
    executed, tiny, tmp_path
):
    tiny.text.write_text(tiny.text.read_text() + EXERCISES)
    nbformat.write(pairing.to_notebook(tiny), tiny.executed)
    stage(executed, tmp_path)
    folder = executed.staged / "root" / "downloads"
    with zipfile.ZipFile(folder / "notebooks-without-solutions.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [tiny.notebook.name]
        unsolved = nbformat.reads(archive.read(tiny.notebook.name).decode(), as_version=4)
    solved = nbformat.read(folder / tiny.notebook.name, as_version=4)
    nbformat.validate(unsolved)
    for words in ("It is not.", 'print("solved")', "It is."):
        assert [words in _words_of(notebook) for notebook in (solved, unsolved)] == [True, False]
    for words in ("Is it zero", "Is it one?", "parameters seen:"):
        assert words in _words_of(unsolved)
    first = (folder / "notebooks-without-solutions.zip").read_bytes()
    stage(executed, tmp_path)
    assert (folder / "notebooks-without-solutions.zip").read_bytes() == first


def _words_of(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


def test_staging_forgets_pages_that_are_gone(executed, tmp_path):
    (executed.book / "old.md").write_text("# Old\n")
    _contents(executed, "01-tiny", "old")
    stage(executed, tmp_path)
    (executed.book / "old.md").unlink()
    _contents(executed, "01-tiny")
    stage(executed, tmp_path)
    assert not (executed.staged / "old.md").exists()


def test_a_chapter_that_was_not_executed_is_named(executed, tiny, tmp_path):
    tiny.executed.unlink()
    with pytest.raises(RulbookError, match="rulbook execute 01-tiny"):
        stage(executed, tmp_path)


def test_a_page_missing_in_the_table_of_contents_is_named(executed, tmp_path):
    (executed.book / "forgotten.md").write_text("# Forgotten\n")
    with pytest.raises(RulbookError, match=r"page forgotten is not in .*_toc\.yml"):
        stage(executed, tmp_path)


def test_a_page_that_only_the_table_of_contents_has_is_named(executed, tmp_path):
    _contents(executed, "01-tiny", "unwritten")
    with pytest.raises(RulbookError, match=r"_toc\.yml' names unwritten"):
        stage(executed, tmp_path)


@pytest.mark.slow
def test_pages_are_not_built_again_when_nothing_changed(built, monkeypatch):
    monkeypatch.setattr(site, "_run_jupyter_book", lambda *_: pytest.fail("built again"))
    assert build_site(built) is False


def test_pages_are_made_anew_with_another_version_of_any_library(executed, tmp_path, monkeypatch):
    """A theme, an extension or Matplotlib too: which of them a page hangs on is not listed."""
    before = site._made_of(executed, tmp_path)
    assert site._made_of(executed, tmp_path) == before
    installed = stamps.installed_versions()
    for name in ("sphinx-", "pydata_sphinx_theme-", "matplotlib-", "jupytext-"):
        assert any(version.startswith(name) for version in installed), name
    monkeypatch.setattr(site, "installed_versions", lambda: [*installed[1:], "sphinx-99"])
    assert site._made_of(executed, tmp_path) != before


@pytest.mark.slow
def test_faults_of_the_claims_are_kept_with_the_pages(built, monkeypatch):
    expected = collect.faults_of(built.executed)
    monkeypatch.setattr(collect, "faults_of", lambda _: pytest.fail("looked for again"))
    assert claim_faults(built) == expected


@pytest.mark.parametrize("content", ["", "[", '{"a": 1}', None])
def test_faults_of_the_claims_are_looked_for_again_where_they_were_not_kept(
    executed, monkeypatch, content
):
    monkeypatch.setattr(collect, "faults_of", lambda _: ["found again"])
    if content is not None:
        executed.faults.write_text(content)
    assert claim_faults(executed) == ["found again"]
    assert json.loads(executed.faults.read_text()) == ["found again"]


SCRIPT = "// Another one.\n"
PUBLIC = {
    "site_url": "https://example.org/rulbook/",
    "repository_url": "https://github.com/example/rulbook",
    "jupyterhub_url": "https://hub.example.org",
}


def _change_prose(layout, _script):
    (chapter,) = choose(layout, ["01-tiny"])
    text = chapter.text.read_text()
    chapter.text.write_text(text.replace("# A tiny chapter", "# A new title\n\nMore words."))


def _change_addresses(layout, _script):
    config = yaml.safe_load((layout.root / "_config.yml").read_text())
    (layout.root / "_config.yml").write_text(yaml.safe_dump(config | {"rulbook": PUBLIC}))


def _change_script(_layout, script):
    script.write_text(SCRIPT)


def _lose_a_page(layout, _script):
    (layout.html / "02-second.html").unlink()


CHANGES = (_change_prose, _change_addresses, _change_script)


@pytest.fixture(scope="session")
def changed(built, tmp_path_factory):
    """A copy in which all of this was changed since its pages were built, and then built again."""
    folder = tmp_path_factory.mktemp("changed")
    layout, script = Layout(folder / "copy"), folder / "setup.js"
    shutil.copytree(built.root, layout.root)
    for change in CHANGES:
        change(layout, script)
    chosen, parameters = (
        choose(layout, ["01-tiny"]),
        ChapterParameters("quick", "simulated", "cpu", 7),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web_assets, "_OUR_SCRIPT", script)
        executed = execute(layout, chosen, parameters, console=Console(file=io.StringIO()))
        assert executed.executed == ()
        assert build_site(layout) is True
    return layout


@pytest.mark.slow
@pytest.mark.parametrize("change", [*CHANGES, _lose_a_page])
def test_pages_are_built_again_when_any_of_this_changed(built, change, tmp_path, monkeypatch):
    """That a build begins is enough here; what all three come to is looked at below."""

    class BegunError(Exception):
        pass

    def begin(_):
        raise BegunError

    layout, script = Layout(tmp_path / "copy"), tmp_path / "setup.js"
    shutil.copytree(built.root, layout.root)
    shutil.copy2(web_assets._OUR_SCRIPT, script)
    monkeypatch.setattr(web_assets, "_OUR_SCRIPT", script)
    monkeypatch.setattr(web_assets, "provide", begin)
    assert build_site(layout) is False
    change(layout, script)
    with pytest.raises(BegunError):
        build_site(layout)


@pytest.mark.slow
def test_a_new_script_for_the_widgets_is_among_the_pages(built, changed):
    assert (changed.html / web_assets.WIDGETS_SETUP).read_text() == SCRIPT
    assert (built.html / web_assets.WIDGETS_SETUP).read_text() != SCRIPT


@pytest.mark.slow
def test_new_prose_is_shown_with_the_outputs_that_are_there(changed):
    page = (changed.html / "01-tiny.html").read_text()
    assert "A new title" in page
    assert "More words." in page
    assert "parameters seen: quick simulated cpu 7" in page


def test_prose_beside_code_that_was_not_executed_is_left_out(executed, tiny):
    ran = nbformat.read(tiny.executed, as_version=4)
    text = tiny.text.read_text()
    tiny.text.write_text(text.replace("# A tiny", "# Another").replace("max=1", "max=2"))
    shown = with_present_prose(ran, pairing.to_notebook(tiny))
    assert [cell.source for cell in shown.cells] == [cell.source for cell in ran.cells]


def test_a_readers_file_among_the_pages_is_moved_and_named(tmp_path):
    place = tmp_path / "html"
    for content in ("first", "second", "third"):
        made = tmp_path / "made"
        (made / "sub").mkdir(parents=True)
        (made / "sub" / "index.html").write_text(content)
        (made / f"{content}.html").touch()
        if place.is_dir():
            (place / "sub" / "notes.txt").write_text(f"notes before the {content}")
        kept = replace_folder(made, place)
        assert (place / "sub" / "index.html").read_text() == content
        assert {path.name for path in place.iterdir()} == {f"{content}.html", "sub"}
    assert kept == [tmp_path / "html.kept" / "sub" / "notes-2.txt"]
    assert kept[0].read_text() == "notes before the third"


def test_hidden_files_of_a_reader_among_the_pages_are_kept_too(tmp_path):
    place = tmp_path / "html"
    for content in ("first", "second"):
        made = tmp_path / "made"
        made.mkdir()
        (made / "index.html").write_text(content)
        if place.is_dir():
            (place / ".nojekyll").touch()
            (place / "notes.txt~").write_text("notes")
        kept = replace_folder(made, place)
    assert {path.name for path in kept} == {".nojekyll", "notes.txt~"}
    assert [path.name for path in place.iterdir()] == ["index.html"]
    assert not (tmp_path / "html.old").exists()


@pytest.mark.parametrize("is_there", [True, False])
def test_pages_are_written_through_a_link(tmp_path, is_there):
    """As to the folder that a server shows."""
    shown = tmp_path / "www" / "book"
    if is_there:
        shown.mkdir(parents=True)
        (shown / "thesis.pdf").touch()
        (tmp_path / "www" / "book.old").touch()
    place = tmp_path / "build" / "html"
    place.parent.mkdir()
    place.symlink_to(shown)
    kept = []
    for content in ("first", "second"):
        made = tmp_path / "made"
        made.mkdir()
        (made / "index.html").write_text(content)
        kept += replace_folder(made, place)
        assert place.is_symlink()
        assert [path.name for path in shown.iterdir()] == ["index.html"]
        assert (shown / "index.html").read_text() == content
    assert [path.name for path in kept] == (["thesis.pdf"] if is_there else [])
    assert all(path.is_file() for path in kept)
    others = {path.name for path in (tmp_path / "www").iterdir()}
    assert others == ({"book", "book.old"} if is_there else {"book"})


def test_files_in_the_way_are_not_staged(executed, tmp_path):
    (executed.book / ".#index.md").symlink_to("nobody@nowhere.1234")
    (executed.book / ".#claims.yml").symlink_to("nobody@nowhere.1234")
    (executed.book / "_static" / "desktop.ini").touch()
    (executed.book / "._index.md").touch()
    stage(executed, tmp_path)
    staged = {path.name for path in executed.staged.rglob("*")}
    assert not {".#index.md", ".#claims.yml", "desktop.ini", "._index.md"} & staged


def test_last_words_are_quoted_where_jupyter_book_gives_no_warning(executed, tmp_path, monkeypatch):
    monkeypatch.setattr(site.sys, "executable", "/bin/false")
    with pytest.raises(RulbookError, match=r"ended with 1 and no warning; its last words: none"):
        site._run_jupyter_book(executed, tmp_path)


@pytest.mark.slow
def test_a_warning_is_an_error_and_leaves_the_old_pages(built, tmp_path):
    layout = Layout(tmp_path / "copy")
    shutil.copytree(built.root, layout.root)
    (layout.book / "index.md").write_text("# Book\n\n[nowhere](missing.md)\n")
    old = layout.index.read_bytes()
    (layout.unfinished_html / "left by a build that was killed").mkdir(parents=True)
    with pytest.raises(RulbookError, match=r"Jupyter Book reported .*missing\.md.*pages\.log"):
        build_site(layout)
    assert layout.index.read_bytes() == old
    assert "missing.md" in (layout.build / "pages.log").read_text()
    assert not layout.unfinished_html.exists()


@pytest.mark.slow
def test_pages_with_public_addresses_have_a_site_map_and_launch_buttons(built, changed):
    assert not list(built.html.glob("sitemap*"))
    assert "colab" not in (built.html / "01-tiny.html").read_text()
    layout = changed
    page = (layout.html / "01-tiny.html").read_text()
    assert "https://example.org/rulbook/01-tiny.html" in (layout.html / "sitemap.xml").read_text()
    assert "github/example/rulbook/blob/main/notebooks/01-tiny.ipynb" in page
    assert "gh/example/rulbook/main?urlpath=lab/tree/notebooks/01-tiny.ipynb" in page
    assert "https://hub.example.org/hub/user-redirect/git-pull?" in page
    assert 'href="downloads/01-tiny.ipynb"' in page
    first = nbformat.read(layout.html / "downloads" / "01-tiny.ipynb", as_version=4).cells[0]
    assert "git+https://github.com/example/rulbook" in first.source
    assert 'property="og:url"' in page


class _Addresses(HTMLParser):
    """Collects what a page loads, and what it links to."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked = [], []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag in {"script", "img", "iframe", "source"} and attributes.get("src"):
            self.loaded.append(attributes["src"])
        if tag == "link" and attributes.get("href"):
            self.loaded.append(attributes["href"])
        if tag == "a" and attributes.get("href"):
            self.linked.append(attributes["href"])


def _addresses(page):
    parser = _Addresses()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser


@pytest.mark.slow
def test_pages_load_nothing_from_another_host_and_nothing_that_is_missing(built):
    for page in built.html.glob("*.html"):
        for address in _addresses(page).loaded:
            if address.startswith(("data:", "#")):
                continue
            parts = urlsplit(address)
            assert not parts.netloc, (page.name, address)
            assert (page.parent / parts.path).is_file(), (page.name, address)


@pytest.mark.slow
def test_scripts_are_loaded_only_where_they_are_needed(built):
    def loads(page, script):
        loaded = _addresses(built.html / page).loaded
        return any(address.split("?")[0].endswith(script) for address in loaded)

    assert loads("01-tiny.html", web_assets.MATHJAX)
    assert loads("01-tiny.html", web_assets.WIDGETS)
    assert not loads("index.html", web_assets.WIDGETS)
    assert not loads("search.html", web_assets.MATHJAX)


@pytest.mark.slow
def test_only_chapters_offer_downloads(built):
    def offered(page):
        return [a for a in _addresses(built.html / page).linked if a.startswith("downloads/")]

    kinds = (".ipynb", ".md", ".py")
    assert offered("01-tiny.html") == [f"downloads/01-tiny{kind}" for kind in kinds]
    assert offered("index.html") == offered("search.html") == []
    assert all((built.html / address).is_file() for address in offered("01-tiny.html"))


@pytest.mark.slow
def test_the_search_works_from_disk_without_a_complaint(built, visit):
    opened = visit(f"{(built.html / 'search.html').as_uri()}?q=tiny")
    opened.page.locator("#search-results li a").first.wait_for()
    assert opened.complaints == []


@pytest.mark.slow
def test_the_page_for_unknown_addresses_finds_the_front_page_from_any_depth(built, visit):
    class Handler(SimpleHTTPRequestHandler):
        def send_error(self, code, *_):
            page = (built.html / "404.html").read_bytes()
            self.send_response(code)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else page)

        def log_message(self, *_):
            pass

    served = partial(Handler, directory=built.html.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), served) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{server.server_port}/html/"
        for wrong in ("nowhere.html", "a/b/c/nowhere.html"):
            opened = visit(base + wrong)
            # Of the page itself the server says that it is not there; nothing else is amiss.
            assert opened.requests == [base + wrong]
            opened.page.get_by_role("link", name="start from the front page").click()
            opened.page.wait_for_url(base + "index.html")
        server.shutdown()


@pytest.mark.slow
def test_pages_name_no_content_delivery_network(built):
    for page in built.html.glob("*.html"):
        assert not re.search(r"jsdelivr|unpkg|cdnjs|googleapis", page.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_page_works_from_disk_with_the_network_off(built, visit):
    opened = visit((built.html / "01-tiny.html").as_uri())
    page = opened.page
    page.wait_for_selector("p mjx-container")
    page.wait_for_selector(".widget-label mjx-container")
    assert page.locator(".jupyter-widgets svg text").all_text_contents() == ["zero"]
    page.locator(".noUi-handle").press("ArrowRight")
    page.get_by_text("one", exact=True).wait_for()
    assert page.locator(".jupyter-widgets svg text").all_text_contents() == ["one"]
    page.evaluate("document.fonts.ready")
    assert opened.asked_elsewhere == []
    assert opened.complaints == []
