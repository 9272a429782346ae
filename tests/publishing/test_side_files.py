"""Files beside the chapters: a fault of an edit is one sentence with file and place."""

import pytest

from rulbook.errors import RulbookError
from rulbook.publishing import scale_page
from rulbook.publishing.pairs import pairs_now
from rulbook.publishing.references import References
from rulbook.publishing.site_config import addresses, site_config
from rulbook.publishing.staging import _contents
from rulbook.publishing.substitutions import _citation
from rulbook.side_files import read_yaml

NOT_UTF_8 = "# é".encode("latin-1")
ENTRY = "@article{a, title = {One}}\n"
CITED = "title: A\nversion: 0.2.0\nauthors: [{name: B}]\nlicense: [MIT]\n"
ADDRESSES = "rulbook:\n  site_url: {}\n  repository_url: {}\n  jupyterhub_url: {}\n"
BARE = ADDRESSES.format('""', '""', '""')


def _config(layout):
    return site_config(layout, layout.build)


FAULTS = {
    "book/references.bib": (
        References.of,
        [
            (ENTRY * 2, "repeated bibliography entry: a"),
            ("@article{a, title = {One}\n\n@article{b, title = {Two}}\n", "line 3: '}' expected"),
            (NOT_UTF_8, "is not UTF-8 at byte 2"),
        ],
    ),
    "_toc.yml": (
        _contents,
        [
            ("root: index\nchapters: [\n", "is not valid YAML at line 3, column 1"),
            ("root: index\nchapters:\n\t- file: a\n", "is not valid YAML at line 3, column 1"),
            ("root: index\nroot: other\n", "line 2, column 1: the field 'root' is given twice"),
            ("root: index\nchapters:\n- file: 1\n- file: a\n", "has 1 for a page"),
            ("root: [index]\n", r"has ['index'] for a page"),
            (NOT_UTF_8, "is not UTF-8 at byte 2"),
        ],
    ),
    "book/speed.json": (
        scale_page.substitutions,
        [
            ('{"day": "today",\n "tables"}', "line 2 column 10"),
            ('{"tables": null}', "tables: input should be an object"),
            ('{"tables": {"step": {"a": {"before": 0}}}}', "tables.step.a.before: input should be"),
            (
                '{"tables": {"loop": {"a": {"bare": 1, "train": 1}}}}',
                "the row 'a' of the loops does not end with its batch",
            ),
            ('{"tables": {"data": {}}}', "tables.data: dictionary should have at least 1 item"),
            ("[]", "input should be an object"),
            (NOT_UTF_8, "line 1"),
        ],
    ),
    "CITATION.cff": (
        _citation,
        [
            (CITED.replace("authors: [{name: B}]\n", ""), "authors: field required"),
            (CITED.replace("{name: B}", ""), "authors: list should have at least 1 item"),
            (CITED.replace("name: B", "alias: B"), "authors.0.name: field required"),
            (CITED.replace("0.2.0", "1.10"), "version: input should be a valid string"),
            (CITED.replace("[MIT]", "MIT"), "license: input should be a valid list"),
            ("", "does not say how the book is cited"),
            (CITED + "  - [", "is not valid YAML at line "),
        ],
    ),
    "_config.yml": (
        _config,
        [
            (BARE, "has no block 'html'"),
            (f"{BARE}html: {{}}\n", "has no block 'sphinx.config'"),
            (f"{BARE}html: {{}}\nsphinx: 5\n", "has no block 'sphinx.config'"),
            (
                f"{BARE}html: {{}}\nsphinx: {{config: {{}}}}\n",
                "has no list 'sphinx.config.extensions'",
            ),
            (f"{BARE}title: [\n", "is not valid YAML at line 6, column 1"),
            (f"{BARE}{BARE}", "line 5, column 1: the field 'rulbook' is given twice"),
        ],
    ),
}


@pytest.mark.parametrize(
    ("name", "read", "content", "message"),
    [
        (name, read, content, message)
        for name, (read, faults) in FAULTS.items()
        for content, message in faults
    ],
)
def test_a_side_file_that_is_not_sound_is_one_sentence_that_names_the_place(
    layout, name, read, content, message
):
    file = layout.root / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RulbookError) as raised:
        read(layout)
    told = str(raised.value)
    assert told.startswith(f"'{file}' ")
    assert message in told
    assert "\n" not in told


@pytest.mark.parametrize("read", [addresses, pairs_now, _config])
def test_a_configuration_that_is_not_utf_8_is_named(layout, read):
    (layout.root / "_config.yml").write_bytes(NOT_UTF_8)
    with pytest.raises(RulbookError, match=r"_config\.yml' is not UTF-8 at byte 2"):
        read(layout)


@pytest.mark.parametrize("name", ["site_url", "jupyterhub_url"])
@pytest.mark.parametrize(
    "address",
    [
        "example.org/book",
        "5",
        "true",
        "javascript:alert(1)",
        "https://",
        "[https://a.org]",
        "ftp://a",
    ],
)
def test_an_address_that_is_not_of_the_web_is_refused(layout, name, address):
    config = BARE.replace(f'{name}: ""', f"{name}: {address}")
    (layout.root / "_config.yml").write_text(config)
    with pytest.raises(RulbookError, match=rf"The {name} '.*' in '.*_config\.yml' is no address"):
        addresses(layout)


def test_a_repository_that_is_a_number_is_refused_as_another_host_is(layout):
    (layout.root / "_config.yml").write_text(ADDRESSES.format('""', 5, '""'))
    with pytest.raises(RulbookError, match=r"The repository_url '5' in .*_config\.yml'"):
        addresses(layout)


def test_an_address_that_is_left_out_is_empty(layout):
    (layout.root / "_config.yml").write_text(ADDRESSES.format("", "", ""))
    assert addresses(layout).site_url == addresses(layout).repository_url == ""


def test_yaml_of_forbidden_characters_has_no_place_and_one_line(tmp_path):
    file = tmp_path / "a.yml"
    file.write_text("a: \x00")
    with pytest.raises(RulbookError, match=r"a\.yml' is not valid YAML: .*#x0000.*\.$"):
        read_yaml(file)
