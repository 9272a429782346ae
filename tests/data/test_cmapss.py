import gzip
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from rulbook import data, paths
from rulbook.data import Fleet, cmapss
from rulbook.errors import RulbookError, UsageError

WriteFiles = Callable[[Path], None]


@pytest.fixture
def folder(write_files: WriteFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the twelve stand-ins that ``RULBOOK_DATA`` names."""
    named = tmp_path / "named"
    write_files(named)
    monkeypatch.setenv(paths.DATA_VARIABLE, str(named))
    return named


def one_sentence(fault: pytest.ExceptionInfo[RulbookError], *mentions: str) -> None:
    message = str(fault.value)
    assert "\n" not in message
    assert message.endswith(".")
    for mention in mentions:
        assert mention in message


@pytest.mark.parametrize("subset", cmapss.SUBSETS)
def test_what_is_written_is_read(folder: Path, fleets: dict[str, Fleet], subset: str) -> None:
    fleet = cmapss.read(subset)
    assert fleet.source == "cmapss"
    pd.testing.assert_frame_equal(fleet.train, fleets[subset].train)
    pd.testing.assert_frame_equal(fleet.test, fleets[subset].test)
    pd.testing.assert_series_equal(fleet.test_rul, fleets[subset].test_rul, check_index_type=False)


def test_packed_files_read_the_same(folder: Path, contents: dict[str, bytes]) -> None:
    plain = cmapss.read("FD001")
    for name, content in contents.items():
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(gzip.compress(content))
    packed = cmapss.read("FD001")
    pd.testing.assert_frame_equal(plain.train, packed.train)
    assert plain.digest == packed.digest
    assert cmapss.status().complete


def test_digests_tell_subsets_and_sources_apart(no_real_data: Path) -> None:
    digests = {
        data.digest(subset, source)
        for subset in cmapss.SUBSETS
        for source in ("cmapss", "simulated")
    }
    assert len(digests) == 8
    assert all(len(digest) == 64 for digest in digests)


def test_digest_is_that_of_the_loaded_fleet(folder: Path) -> None:
    for source in ("auto", "cmapss", "simulated"):
        assert data.digest("FD003", source) == data.load("FD003", source).digest


@pytest.mark.usefixtures("no_real_data")
class TestWhichDataIsUsed:
    def test_named_folder_goes_first(self, folder: Path, write_files: WriteFiles) -> None:
        write_files(paths.cache())
        assert cmapss.locate() == folder
        assert data.resolve_source() == "cmapss"

    def test_cache_is_used_where_none_is_named(
        self, write_files: WriteFiles, no_real_data: Path
    ) -> None:
        write_files(no_real_data)
        assert data.load("FD001").source == "cmapss"
        assert cmapss.status().named_by == "cache"

    def test_simulated_where_there_is_none(self) -> None:
        assert data.load("FD001").source == "simulated"
        assert data.load("FD001", "auto").source == data.resolve_source() == "simulated"

    @pytest.mark.usefixtures("folder")
    def test_simulated_can_be_asked_for(self) -> None:
        assert data.load("FD001", "simulated").source == "simulated"

    def test_empty_variable_counts_as_unset(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(paths.DATA_VARIABLE, "")
        assert data.resolve_source() == "simulated"

    def test_half_a_cache_is_an_error(self, write_files: WriteFiles, no_real_data: Path) -> None:
        write_files(no_real_data)
        (no_real_data / "train_FD001.txt").unlink()
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, "train_FD001.txt", "rulbook data fetch")
        assert paths.DATA_VARIABLE not in str(fault.value)


@pytest.mark.usefixtures("no_real_data")
class TestFaults:
    """Every fault is one sentence that names the thing and says what to do; none falls back."""

    def test_unknown_subset(self) -> None:
        with pytest.raises(UsageError) as fault:
            data.load("FD005")
        one_sentence(fault, "FD005", *cmapss.SUBSETS)

    def test_unknown_source(self) -> None:
        with pytest.raises(UsageError) as fault:
            data.load("FD001", "real")  # type: ignore[arg-type]
        one_sentence(fault, "real", "auto", "cmapss", "simulated")

    def test_real_asked_for_but_absent(self) -> None:
        with pytest.raises(RulbookError) as fault:
            data.load("FD001", "cmapss")
        one_sentence(fault, paths.DATA_VARIABLE, "rulbook data fetch")

    def test_named_folder_is_not_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path / "nowhere"))
        for ask in (lambda: data.load("FD001"), data.resolve_source, data.status):
            with pytest.raises(RulbookError) as fault:
                ask()
            one_sentence(fault, paths.DATA_VARIABLE, "nowhere", "rulbook data fetch")

    def test_named_file_instead_of_folder(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(paths.DATA_VARIABLE, str(folder / "RUL_FD001.txt"))
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, paths.DATA_VARIABLE, "not a folder")

    def test_empty_named_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, "train_FD001.txt", paths.DATA_VARIABLE)

    @pytest.mark.parametrize("name", ["train_FD002.txt", "test_FD002.txt", "RUL_FD002.txt"])
    def test_missing_file(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        with pytest.raises(RulbookError) as fault:
            data.load("FD002")
        one_sentence(fault, name, paths.DATA_VARIABLE)
        assert data.load("FD001").source == "cmapss"

    @pytest.mark.parametrize("kept", [0.0, 0.5, 0.999])
    def test_truncated_packed_file(
        self, folder: Path, contents: dict[str, bytes], kept: float
    ) -> None:
        packed = gzip.compress(contents["test_FD001.txt"])
        (folder / "test_FD001.txt").unlink()
        (folder / "test_FD001.txt.gz").write_bytes(packed[: int(len(packed) * kept)])
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, "test_FD001.txt.gz", "rulbook data fetch")

    def test_packed_file_that_inflates_without_end(self, folder: Path) -> None:
        (folder / "test_FD001.txt").unlink()
        (folder / "test_FD001.txt.gz").write_bytes(gzip.compress(bytes(300 << 20), 1))
        tracemalloc.start()
        try:
            with pytest.raises(RulbookError) as fault:
                data.load("FD001")
            assert tracemalloc.get_traced_memory()[1] < 200 << 20
        finally:
            tracemalloc.stop()
        one_sentence(fault, "test_FD001.txt.gz", "more than 64 MB")
        assert not data.status().complete

    def test_plain_file_that_is_far_too_large(self, folder: Path) -> None:
        with (folder / "test_FD001.txt").open("wb") as file:
            file.truncate(1 << 30)
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, "test_FD001.txt", "more than 64 MB")

    def test_packed_file_that_is_no_gzip(self, folder: Path) -> None:
        (folder / "test_FD001.txt").rename(folder / "test_FD001.txt.gz")
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, "test_FD001.txt.gz", "cannot be unpacked")

    def test_lost_column(self, folder: Path, contents: dict[str, bytes]) -> None:
        lines = contents["train_FD001.txt"].splitlines()
        narrow = b"\n".join(b" ".join(line.split()[:-1]) for line in lines)
        (folder / "train_FD001.txt").write_bytes(narrow)
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, "train_FD001.txt", "25 columns", "26")

    def test_altered_number(self, folder: Path, contents: dict[str, bytes]) -> None:
        altered = contents["train_FD001.txt"].replace(b"1", b"2", 1)
        (folder / "train_FD001.txt").write_bytes(altered)
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, "train_FD001.txt", "SHA-256", cmapss.SHA256["train_FD001.txt"])

    def test_file_altered_after_it_was_verified(
        self, folder: Path, contents: dict[str, bytes]
    ) -> None:
        data.load("FD001")
        (folder / "RUL_FD001.txt").write_bytes(contents["RUL_FD001.txt"] + b"7 \n")
        with pytest.raises(RulbookError, match=r"RUL_FD001\.txt"):
            data.load("FD001")

    def test_unreadable_file(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(Path, "read_bytes", refuse)
        with pytest.raises(RulbookError) as fault:
            data.load("FD001")
        one_sentence(fault, str(folder / "train_FD001.txt"), "cannot be read (Permission denied)")


IN_THE_WAY = (
    "._train_FD001.txt",
    ".~lock.train_FD001.txt#",
    "train_FD001.txt~",
    "train_FD001.txt.bak",
    ".train_FD001.txt.swp",
    "#train_FD001.txt#",
    "desktop.ini",
    "Thumbs.db",
    ".DS_Store",
)


@pytest.mark.usefixtures("no_real_data")
class TestFilesInTheWay:
    """What editors and file managers leave beside the data is neither read nor reported."""

    def test_beside_the_data(self, folder: Path) -> None:
        for name in IN_THE_WAY:
            (folder / name).write_bytes(b"\x00not data")
        (folder / ".ipynb_checkpoints").mkdir()
        assert data.load("FD001").source == "cmapss"
        assert data.status().complete

    def test_alone_in_the_cache(self, no_real_data: Path) -> None:
        no_real_data.mkdir()
        for name in IN_THE_WAY:
            (no_real_data / name).write_bytes(b"\x00not data")
        assert data.resolve_source() == "simulated"

    def test_a_folder_of_the_name_of_a_file(self, folder: Path) -> None:
        (folder / "train_FD001.txt").rename(folder / "kept")
        (folder / "train_FD001.txt").mkdir()
        (folder / "train_FD001.txt.gz").write_bytes(gzip.compress((folder / "kept").read_bytes()))
        assert data.load("FD001").source == "cmapss"


@pytest.mark.parametrize("content", [b"a b\n", b"\xff\xfe", b"1 " * 26 + b"\n" + b"x " * 26, b"\0"])
def test_content_that_is_no_table(content: bytes) -> None:
    for read in (cmapss.read_engines, cmapss.read_rul):
        with pytest.raises(RulbookError) as fault:
            read(content)
        one_sentence(fault, "no table")


class TestStatus:
    @pytest.mark.usefixtures("no_real_data")
    def test_nothing_here(self) -> None:
        status = data.status()
        assert status.folder is None
        assert status.named_by is None
        assert not status.complete
        assert [file.name for file in status.files] == list(cmapss.SHA256)
        assert all(file.path is None and file.problem for file in status.files)

    def test_complete(self, folder: Path) -> None:
        status = data.status()
        assert status.folder == folder
        assert status.named_by == paths.DATA_VARIABLE
        assert status.complete
        assert all(file.problem is None for file in status.files)

    def test_bad_files_are_told_apart(self, folder: Path) -> None:
        (folder / "train_FD003.txt").unlink()
        (folder / "RUL_FD004.txt").write_bytes(b"1 2 \n")
        status = data.status()
        assert not status.complete
        bad = {file.name: file for file in status.files if not file.verified}
        assert set(bad) == {"train_FD003.txt", "RUL_FD004.txt"}
        assert bad["train_FD003.txt"].path is None
        assert bad["RUL_FD004.txt"].path == folder / "RUL_FD004.txt"
        assert "2 columns" in str(bad["RUL_FD004.txt"].problem)


def test_a_folder_that_may_not_be_looked_into_is_one_sentence(monkeypatch, tmp_path):
    """Such as one within a folder that another user keeps to himself."""

    def refused(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(Path, "stat", refused)
    for look in (cmapss.locate, lambda: cmapss.find_file(tmp_path, "train_FD001.txt")):
        with pytest.raises(RulbookError) as fault:
            look()
        one_sentence(fault, str(tmp_path), "cannot be read (Permission denied)", "this user")


def test_a_name_that_no_file_system_takes_is_no_folder(monkeypatch):
    monkeypatch.setenv(paths.DATA_VARIABLE, "long" * 1500)
    with pytest.raises(RulbookError) as fault:
        cmapss.locate()
    one_sentence(fault, "which is not a folder")
