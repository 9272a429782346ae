"""Figures of what a second task does for the first: their labels and words, not their pixels."""

import numpy as np
import pandas as pd
import pytest

from rulbook import paths
from rulbook.display.figures import mechanisms as figures
from rulbook.experiments import mechanisms


@pytest.fixture(autouse=True)
def figures_in(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "figures", lambda: tmp_path)
    return tmp_path


def differences(within, values, variant, variants):
    rows = [(value, name) for value in values for name in variants]
    frame = pd.DataFrame(rows, columns=[within, variant])
    return frame.assign(difference=0.1, low=-0.2, high=0.4)


def test_the_transfer_names_every_trunk(figures_in):
    random = np.random.default_rng(0)
    heads = pd.DataFrame(
        [(trunk, rmse) for trunk in mechanisms.TRUNKS for rmse in random.uniform(15, 20, 4)],
        columns=["trunk", "rmse"],
    )
    drawing = figures.transfer(heads)
    for trunk in mechanisms.TRUNKS:
        assert f">{trunk}<" in drawing.svg
    assert "untrained trunk is worst" in drawing.alt
    assert (figures_in / "01-transfer.svg").is_file()


def test_the_legend_of_few_engines_names_what_is_compared_with_the_single_task():
    compared = differences("engines", (2, 8), "training", mechanisms.LABELLINGS[1:])
    drawing = figures.few_engines(compared, compared)
    for name in mechanisms.LABELLINGS[1:]:
        assert f">{name}<" in drawing.svg
    assert f">{mechanisms.LABELLINGS[0]}<" not in drawing.svg


def test_every_second_task_is_in_the_legend():
    weights = mechanisms.AUXILIARY_RUL_WEIGHTS
    compared = differences("rul_weight", weights, "auxiliary", mechanisms.AUXILIARIES)
    drawing = figures.second_tasks(compared)
    for name in mechanisms.AUXILIARIES:
        assert f">{name}<" in drawing.svg
