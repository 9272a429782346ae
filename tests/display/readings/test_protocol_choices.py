import re

from rulbook.display.readings import protocol_choices as readings
from rulbook.studies.catalogue import SEEDS
from rulbook.studies.evidence import records_of

from ..conftest import cells_of, epoch


def test_the_sizes_that_were_tried_are_shown_with_the_one_that_was_kept():
    sizing, core = records_of("sizing"), records_of("core-a")
    head, *rows = cells_of(readings.sizing_shown(sizing))
    assert [row[0] for row in rows].count("kept") == 1
    errors = {row[0]: float(row[head.index("validation RMSE")]) for row in rows}
    read = readings.sizing_reading(sizing, core.records)
    assert f"{errors['kept']:.2f}" not in read  # differences, not levels
    longest = max(len(run.epochs) for run in core.records if run.config.network == "compact")
    assert f"the longest stopped after {longest} by itself" in read


def test_choices_are_compared_under_each_weighting_that_has_them(make_record, make_evidence):
    ended = {"epochs": (epoch(12.0),)}
    core = make_evidence([make_record(name, **ended) for name in ("fixed_050", "gaba")])
    changed = make_evidence(
        [make_record(name, target_unit="cap", **ended) for name in ("gaba", "dwa")]
    )
    variants = readings.choices_by_weights(core, {"in caps": changed})
    assert variants[["weights", "choice"]].to_numpy().tolist() == [
        ["GABA", "the protocol"],
        ["GABA", "in caps"],
    ]
    assert readings.choices_by_weights(core, {"in caps": make_evidence()}).empty


def test_what_mixed_precision_does_is_said_by_weighting(make_record, make_evidence):
    def trained(noise, seeds=SEEDS):
        epochs = (epoch(12.0, [3.0]),)
        return [make_record("fixed_050", "FD001", s, noise=noise, epochs=epochs) for s in seeds]

    def mixed(noise, seeds=SEEDS):
        runs = trained(noise, seeds)
        changed = [run.config.with_changes(precision="bfloat16") for run in runs]
        return make_evidence(
            [
                run.model_copy(update={"config": config})
                for run, config in zip(runs, changed, strict=True)
            ],
            "precision-fd001",
        )

    core = make_evidence(trained(10.0))
    same, coarse, one, nothing = mixed(10.0), mixed(40.0), mixed(10.0, SEEDS[:1]), mixed(1.0, ())
    assert "cycles (5 seeds, equivalent, within 0.5" in readings.precision_reading(core, same)
    assert "Rounding is no method" not in readings.precision_reading(core, same)
    assert "cycles (5 seeds, told apart)" in readings.precision_reading(core, coarse)
    assert "Rounding is no method" in readings.precision_reading(core, coarse)
    assert "cycles (1 seed, no outcome)" in readings.precision_reading(core, one)
    assert readings.precision_reading(core, nothing) == nothing.sentence()


def test_a_second_run_of_every_seed_is_held_against_the_first(make_record, make_evidence):
    def trained(noise, seeds=SEEDS):
        return [make_record("fixed_050", "FD001", s, noise=noise + (s == 42)) for s in seeds]

    core = trained(10.0)
    read = readings.rerun_reading(core, make_evidence(trained(10.0), "imbalance"))
    assert "differ by up to 0.0 cycles" in read
    read = readings.rerun_reading(core, make_evidence(trained(14.0), "imbalance"))
    largest, overall = re.findall(r"up to ([\d.]+) cycles|FD001 ([\d.]+) \[", read)
    assert 3 < float(overall[1]) < float(largest[0]) < 6
    few = make_evidence(trained(14.0, SEEDS[:4]), "imbalance")
    assert readings.rerun_reading(core, few) == few.sentence()


def test_a_shut_head_is_told_with_its_end(make_record, make_evidence):
    runs = [
        make_record(rul_bias="default", starts_dead=True, epochs=(epoch(41.2),)),
        make_record("single_task", rul_bias="default", epochs=(epoch(12.0),)),
    ]
    read = readings.default_bias_reading(make_evidence(runs))
    assert read == (
        "With the default output bias 1 of 2 recorded trainings started with a shut RUL head. "
        "Fixed 0.5/0.5, seed 42: validation RMSE 41 cycles at the end."
    )
    nothing = make_evidence()
    assert readings.default_bias_reading(nothing) == nothing.sentence()


def test_the_books_network_stands_beside_the_compact_one(make_record, make_evidence):
    core = make_evidence([make_record(epochs=(epoch(12.0, [30.0]),))])
    paper = make_evidence(
        [
            make_record(network="paper", epochs=(epoch(10.0, [50.0]), epoch(13.5, [90.0]))),
            make_record("single_task", network="paper", diverged=True),
        ],
        "paper-size",
    )
    head, *rows = cells_of(readings.paper_size_shown(paper, {"FD002": core}))
    assert [row[2] for row in rows] == ["paper", "compact", "paper, diverged"]
    assert rows[0][head.index("gradient ratio, median of epochs")] == "70"
    assert rows[0][head.index("best epoch")] == "1 of 2"
    assert "rises by 3.5 to 3.5 cycles" in readings.paper_size_reading(paper)
    assert readings.paper_size_reading(core) == ""
    assert "rulbook sweep" in readings.paper_size_shown(make_evidence(), {}).data
