"""The table of dependencies, made from files at hand: nothing here asks a registry."""

from dataclasses import replace
from datetime import date
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from rulbook.errors import RulbookError
from rulbook.publishing import dependencies
from rulbook.publishing.dependencies import MAINTAINED_DAYS, NOT_STATED, Dependency
from rulbook.publishing.layout import Layout

CHECKOUT = Layout(Path(__file__).parents[2])

NEWEST = """
lock-version = "1.0"
created-by = "a test"

[[packages]]
name = "pytest"
version = "99.0"
wheels = [
    { name = "pytest-99.0-py3-none-any.whl", url = "https://example.org/a.whl", \
upload-time = 2026-03-02T09:00:00Z, hashes = { sha256 = "00" } },
]

[packages.sdist]
name = "pytest-99.0.tar.gz"
url = "https://example.org/pytest-99.0.tar.gz"
upload-time = 2026-03-01T23:00:00Z
hashes = { sha256 = "00" }

[[packages]]
name = "no-such-package"
version = "1.5"
sdist = { name = "no_such_package-1.5.tar.gz", url = "https://example.org/a.tar.gz", \
upload-time = 2020-01-01T00:00:00Z, hashes = { sha256 = "00" } }
"""


@pytest.fixture
def small(tmp_path):
    """Return a checkout of two packages, one of which the project names."""
    (tmp_path / "constraints.txt").write_text("No_Such-Package==1.5\npytest==9.2.0\n")
    (tmp_path / "pyproject.toml").write_text(
        "[project]\ndependencies = ['pytest>=8']\n[project.optional-dependencies]\n"
    )
    (tmp_path / "pylock.newest.toml").write_text(NEWEST)
    return Layout(tmp_path)


def test_the_table_has_what_is_pinned_beside_the_last_release_and_its_first_day(small):
    dependencies.write(small, small.root / "pylock.newest.toml", date(2026, 11, 29))
    unknown, known = dependencies.read(small)
    assert known == Dependency(
        package="pytest",
        version="9.2.0",
        licence="MIT",
        named=True,
        last_release="99.0",
        released=date(2026, 3, 1),
        looked_up=date(2026, 11, 29),
    )
    assert unknown == Dependency(
        package="No_Such-Package",
        version="1.5",
        licence=NOT_STATED,
        named=False,
        last_release="1.5",
        released=date(2020, 1, 1),
        looked_up=date(2026, 11, 29),
    )
    assert unknown.unmaintained
    assert not known.unmaintained
    assert known.of_an_older_line
    assert not unknown.of_an_older_line


def test_unmaintained_begins_after_the_last_day_that_counts():
    last = Dependency("a", "1", "MIT", True, "1", date(2024, 1, 1), date(2025, 12, 31))
    assert (last.looked_up - last.released).days == MAINTAINED_DAYS
    assert not last.unmaintained
    assert replace(last, looked_up=date(2026, 1, 1)).unmaintained


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({"License-Expression": "MIT", "License": "other"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: BSD License", "License": "x"}, "BSD License"),
        ({"Classifier": "License :: OSI Approved", "License": "BSD"}, "BSD"),
        ({"License": "\n  MIT License\n\nPermission is granted …"}, "MIT License"),
        (
            {"License": "Permission to use, copy, modify and distribute this is granted to all"},
            None,
        ),
        ({"License-File": "COPYING"}, "The text of COPYING"),
        ({}, None),
    ],
)
def test_a_licence_is_what_the_package_says_of_it(monkeypatch, said, found):
    class Installed:
        metadata = Message()

        def read_text(self, name):
            return "The text of COPYING\n" if name == "licenses/COPYING" else None

    for name, value in said.items():
        Installed.metadata[name] = value
    monkeypatch.setattr(dependencies, "distribution", lambda _: Installed())
    assert dependencies.licence("a") == (found or NOT_STATED)


def test_the_committed_table_is_of_what_is_pinned():
    pins = [
        Requirement(line)
        for line in (CHECKOUT.root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    ]
    table = dependencies.read(CHECKOUT)
    assert {(canonicalize_name(row.package), f"=={row.version}") for row in table} == {
        (canonicalize_name(pin.name), str(pin.specifier)) for pin in pins
    }
    assert all(row.licence != NOT_STATED for row in table)
    assert all(row.released <= row.looked_up for row in table)


@pytest.mark.parametrize(
    "content",
    [
        "package\n",
        "package\na\n",
        "package,version,licence,named,last_release,released,looked_up\na\n",
    ],
)
def test_a_table_that_is_none_is_one_sentence(tmp_path, content):
    (tmp_path / dependencies.TABLE).write_text(content)
    with pytest.raises(RulbookError, match="no table of dependencies") as fault:
        dependencies.read(Layout(tmp_path))
    assert "make lock" in str(fault.value)


def test_no_table_is_one_sentence(tmp_path):
    with pytest.raises(RulbookError, match="make lock"):
        dependencies.read(Layout(tmp_path))
