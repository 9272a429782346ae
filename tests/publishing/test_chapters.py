import pytest

from rulbook import paths
from rulbook.errors import UsageError
from rulbook.publishing.chapters import chapters, choose, forget_removed
from rulbook.publishing.layout import of_checkout


def _names(found):
    return [chapter.name for chapter in found]


@pytest.fixture
def three(layout):
    for name in ("02-b.md", "10-c.md", "01-a.md", "index.md", "report.md", "1-not.md", "03-x.txt"):
        (layout.book / name).touch()
    return layout


def test_chapters_are_the_numbered_texts_in_order(three):
    assert _names(chapters(three)) == ["01-a", "02-b", "10-c"]


def test_no_names_choose_every_chapter(three):
    assert choose(three, []) == chapters(three)


def test_chosen_chapters_keep_the_order_of_the_book(three):
    assert _names(choose(three, ["10-c", "01-a"])) == ["01-a", "10-c"]


def test_unknown_chapter_lists_the_known_ones(three):
    with pytest.raises(UsageError, match=r"Unknown chapter '02'.*01-a, 02-b, 10-c"):
        choose(three, ["01-a", "02"])


def test_an_installed_wheel_has_no_chapters(monkeypatch):
    monkeypatch.setattr(paths, "checkout", lambda: None)
    with pytest.raises(UsageError, match="clone the project"):
        of_checkout()


def test_what_was_made_from_a_removed_chapter_is_deleted(three):
    kept, removed, _ = chapters(three)
    three.executed.mkdir(parents=True)
    for path in (kept.executed, kept.stamp, removed.executed, removed.stamp):
        path.touch()
    removed.text.unlink()
    forget_removed(three)
    assert set(three.executed.iterdir()) == {kept.executed, kept.stamp}


def test_a_folder_in_the_place_of_a_removed_chapters_notebook_is_left_alone(three):
    _, removed, _ = chapters(three)
    removed.executed.mkdir(parents=True)
    removed.stamp.touch()
    removed.text.unlink()
    forget_removed(three)
    assert list(three.executed.iterdir()) == [removed.executed]


def test_what_a_reader_keeps_among_executed_notebooks_is_left_alone(three):
    checkpoints = three.executed / ".ipynb_checkpoints"
    checkpoints.mkdir(parents=True)
    copies = ("my backup", "01-a-Copy1")  # with the stamp that lay beside the original
    names = [f"{copy}.{kind}" for copy in copies for kind in ("ipynb", "stamp.json")]
    own = [three.executed / name for name in ("09-mine.ipynb", "notes.txt", *names)]
    for path in own:
        path.touch()
    forget_removed(three)
    assert set(three.executed.iterdir()) == {checkpoints, *own}
