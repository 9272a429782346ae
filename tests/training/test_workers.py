"""What a worker process does beside its runs."""

import os
import subprocess
import sys

import pytest
import torch

from rulbook.studies.catalogue import base_config
from rulbook.training import RunRecord, workers
from rulbook.training.workers import run_one, try_run

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


@pytest.mark.parametrize(
    "said",
    [
        "No CUDA GPUs are available",
        "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU.",
        "CUDA driver initialization failed, you might not have a CUDA gpu.",
        "Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before?",
        "unable to mmap 4096 bytes from file </torch_1>: Cannot allocate memory (12)",
        "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: not enough memory",
        "DataLoader worker is killed by signal: Bus error. It is possible that dataloader's "
        "workers are out of shared memory.",
    ],
)
def test_what_the_machine_lacks_is_no_fault_of_the_run(said):
    """In PyTorch's own words."""

    def run(_):
        raise RuntimeError(said)

    attempt = try_run(base_config("FD001"), run)
    assert (attempt.record, attempt.of_machine) == (None, True)


def test_a_training_whose_record_could_not_be_read_has_failed(monkeypatch):
    """It would count as done for ever."""

    def train_nothing(config, *_, **__):
        return RunRecord(
            config=config,
            status="completed",
            wall_seconds=0.0,
            device="cpu",
            versions={},
            source_digest="",
        )

    monkeypatch.setattr(workers, "_prepared", lambda *_: None)
    monkeypatch.setattr(workers, "train", train_nothing)
    attempt = try_run(base_config("FD001"), run_one)
    assert (attempt.record, attempt.of_machine) == (None, False)
    assert attempt.failure == "its record is of a completed run, yet has no predictions"


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_run_in_this_process_leaves_the_numerics_as_they_were(real_data):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        run_one(base_config("FD001").with_changes(max_epochs=1, batches_per_epoch=1))
        assert torch.get_num_threads() == 2
        assert (torch.tensor(1e-310, dtype=torch.float64) * 1).item() > 0
    finally:
        torch.set_num_threads(threads)
