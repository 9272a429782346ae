import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from pathlib import Path

import pytest

from rulbook import paths
from rulbook.errors import RulbookError, UsageError
from rulbook.studies import run_locks
from rulbook.studies.run_locks import RunLocks
from rulbook.studies.sweep import MAX_TRIES, failures_folder, runs_folder, status, sweep
from rulbook.training import RunConfig
from rulbook.training.record import read_record

from .conftest import COMMITTED, DAMAGES
from .sweeping import at_most, configs, fake_run, wait_until

pytestmark = pytest.mark.usefixtures("results")


def test_a_sweep_runs_what_is_missing_and_nothing_else():
    first, rest = configs(4)[:2], configs(4)
    done = []
    sweep(first, jobs=1, run=fake_run(), on_attempt=lambda outcome: done.append(outcome.key))
    sweep(rest, jobs=1, run=fake_run(), on_attempt=lambda outcome: done.append(outcome.key))
    assert sorted(done) == sorted(config.key() for config in rest)
    found = status(rest)
    assert (found.done, found.failed, found.missing, found.total) == (4, 0, 0, 4)


def test_a_run_that_always_fails_is_recorded_after_three_tries_and_not_tried_again():
    tried = []
    broken = fake_run("if config.seed == 1: raise ValueError('no such luck')")
    sweep(configs(3), jobs=1, run=broken, on_attempt=lambda outcome: tried.append(outcome.key))
    found = status(configs(3))
    assert (found.done, found.failed, found.missing) == (2, 1, 0)
    assert tried.count(configs(3)[1].key()) == MAX_TRIES
    note = json.loads(next(failures_folder().iterdir()).read_text())
    assert "no such luck" in note["reason"]
    assert note["config"]["seed"] == 1
    sweep(configs(3), jobs=1, run=broken, on_attempt=lambda outcome: tried.append(outcome.key))
    assert tried.count(configs(3)[1].key()) == MAX_TRIES


@pytest.mark.slow
def test_a_killed_worker_loses_at_most_the_runs_in_flight(tmp_path):
    marker = tmp_path / "killed"
    kill_once = f"""
        if config.seed == 2 and not os.path.exists({str(marker)!r}):
            open({str(marker)!r}, "w").close()
            os._exit(137)
    """
    sweep(configs(6), jobs=2, run=fake_run(kill_once))
    assert status(configs(6)).done == 6


@pytest.mark.slow
def test_a_file_of_the_working_folder_is_no_module_of_a_worker(tmp_path, monkeypatch):
    for module in ("queue", "numbers", "inspect", "tokenize"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('not this one')\n")
    monkeypatch.chdir(tmp_path)
    sweep(configs(2), jobs=2, run=fake_run())
    assert status(configs(2)).done == 2


@pytest.mark.slow
def test_a_run_that_always_kills_its_worker_fails_alone():
    sweep(configs(5), jobs=2, run=fake_run("if config.seed == 2: os._exit(137)"))
    found = status(configs(5))
    assert (found.done, found.failed) == (4, 1)


@pytest.mark.slow
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_parent_leaves_whole_records_and_the_rest_to_do(results, ending):
    """Stop a sweep in another process in the middle, then finish it here."""
    program = f"""
        import time
        from pathlib import Path
        from rulbook import paths
        from rulbook.studies.catalogue import base_config
        from rulbook.studies.sweep import sweep
        from rulbook.training import RunRecord
        paths.results = lambda: Path({str(results)!r})
        def run(config):
            time.sleep(0.2)
            return RunRecord(config=config, status="diverged", message="It is made up.",
                             wall_seconds=0.0, device="cpu",
                             versions={{}}, source_digest="")
        sweep([base_config("FD001", seed) for seed in range(30)], jobs=1, run=run,
              on_attempt=lambda outcome: print("done", flush=True))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        for _ in range(3):
            assert process.stdout.readline() == "done\n"
        process.send_signal(ending)
    found = status(configs(30))
    assert 3 <= found.done < 30
    assert [path.suffix for path in runs_folder().iterdir()].count(".json") == found.done
    sweep(configs(30), jobs=1, run=fake_run())
    assert status(configs(30)).done == 30


@pytest.mark.parametrize(
    "fault",
    [
        "raise OSError(28, 'No space left')",
        "from rulbook.errors import RulbookError; raise RulbookError('no data')",
        "import torch; torch.empty(2**60, dtype=torch.uint8)",
        "import torch; raise torch.AcceleratorError('CUDA error: all devices are busy')",
        'raise RuntimeError("can\'t start new thread")',
        "import a_package_that_went_away",
        "raise RuntimeError('MPS backend out of memory (MPS allocated: 9 GB)')",
        "raise RuntimeError('PytorchStreamWriter failed writing file data/0')",
        "import sqlite3; raise sqlite3.OperationalError('database or disk is full')",
        "raise ValueError('no log') from OSError(28, 'No space left')",
        "raise ExceptionGroup('two', [OSError(28, 'No space left'), ValueError('x')])",
    ],
)
def test_a_fault_of_the_machine_stops_the_sweep_and_burns_no_try(fault):
    broken = fake_run(fault)
    tried = []
    with pytest.raises(RulbookError, match="no fault of a run"):
        sweep(configs(20), jobs=1, run=broken, on_attempt=tried.append)
    assert len(tried) == 1
    assert status(configs(20)).missing == 20
    sweep(configs(20), jobs=1, run=fake_run())
    assert status(configs(20)).done == 20


def test_what_a_recipe_asks_of_the_tables_is_a_fault_of_its_run_alone():
    """One that names a sensor which the files have not got, and every later run is done."""
    asks_too_much = (
        "from rulbook.data import FleetError\n"
        "if config.seed == 0: raise FleetError(\"no column 'sensor_99'\")"
    )
    sweep(configs(3), jobs=1, run=fake_run(asks_too_much))
    found = status(configs(3))
    assert (found.done, found.failed) == (2, 1)


@pytest.mark.parametrize("folder", [runs_folder, failures_folder])
def test_a_folder_that_cannot_be_written_is_found_before_the_first_run(results, folder):
    """A link to a volume that is not mounted: what is computed could not be kept."""
    results.mkdir(exist_ok=True)
    folder().symlink_to(results / "not-mounted" / "anything")
    tried = []
    with pytest.raises(RulbookError, match="cannot be written"):
        sweep(configs(1), jobs=1, run=fake_run(), on_attempt=tried.append)
    assert tried == []


def test_a_lock_of_another_container_counts_until_it_is_old(tmp_path, monkeypatch):
    """Two containers may share a name and a folder, and not the numbers of processes."""
    here, there = RunLocks(tmp_path), "1234567"
    monkeypatch.setattr(run_locks, "_host", lambda: "name/pid:[1]")
    lock = tmp_path / "key"
    lock.write_text(f"name/pid:[2] {there}")
    assert not here.take("key")
    lock.write_text(f"name/pid:[1] {10**9}")
    assert here.take("key")


def no_room(file, *_, **__):
    if isinstance(file, int):
        os.close(file)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("place", "action"),
    [
        ("write_atomically", "if config.seed == 1: raise ValueError('bad luck')"),
        ("fdopen", "pass"),
    ],
)
def test_a_disk_that_is_full_ends_the_sweep_in_a_sentence_and_loses_nothing(
    monkeypatch, place, action
):
    """What has no room is the note of a run that failed, or who has locked a run."""
    sweep(configs(1), jobs=1, run=fake_run())
    with monkeypatch.context() as full:
        full.setattr(paths if place == "write_atomically" else os, place, no_room)
        with pytest.raises(RulbookError, match=r"stopped, since this is no fault .*No space left"):
            sweep(configs(3)[:2], jobs=1, run=fake_run(action))
    assert (status(configs(3)).done, status(configs(3)).failed) == (1, 0)
    assert not (paths.own_results() / ".locks").exists()
    sweep(configs(3), jobs=1, run=fake_run())
    assert status(configs(3)).done == 3


def test_a_failed_run_is_tried_again_when_that_is_asked_for():
    sweep(configs(2), jobs=1, run=fake_run("if config.seed: raise ValueError('bad luck')"))
    assert status(configs(2)).failed == 1
    sweep(configs(2), jobs=1, run=fake_run())
    assert status(configs(2)).failed == 1
    sweep(configs(2), jobs=1, run=fake_run(), retry_failed=True)
    assert status(configs(2)).done == 2
    assert not list(failures_folder().iterdir())


def test_what_a_runner_of_ones_own_returns_is_kept_after_one_try_whatever_it_says():
    """It may hand on records of other runs, or use other engines; reading looks at what is said."""
    attempts = []
    of_another_run = read_record(min(COMMITTED.glob("*.json")))

    def run(config):
        return of_another_run.model_copy(update={"config": config})

    sweep(configs(3), jobs=1, run=run, on_attempt=attempts.append)
    assert [attempt.key for attempt in attempts] == [config.key() for config in configs(3)]
    assert status(configs(3)).done == 3
    with pytest.raises(RulbookError, match="delete it and run its sweep again"):
        read_record(runs_folder() / f"{configs(1)[0].key()}.json")


def test_what_is_no_record_is_a_failure_of_its_run():
    attempts = []
    sweep(configs(1), jobs=1, run=lambda config: config, on_attempt=attempts.append)
    assert status(configs(1)).failed == 1
    assert len(attempts) == MAX_TRIES


@pytest.mark.parametrize(
    ("runs", "jobs", "says"),
    [(configs(1)[0], 1, "in a list"), (configs(2), 0, "jobs=1"), (configs(2), -1, "jobs=1")],
    ids=["one configuration", "no job", "less than none"],
)
def test_a_sweep_of_no_list_or_without_jobs_is_one_sentence(runs, jobs, says):
    with pytest.raises(UsageError, match=says):
        sweep(runs, jobs=jobs, run=fake_run())


def test_a_configuration_that_nothing_checked_is_refused_before_the_first_run():
    choices = dict(configs(1)[0])
    with pytest.raises(UsageError, match="seed"):
        sweep([RunConfig.model_construct(**choices | {"seed": -1})], jobs=1, run=fake_run())


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_record_that_is_not_whole_counts_as_missing_and_is_run_again(damage):
    sweep(configs(2), jobs=1, run=fake_run())
    file = runs_folder() / f"{configs(1)[0].key()}.json"
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    assert status(configs(2)).missing == 1
    sweep(configs(2), jobs=1, run=fake_run())
    assert status(configs(2)).missing == 0
    file.write_bytes(whole.rstrip() + b"\r\n")  # as an editor on Windows saves it
    assert status(configs(2)).missing == 0


def test_a_folder_that_cannot_be_written_is_named_before_the_first_run(results):
    results.parent.mkdir(exist_ok=True)
    results.write_text("a file, not a folder")
    with pytest.raises(RulbookError, match="RULBOOK_RESULTS"):
        sweep(configs(1), jobs=1, run=fake_run("raise AssertionError('it ran')"))


@pytest.mark.parametrize("name", ["results", "results/runs"])
def test_a_file_in_the_place_of_the_records_is_named(results, name):
    file = results.parent / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("a file, not a folder")
    with pytest.raises(RulbookError, match=f"{name}' is a file .* RULBOOK_RESULTS"):
        status(configs(1))


def test_the_lock_of_a_process_that_is_gone_counts_for_nothing(results):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (results / ".locks").mkdir(parents=True)
    lock = results / ".locks" / configs(1)[0].key()
    lock.write_text(f"{run_locks._host()} {ended.pid}")
    sweep(configs(1), jobs=1, run=fake_run())
    assert status(configs(1)).done == 1
    assert not lock.exists()


def _sweep_in_another_process(results, number, jobs, action, note):
    """Start a sweep whose runs leave their process id in ``note``, then do ``action``."""
    program = f"""
        import os, time
        from collections import Counter
        from pathlib import Path
        from rulbook import paths
        from rulbook.studies.catalogue import base_config
        from rulbook.studies.sweep import sweep
        from rulbook.training import RunRecord
        paths.results = lambda: Path({str(results)!r})
        note = {str(note)!r}
        deadline = time.monotonic() + 60
        def keeps_up():
            ran = Counter(line.split()[0] for line in open(note))
            return len(ran) == 2 and min(ran.values()) >= ran[str(os.getpid())]
        def run(config):
            with open(note, "a") as file:
                print(os.getpid(), config.seed, file=file)
            {action}
            return RunRecord(config=config, status="diverged", message="It is made up.",
                             wall_seconds=0.0, device="cpu",
                             versions={{}}, source_digest="")
        sweep([base_config("FD001", seed) for seed in range({number})], jobs={jobs}, run=run)
    """
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)])


@pytest.mark.slow
def test_two_sweeps_on_one_folder_share_the_work(results, tmp_path):
    """A run ends when the other sweep has begun as many."""
    note = tmp_path / "note"
    keep_step = "while not keeps_up() and time.monotonic() < deadline: time.sleep(0.02)"
    with at_most(120):
        sweeps = [_sweep_in_another_process(results, 6, 1, keep_step, note) for _ in range(2)]
        assert [process.wait() for process in sweeps] == [0, 0]
    ran = [[int(word) for word in line.split()] for line in note.read_text().splitlines()]
    assert sorted(seed for _, seed in ran) == list(range(6))
    assert Counter(process for process, _ in ran) == {process.pid: 3 for process in sweeps}
    assert status(configs(6)).done == 6
    assert not (results / ".locks").exists()


@pytest.mark.slow
def test_workers_end_with_a_parent_that_was_killed(results, tmp_path):
    note = tmp_path / "note"
    process = _sweep_in_another_process(results, 4, 2, "time.sleep(60)", note)
    wait_until(lambda: note.exists() and len(note.read_text().splitlines()) == 2)
    process.kill()
    process.wait()
    workers = {int(line.split()[0]) for line in note.read_text().splitlines()}
    assert process.pid not in workers
    wait_until(lambda: not any(_is_alive(worker) for worker in workers), 30.0)


def _is_alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_records_are_where_the_package_says():
    assert Path(os.path.commonpath([runs_folder(), failures_folder()])) == paths.results()


def test_a_lock_that_names_nobody_is_given_up_in_seconds(tmp_path):
    folder = tmp_path / "locks"
    folder.mkdir()
    nameless = folder / "key"
    nameless.touch()
    with RunLocks(folder) as locks:
        assert not locks.take("key")
        os.utime(nameless, (0, time.time() - 10))
        assert locks.take("key")


@pytest.mark.parametrize("content", [b"\xff", f"{run_locks._host()} {10**20}".encode()])
def test_a_lock_that_nobody_can_have_written_is_given_up(tmp_path, content):
    folder = tmp_path / "locks"
    folder.mkdir()
    lock = folder / "key"
    lock.write_bytes(content)
    os.utime(lock, (0, time.time() - 3600))
    with RunLocks(folder) as locks:
        assert locks.take("key")


@pytest.mark.parametrize("seconds", [-3600, 3600])
@pytest.mark.parametrize("host", [run_locks._host(), "another-machine"])
def test_a_lock_without_a_sign_of_life_for_an_hour_counts_for_nothing(tmp_path, host, seconds):
    folder = tmp_path / "locks"
    folder.mkdir()
    lock = folder / "key"
    lock.write_text(f"{host} {os.getppid()}")  # a process that runs, and no sweep
    with RunLocks(folder) as locks:
        assert not locks.take("key")
        os.utime(lock, (0, time.time() + seconds))
        assert locks.take("key")


def test_a_lock_that_another_sweep_has_made_meanwhile_is_put_back(tmp_path, monkeypatch):
    folder = tmp_path / "locks"
    folder.mkdir()
    lock = folder / "key"
    lock.write_text(f"another-machine {os.getpid()}")
    rename = Path.rename

    def another_is_first(path, target):
        path.write_text("a-third-machine 7")  # it has found the lock stale too, and made its own
        return rename(path, target)

    with RunLocks(folder) as locks:
        os.utime(lock, (0, time.time() - 3600))
        monkeypatch.setattr(Path, "rename", another_is_first)
        assert not locks.take("key")
    assert lock.read_text() == "a-third-machine 7"
    assert list(folder.iterdir()) == [lock]


def test_a_lock_that_is_another_sweeps_by_now_is_left(tmp_path):
    with RunLocks(tmp_path / "locks") as locks:
        assert locks.take("key")
        (tmp_path / "locks" / "key").write_text("another-machine 7")
    assert (tmp_path / "locks" / "key").read_text() == "another-machine 7"


def test_a_lock_is_taken_though_another_sweep_has_removed_the_empty_folder(tmp_path):
    first, second = RunLocks(tmp_path / "locks"), RunLocks(tmp_path / "locks")
    first.give_all_back()
    assert not (tmp_path / "locks").exists()
    assert second.take("run")
    assert not first.take("run")
    second.give_all_back()
    assert first.take("run")
