"""Named experiments, and the sweep that runs what is missing of them."""

from rulbook.studies.catalogue import SEEDS, STUDIES, Study, base_config, seeds_from, study
from rulbook.studies.methods import METHODS, Method, method, method_of

__all__ = [
    "METHODS",
    "SEEDS",
    "STUDIES",
    "Method",
    "Study",
    "base_config",
    "method",
    "method_of",
    "seeds_from",
    "study",
]
