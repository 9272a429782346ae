"""What a chapter shows: badges, figures, explorers and tables in one house style."""

from rulbook.display.badges import check, check_all, claims_of
from rulbook.display.folds import folded
from rulbook.display.glue import glue, glue_all
from rulbook.display.tables import table

__all__ = [
    "check",
    "check_all",
    "claims_of",
    "folded",
    "glue",
    "glue_all",
    "table",
]
