"""What a worker process does beside its runs."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

PAGE_FAULTS = """
import resource, sys
import torch
from rulbook.training.workers import keep_freed_memory

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(2**21)  # 8 MiB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = page_faults()
keep_freed_memory()
torch.ones(2**21)
print(before, page_faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's settings")
def test_freed_blocks_are_kept_even_where_dask_asks_to_give_them_back() -> None:
    printed = subprocess.run(
        [sys.executable, "-c", PAGE_FAULTS],
        env=os.environ | {"MALLOC_TRIM_THRESHOLD_": "65536"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    before, after = map(int, printed.split())
    assert after < before / 10
