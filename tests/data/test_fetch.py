import io
import struct
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from rulbook import data, paths
from rulbook.data import cmapss, fetch
from rulbook.errors import RulbookError

Zipped = Callable[..., bytes]


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files; of ``slow.zip`` a byte now and then, for ever."""

    def do_GET(self) -> None:
        if not self.path.startswith("/slow"):
            super().do_GET()
            return
        self.send_response(200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"P")
                time.sleep(0.05)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, no_real_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder served on this machine; ``first.zip`` and ``second.zip`` in it are the sources."""
    served = tmp_path / "served"
    served.mkdir()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=served)) as http:
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{http.server_address[1]}"
        monkeypatch.setattr(fetch, "ARCHIVES", (f"{address}/first.zip", f"{address}/second.zip"))
        yield served
        http.shutdown()
        thread.join()


def zipped(files: dict[str, bytes], folder: str = "CMAPSSData/") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(f"{folder}{name}", content)
    return packed.getvalue()


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("nested", [False, True], ids=["zip", "zip in zip"])
def test_fetched_files_are_loaded(
    server: Path, contents: dict[str, bytes], no_real_data: Path, nested: bool
) -> None:
    archive = zipped(contents)
    (server / "first.zip").write_bytes(zipped({"CMAPSSData.zip": archive}) if nested else archive)
    assert fetch.fetch(progress=False) == no_real_data
    assert everything_in(no_real_data) == sorted(contents)
    assert data.status().complete
    assert data.load("FD004").source == "cmapss"


def test_progress_is_shown(
    server: Path, contents: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    (server / "first.zip").write_bytes(zipped(contents))
    fetch.fetch()
    assert "100%" in capsys.readouterr().err


def test_second_source_serves_when_the_first_does_not(
    server: Path, contents: dict[str, bytes], no_real_data: Path
) -> None:
    (server / "second.zip").write_bytes(zipped(contents))
    assert fetch.fetch(progress=False) == no_real_data
    assert data.status().complete


def test_second_source_serves_when_the_first_has_other_files(
    server: Path, contents: dict[str, bytes]
) -> None:
    altered = contents | {"test_FD003.txt": contents["test_FD003.txt"] + b"\n"}
    (server / "first.zip").write_bytes(zipped(altered))
    (server / "second.zip").write_bytes(zipped(contents))
    fetch.fetch(progress=False)
    assert data.status().complete


def test_complete_cache_is_not_fetched_again(
    write_files: Callable[[Path], None], no_real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_files(no_real_data)
    monkeypatch.setattr(fetch, "ARCHIVES", ())
    assert fetch.fetch(progress=False) == no_real_data


def test_damaged_cache_is_fetched_again(
    server: Path,
    contents: dict[str, bytes],
    write_files: Callable[[Path], None],
    no_real_data: Path,
) -> None:
    write_files(no_real_data)
    (no_real_data / "train_FD001.txt").write_bytes(b"1 2 3\n")
    (server / "first.zip").write_bytes(zipped(contents))
    fetch.fetch(progress=False)
    assert data.status().complete


def test_named_folder_that_is_incomplete_is_an_error(
    server: Path,
    contents: dict[str, bytes],
    no_real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (server / "first.zip").write_bytes(zipped(contents))
    (tmp_path / "named").mkdir()
    monkeypatch.setenv(paths.DATA_VARIABLE, str(tmp_path / "named"))
    with pytest.raises(RulbookError, match=f"unset {paths.DATA_VARIABLE}"):
        fetch.fetch(progress=False)
    assert everything_in(no_real_data) == []


@pytest.mark.usefixtures("contents", "server")
class TestFailures:
    """A failed fetch is one sentence, and nothing in the cache looks like data."""

    def check(self, cache: Path, *mentions: str) -> None:
        with pytest.raises(RulbookError) as fault:
            fetch.fetch(progress=False)
        message = str(fault.value)
        assert "\n" not in message
        for mention in (*mentions, paths.DATA_VARIABLE):
            assert mention in message
        assert everything_in(cache) == []
        assert data.resolve_source() == "simulated"

    def test_no_server(self, no_real_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fetch, "ARCHIVES", ("http://127.0.0.1:1/first.zip",))
        self.check(no_real_data, "127.0.0.1:1", "rulbook data fetch")

    def test_not_found(self, no_real_data: Path) -> None:
        self.check(no_real_data, "first.zip answered 404", "second.zip answered 404")

    def test_not_a_zip(self, server: Path, no_real_data: Path) -> None:
        (server / "first.zip").write_text("<html>sign in</html>")
        self.check(no_real_data, "no intact zip")

    def test_truncated_zip(
        self, server: Path, contents: dict[str, bytes], no_real_data: Path
    ) -> None:
        (server / "first.zip").write_bytes(zipped(contents)[:-4000])
        self.check(no_real_data, "no intact zip")

    def test_damaged_member(
        self, server: Path, contents: dict[str, bytes], no_real_data: Path
    ) -> None:
        archive = bytearray(zipped(contents))
        archive[200:260] = bytes(60)
        (server / "first.zip").write_bytes(archive)
        self.check(no_real_data, "no intact zip")

    def test_lacking_a_file(
        self, server: Path, contents: dict[str, bytes], no_real_data: Path
    ) -> None:
        del contents["RUL_FD002.txt"]
        (server / "first.zip").write_bytes(zipped(contents))
        self.check(no_real_data, "RUL_FD002.txt")

    def test_server_that_never_ends(
        self, no_real_data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each read is in time, the whole is not."""
        address = fetch.ARCHIVES[0].rsplit("/", 1)[0]
        monkeypatch.setattr(fetch, "ARCHIVES", (f"{address}/slow.zip",))
        monkeypatch.setattr(fetch, "_LONGEST_SECONDS", 0.5)
        started = time.monotonic()
        self.check(no_real_data, "slow.zip took longer than 0.5 seconds")
        assert time.monotonic() - started < 10

    def test_endless_body(self, server: Path, no_real_data: Path) -> None:
        with (server / "first.zip").open("wb") as body:
            body.truncate(700 << 20)
        tracemalloc.start()
        try:
            self.check(no_real_data, "first.zip sent more than 32 MB")
            assert tracemalloc.get_traced_memory()[1] < 100 << 20
        finally:
            tracemalloc.stop()

    def bomb(self, name: str, inflated: int) -> bytes:
        """Return a zip of zeros whose headers say that they are a thousand bytes."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, bytes(inflated))
        return packed.getvalue().replace(struct.pack("<L", inflated), struct.pack("<L", 1000))

    @pytest.mark.parametrize("honest", [True, False])
    def test_member_that_inflates_without_end(
        self, server: Path, no_real_data: Path, honest: bool
    ) -> None:
        inflated = 200 << 20
        bomb = (
            zipped({"train_FD001.txt": bytes(inflated)})
            if honest
            else self.bomb("train_FD001.txt", inflated)
        )
        (server / "first.zip").write_bytes(bomb)
        tracemalloc.start()
        try:
            with pytest.raises(RulbookError, match=r"first\.zip gave"):
                fetch.fetch(progress=False)
            assert tracemalloc.get_traced_memory()[1] < 160 << 20
        finally:
            tracemalloc.stop()
        assert everything_in(no_real_data) == []

    def test_many_zips_in_a_zip(self, server: Path, no_real_data: Path) -> None:
        """Each is within its bound, all together are not."""
        zeros = bytes(30 << 20)
        (server / "first.zip").write_bytes(zipped({f"{n}.zip": zeros for n in range(12)}))
        self.check(no_real_data, "first.zip gave")

    def test_more_members_than_any_archive_of_it_has(
        self, server: Path, no_real_data: Path
    ) -> None:
        many = zipped({f"{'x' * 60}{number}": b"" for number in range(12_000)})
        (server / "first.zip").write_bytes(many)
        self.check(no_real_data, "first.zip gave a zip of far too many members")

    def test_zip_in_a_zip_in_a_zip(
        self, server: Path, contents: dict[str, bytes], no_real_data: Path
    ) -> None:
        inner = zipped({"inner.zip": zipped(contents)})
        (server / "first.zip").write_bytes(zipped({"outer.zip": inner}))
        self.check(no_real_data, "without the published train_FD001.txt")

    def test_disk_that_fails_half_way(
        self,
        server: Path,
        contents: dict[str, bytes],
        no_real_data: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (server / "first.zip").write_bytes(zipped(contents))
        write_bytes = Path.write_bytes

        def full(path: Path, content: bytes) -> int:
            if path.name == "RUL_FD004.txt":
                raise OSError(28, "No space left on device")
            return write_bytes(path, content)

        monkeypatch.setattr(Path, "write_bytes", full)
        self.check(no_real_data, "No space left on device", str(no_real_data))

    def test_cache_that_cannot_be_made(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        monkeypatch.setattr(paths, "cache", lambda: tmp_path / "file" / "cache")
        self.check(tmp_path / "nothing", "cannot be written")


@pytest.mark.parametrize("folder", ["../../", "/tmp/", "..\\..\\", "CMAPSSData/../../../"])
def test_members_cannot_climb_out_of_the_cache(
    server: Path, contents: dict[str, bytes], no_real_data: Path, tmp_path: Path, folder: str
) -> None:
    climbing = zipped({**contents, "evil.txt": b"evil"}, folder=folder)
    (server / "first.zip").write_bytes(climbing)
    before = {path for path in tmp_path.rglob("*") if no_real_data not in path.parents}
    fetch.fetch(progress=False)
    after = {path for path in tmp_path.rglob("*") if no_real_data not in path.parents}
    assert after - before <= {no_real_data}
    assert everything_in(no_real_data) == sorted(contents)


def test_sources_and_hashes_are_of_twelve_files() -> None:
    assert len(cmapss.SHA256) == 12
    assert all(url.startswith("https://") for url in fetch.ARCHIVES)
