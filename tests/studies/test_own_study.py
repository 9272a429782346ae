"""Studies of one's own: files, settings, where their records go."""

import asyncio
import os
import re
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from rulbook import cli, paths
from rulbook.data import cmapss
from rulbook.data.prepare import Recipe
from rulbook.errors import RulbookError, UsageError
from rulbook.models import ARCHITECTURES
from rulbook.studies.archive import all_records
from rulbook.studies.catalogue import base_config
from rulbook.studies.own_study import study_of, with_settings
from rulbook.studies.sweep import runs_folder, status, sweep
from rulbook.training import config as run_config
from rulbook.training import networks
from rulbook.training.own_code import OwnCode
from rulbook.training.workers import try_run
from rulbook.weighting import registry

from .conftest import believable, committed_record

pytestmark = pytest.mark.usefixtures("results")


@pytest.fixture(autouse=True)
def _nothing_added(monkeypatch):
    monkeypatch.setattr(networks, "_OWN", {})
    monkeypatch.setattr(registry, "_OWN", {})


BASE = base_config("FD001")


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ("weighting=gaba", {"weighting": "gaba"}),
        ("recipe.window=50", {"recipe": Recipe(window=50)}),
        ("recipe.health_thresholds=[70,20]", {"recipe": Recipe(health_thresholds=(70, 20))}),
        ("learning_rate=1e-3", {"learning_rate": 1e-3}),
        ("patience=null", {"patience": None}),
        ("watch_test=true", {"watch_test": True}),
        ("subset=FD003", {"subset": "FD003", "data_digest": cmapss.digest("FD003")}),
        (
            "architecture.recurrent_units=16",
            {
                "architecture": replace(ARCHITECTURES["compact"], recurrent_units=16),
            },
        ),
    ],
)
def test_a_setting_is_the_change_that_it_spells(setting, changes):
    assert with_settings([BASE], [setting]) == [BASE.with_changes(**changes)]


def test_several_values_are_combined_in_order():
    made = with_settings([BASE], ["weighting=gaba,dwa", "seed=7,8"])
    assert [(config.weighting, config.seed) for config in made] == [
        *(("gaba", 7), ("gaba", 8), ("dwa", 7), ("dwa", 8)),
    ]


def test_options_of_a_method_are_set_after_it():
    (made,) = with_settings([BASE], ["weighting=gaba", "weighting_options.beta=0.9"])
    assert made == BASE.with_changes(weighting="gaba", weighting_options={"beta": 0.9})


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("seed", "NAME=VALUE"),
        ("seed=", "NAME=VALUE"),
        ("sed=7", "choice of a run 'sed'"),
        ("self=1", "choice of a run 'self'"),
        ("seed=seven", "seed"),
        ("recipe.windw=50", r"recipe\.windw"),
        ("window.recipe=50", r"choice of a run 'window\.recipe'"),
        ("weighting=gabba", "weighting method 'gabba'"),
        ("subset=FD009", "subset 'FD009'"),
        ("network=large", "network 'large'"),
        (f"seed={'1' * 5000}", "'seed' is too long"),
        (f"seed={'[' * 100_000}", "'seed' is too long"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_in_a_sentence(setting, said):
    with pytest.raises(UsageError, match=said):
        with_settings([BASE], [setting])


@pytest.mark.parametrize(
    "settings",
    [
        ["weighting=gaba", "weighting_options.beta=0.9"],
        ["recipe.rul_cap=60", "recipe.health_thresholds=[50,20]"],
    ],
)
def test_settings_that_hold_only_together_may_stand_in_any_order(settings):
    assert with_settings([BASE], settings) == with_settings([BASE], settings[::-1])


def test_a_choice_that_is_set_twice_is_refused():
    with pytest.raises(UsageError, match=r"'seed' is set twice: write seed=VALUE,VALUE"):
        with_settings([BASE], ["seed=1", "seed=2"])


def test_a_study_that_draws_its_seeds_is_refused_before_the_first_run():
    drawn = (
        "import random\nfrom rulbook.studies import base_config\n"
        "def runs(): yield base_config('FD001', random.randrange(10**9))\n"
    )
    with pytest.raises(UsageError, match="other configurations at every call"):
        list(study_of(OwnCode("my_study.py", drawn)).configs())


def test_a_file_defines_a_study():
    code = OwnCode(
        "folder/my_study.py",
        '"""Does it help?\n\nMore."""\nfrom rulbook.studies import base_config\n'
        "def runs():\n    for seed in (1, 2):\n        yield base_config('FD001', seed)\n",
    )
    study = study_of(code)
    assert (study.name, study.question) == ("my_study", "Does it help?")
    assert list(study.configs()) == [base_config("FD001", 1), base_config("FD001", 2)]


@pytest.mark.parametrize(
    ("source", "error", "said"),
    [
        ("x = 1", UsageError, "no function `runs`"),
        ("import sys; sys.exit(3)", RulbookError, "SystemExit: 3"),
        ("def runs(): return None", RulbookError, "TypeError"),
        ("def runs(seed): yield seed", RulbookError, "TypeError"),
        ("async def runs(): return []", UsageError, "no function `runs`"),
        ("def runs():\n    raise ValueError('a\\nb')\n    yield", RulbookError, "ValueError: a b"),
        ("def runs(): return []\non_epoch = 3", UsageError, "plain function"),
        ("def runs(): return []\ndef on_epoch(index, epoch): ...", UsageError, "three arguments"),
        ("def runs(): return []\ndef on_epoch(*a): yield", UsageError, "plain function"),
        ("def runs(): return []\nasync def on_epoch(*a): yield", UsageError, "plain function"),
        (
            "def runs(): return []\nclass Watch:\n    def __call__(self, *a): yield\n"
            "on_epoch = Watch()",
            UsageError,
            "plain function",
        ),
        ("import asyncio\nraise asyncio.CancelledError", RulbookError, "CancelledError"),
        ("def runs():\n    raise GeneratorExit\n    yield", RulbookError, "GeneratorExit"),
        ("raise ValueError('x' * 10**6)", RulbookError, "^.{,700}$"),
        ("def runs(:", RulbookError, "SyntaxError"),
        ("1 / 0", RulbookError, "ZeroDivisionError"),
        ("def runs(): yield 7", UsageError, "no RunConfig"),
        ("def runs(): return []", UsageError, "yields no configuration"),
    ],
)
def test_a_file_that_defines_no_study_is_refused_in_a_sentence(source, error, said):
    with pytest.raises(error, match=said):
        list(study_of(OwnCode("my_study.py", source)).configs())


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere"):
        OwnCode.read(tmp_path / "nowhere.py")
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="UTF-8"):
        OwnCode.read(tmp_path / "binary.py")


def test_a_byte_order_mark_and_other_ends_of_lines_are_no_part_of_a_file(tmp_path):
    file = tmp_path / "from_windows.py"
    file.write_bytes(b"\xef\xbb\xbfvalue = 7\r\n")
    assert OwnCode.read(file).load().value == 7


def test_an_end_of_the_interpreter_in_a_run_is_a_failure_of_that_run():
    def run(config):
        sys.exit(f"seed {config.seed}")

    attempt = try_run(BASE, run)
    assert (attempt.failure, attempt.of_machine) == ("SystemExit: seed 42", False)

    def cancelled(config):
        raise asyncio.CancelledError

    assert try_run(BASE, cancelled).failure == "CancelledError: "

    def interrupted(config):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_run(BASE, interrupted)


def test_runs_of_another_protocol_are_refused_before_the_first():
    with pytest.raises(UsageError, match="protocol 2"):
        sweep([BASE.with_changes(protocol=2)], jobs=1, run=lambda _: pytest.fail("it ran"))


def test_a_method_of_ones_own_must_be_one():
    registry.add_method("mine", lambda: None)
    with pytest.raises(UsageError, match="NoneType: it must give a BaseMTLLoss"):
        BASE.with_changes(weighting="mine")


OWN = '''
"""A method and a network of one's own."""

from torch import nn

from rulbook.studies import base_config
from rulbook.training import add_network
from rulbook.weighting.fixed import FixedWeightLoss
from rulbook.weighting.registry import add_method


class Small(nn.Module):
    def __init__(self, in_features):
        super().__init__()
        self.trunk = nn.Sequential(nn.Flatten(), nn.Linear(30 * in_features, 8), nn.ReLU())
        self.head_rul, self.head_health = nn.Linear(8, 1), nn.Linear(8, 3)

    def features(self, x):
        return self.trunk(x)

    def forward(self, x):
        z = self.features(x)
        return self.head_rul(z).squeeze(-1), self.head_health(z)


add_network("small", Small)
add_method("two_thirds", lambda: FixedWeightLoss(2 / 3, 1 / 3))


def runs():
    for seed in (1, 2, 3):
        yield base_config("FD001", seed).with_changes(
            network="small",
            weighting="two_thirds",
            rul_bias="default",
            max_epochs=1,
            batches_per_epoch=2,
        )


def on_epoch(config, index, epoch):
    with open(NOTE, "a") as file:
        print(config.seed, index, epoch.validation.rmse, file=file)
'''


def blocks_of_the_page():
    text = (paths.checkout() / "book" / "own-studies.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_the_file_of_the_page_is_a_study():
    configs = list(study_of(OwnCode("my_study.py", blocks_of_the_page()[0])).configs())
    assert [(c.network, c.recipe.window, c.seed) for c in configs] == [
        ("small", 30, 1),
        ("small", 50, 1),
        ("small", 30, 2),
        ("small", 50, 2),
    ]


@pytest.mark.slow
def test_the_page_trains_from_python(real_data, capsys):
    (block,) = [block for block in blocks_of_the_page() if "train_network(\n" in block]
    session: dict = {}
    exec(compile(block, "own-studies.md", "exec"), session)
    record = session["trained"].record
    printed = [float(line) for line in capsys.readouterr().out.splitlines()]
    assert printed == [epoch.validation.rmse for epoch in record.epochs]
    assert len(printed) == record.config.max_epochs


@pytest.mark.slow
def test_methods_networks_and_callbacks_of_a_file_are_known_to_the_workers(real_data, tmp_path):
    note = tmp_path / "note"
    code = OwnCode("my_study.py", OWN.replace("NOTE", repr(str(note))))
    configs = list(study_of(code).configs())
    sweep(configs, jobs=2, code=code)
    assert status(configs).done == 3
    rows = sorted(line.split() for line in note.read_text().splitlines())
    records = sorted(all_records(), key=lambda record: record.config.seed)
    assert [row[:2] for row in rows] == [["1", "0"], ["2", "0"], ["3", "0"]]
    for record, row in zip(records, rows, strict=True):
        assert record.epochs[0].weights["rul_weight"] == pytest.approx(2 / 3)
        assert record.epochs[0].validation.rmse == pytest.approx(float(row[2]), rel=1e-5)


@pytest.mark.parametrize("options", [{"jobs": 2}, {"jobs": 1, "engine": "dask"}])
@pytest.mark.parametrize("kind", ["network", "method"])
def test_what_this_process_alone_knows_is_refused_before_workers_blame_the_runs(options, kind):
    if kind == "network":
        networks.add_network("mine_alone", lambda _: pytest.fail("it was built"))
        config = BASE.with_changes(network="mine_alone", rul_bias="default")
    else:
        registry.add_method("mine_alone", lambda: registry.get_loss("gaba"))
        config = BASE.with_changes(weighting="mine_alone")
    with pytest.raises(UsageError, match=f"The {kind} 'mine_alone' .* workers .* code="):
        sweep([config], **options)
    assert status([config]).missing == 1


def test_records_of_code_that_is_not_loaded_say_what_is_missing(make_record):
    registry.add_method("mine", lambda: registry.get_loss("gaba"))
    record = make_record(weighting="mine")
    record.write(runs_folder())
    registry._OWN.clear()  # as in another process
    run_config._check_weighting.cache_clear()
    with pytest.raises(RulbookError, match=r"'mine'.*`rulbook records --code FILE --code FILE`"):
        all_records()


def test_records_of_two_files_are_listed_when_both_are_named(tmp_path, capsys):
    file_of = {}
    for name in ("first_of_mine", "second_of_mine"):
        registry.add_method(name, lambda: registry.get_loss("gaba"))
        believable(committed_record("FD001"), BASE.with_changes(weighting=name)).write(
            runs_folder()
        )
        file_of[name] = tmp_path / f"{name}.py"
        file_of[name].write_text(
            "from rulbook.weighting.registry import add_method, get_loss\n"
            f"add_method('{name}', lambda: get_loss('gaba'))\n"
        )
    registry._OWN.clear()  # as in another process
    run_config._check_weighting.cache_clear()
    command = ["rulbook", "records"]
    for file in file_of.values():
        command += ["--code", str(file)]
    with pytest.MonkeyPatch.context() as patch, suppress(SystemExit):
        patch.setattr("sys.argv", command)
        cli.main()
    out, err = capsys.readouterr()
    assert all(name in out for name in file_of), err


def test_a_study_of_ones_own_does_not_write_among_the_records_of_the_book(monkeypatch, capsys):
    with pytest.raises(UsageError, match="--results"):
        paths.refuse_results_of_the_book()
    way_round = paths.results() / ".." / paths.results().name
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(way_round))
    with pytest.raises(UsageError, match="--results"):
        paths.refuse_results_of_the_book()
    monkeypatch.delenv(paths.RESULTS_VARIABLE)
    monkeypatch.setattr("sys.argv", ["rulbook", "sweep", "--set", "seed=7"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "--results" in capsys.readouterr().err


def test_results_of_ones_own_go_where_the_command_says(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(paths.RESULTS_VARIABLE, "elsewhere")
    folder = tmp_path / "mine"
    command = ["rulbook", "sweep", "--set", "seed=7,8", "--status", "--results", str(folder)]
    monkeypatch.setattr("sys.argv", command)
    with suppress(SystemExit):
        cli.main()
    assert "protocol: 0 of 2 runs done" in capsys.readouterr().out
    assert runs_folder() == folder / "runs"


def test_what_is_sent_to_workers_is_the_text_of_the_file(tmp_path):
    file = tmp_path / "my_study.py"
    file.write_text("value = 7\n")
    code = OwnCode.read(file)
    file.unlink()
    assert code.load().value == 7
    assert code.load() is code.load()
    assert Path(code.load().__file__) == file


def test_the_command_lists_records_of_a_file_with_what_is_set(tmp_path, monkeypatch, capsys):
    file = tmp_path / "my_study.py"
    file.write_text(
        "from rulbook.studies import base_config\ndef runs(): yield base_config('FD001')\n"
    )
    monkeypatch.setenv(paths.RESULTS_VARIABLE, str(tmp_path))
    changed = base_config("FD001").with_changes(seed=7)
    believable(committed_record("FD001"), changed).write(runs_folder())
    command = ["rulbook", "records", "--study", str(file), "--set", "seed=7,8"]
    monkeypatch.setattr("sys.argv", command)
    with suppress(SystemExit):
        cli.main()
    listed = capsys.readouterr().out.splitlines()[1:]
    assert [line.partition(".")[0] for line in listed] == [changed.key()]


@pytest.mark.parametrize(
    ("command", "said"),
    [("sweep", "is no folder"), ("records", "is no folder"), ("records", "There is no folder")],
)
def test_results_that_are_no_folder_are_refused(tmp_path, monkeypatch, capsys, command, said):
    named = tmp_path / "named"
    if said == "is no folder":
        named.write_text("")
    monkeypatch.setenv(paths.RESULTS_VARIABLE, "elsewhere")
    options = ["--status", "--set", "seed=7"] if command == "sweep" else []
    monkeypatch.setattr("sys.argv", ["rulbook", command, *options, "--results", str(named)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_the_home_of_nobody_is_named(monkeypatch):
    monkeypatch.setenv(paths.RESULTS_VARIABLE, "~nosuchuser/x")
    with pytest.raises(UsageError, match=r"'~nosuchuser/x' names the home"):
        paths.own_results()
    with pytest.raises(UsageError, match="home"):
        paths.make_relative_paths_absolute()


def test_a_link_is_written_through_and_stays_one(tmp_path):
    (tmp_path / "real.csv").write_text("old")
    link = tmp_path / "link.csv"
    link.symlink_to("real.csv")
    paths.write_atomically(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


def test_a_pipe_gets_what_is_written_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
    reader.start()
    paths.write_atomically(pipe, "a,b")
    reader.join(timeout=10)
    assert read == ["a,b"]
    assert pipe.is_fifo()
    paths.write_atomically(Path(os.devnull), "a,b")
    assert Path(os.devnull).is_char_device()


@pytest.mark.parametrize("named", ["", ".", "/"])
def test_a_folder_is_not_written_over(tmp_path, monkeypatch, named):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IsADirectoryError):
        paths.write_atomically(Path(named), "a,b")


def test_a_file_that_cannot_be_written_is_named_as_it_was_given(tmp_path):
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(IsADirectoryError) as fault:
        paths.write_atomically(tmp_path / "table.csv", "a,b")
    assert fault.value.filename == str(tmp_path / "table.csv")
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]
