"""What a worker process does beside its runs."""

import os
import subprocess
import sys

import pytest
import torch

from rulbook.studies.catalogue import base_config
from rulbook.training.workers import run_one

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


def test_a_run_in_this_process_leaves_the_numerics_as_they_were(real_data):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_one(base_config("FD001").with_changes(max_epochs=1, batches_per_epoch=1))
        assert torch.get_num_threads() == 2
        assert (torch.tensor(1e-310, dtype=torch.float64) * 1).item() > 0
    finally:
        torch.set_num_threads(threads)
