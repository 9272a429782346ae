"""What fuzzing found: inputs that a reader once answered with a traceback."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from rulbook.claims.ledger import read_ledger
from rulbook.data import fetch
from rulbook.errors import RulbookError


@pytest.mark.parametrize(
    "content",
    [
        b"\xaf",
        b"claims: \xff\n",
        b"claims: 5\n",
        b"claims: 2001-99-99\n",
        b"claims: 2001-01-01T99:00:00Z\n",
        b"claims: 0x_\n",
        b"claims: 0b_\n",
        b"claims: !!int ''\n",
        b"claims: !!float x\n",
        b"claims: !!bool x\n",
        b"claims: !!timestamp x\n",
        b"claims: " + b"9" * 5000 + b"\n",
        b"claims:\n- {id: 2001-99-99}\n",
        b"claims:\n- {2001-99-99: id}\n",
    ],
    ids=lambda content: content[:24].decode("latin-1"),
)
def test_ledger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "claims.yml"
    path.write_bytes(content)
    with pytest.raises(RulbookError) as fault:
        read_ledger(path)
    assert str(path) in str(fault.value)


def test_archive_with_bytes_cut_out() -> None:
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("RUL_FD001.txt", b"112 \n98 \n")
    content = whole.getvalue()
    for start in range(len(content)):
        for length in (1, 2, 30, 66):
            with pytest.raises(fetch._SourceError):
                fetch._twelve_files(content[:start] + content[start + length :])
