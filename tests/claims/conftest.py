from ..ledger_fixtures import make_claim, use_ledger, write_ledger

__all__ = ["make_claim", "use_ledger", "write_ledger"]
