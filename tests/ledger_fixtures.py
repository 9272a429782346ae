"""Claims made up for the tests, and a ledger file to write them to."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from rulbook.claims import Claim, read_ledger
from rulbook.claims import ledger as ledger_module

from .ledger_rows import make_row

MakeClaim = Callable[..., Claim]


@pytest.fixture(scope="session")
def make_claim() -> MakeClaim:
    """Build a claim from a sound row with some fields changed; ``...`` takes a field out."""

    def make(**changes: Any) -> Claim:
        return Claim.model_validate(make_row(**changes))

    return make


@pytest.fixture
def write_ledger(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as a ledger file."""

    def write(*rows: Mapping[str, Any]) -> Path:
        path = tmp_path / "claims.yml"
        path.write_text(yaml.safe_dump({"claims": list(rows)}, allow_unicode=True), "utf-8")
        return path

    return write


@pytest.fixture
def use_ledger(
    monkeypatch: pytest.MonkeyPatch, write_ledger: Callable[..., Path]
) -> Callable[..., Mapping[str, Claim]]:
    """Put a ledger of the given rows in the place of the book's."""

    def use(*rows: Mapping[str, Any]) -> Mapping[str, Claim]:
        path = write_ledger(*rows)
        monkeypatch.setattr(ledger_module.paths, "ledger", lambda: path)
        return read_ledger()

    return use
