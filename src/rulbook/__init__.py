"""The package of rulbook: data, models, losses, weighting methods, studies and the ledger."""

__version__ = "0.2.0"
