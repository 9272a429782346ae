"""What fuzzing found: inputs that a reader once answered with a traceback."""

from pathlib import Path

import pytest

from rulbook.claims.ledger import read_ledger
from rulbook.errors import RulbookError


@pytest.mark.parametrize("content", [b"\xaf", b"claims: \xff\n", b"claims: 5\n"])
def test_ledger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "claims.yml"
    path.write_bytes(content)
    with pytest.raises(RulbookError) as fault:
        read_ledger(path)
    assert str(path) in str(fault.value)
