"""What a chapter shows: badges, figures, explorers and tables in one house style."""

from rulbook.display.badges import check, check_all, claims_of
from rulbook.display.glue import glue

__all__ = ["check", "check_all", "claims_of", "glue"]
