"""Folds."""

import pandas as pd
import pytest
from IPython.display import Markdown

from rulbook.display import folded, plots, table
from rulbook.display.plots import DescribedFigure


@pytest.fixture
def drawing(tmp_path, monkeypatch):
    monkeypatch.setattr("rulbook.paths.figures", lambda: tmp_path)
    figure, axes = plots.panels()
    axes.plot([0, 1])
    return DescribedFigure(figure, "A line.", "caption <1>").save("99-line")


def test_a_fold_is_closed_named_and_holds_all_that_it_is_given_in_order(drawing):
    shown = table(pd.DataFrame({"a": [1]}), "one table")
    html = folded("Table: 1 < 2", shown, drawing).data
    assert html.startswith("<details")
    assert "open" not in html.split(">")[0]
    assert "<summary>Table: 1 &lt; 2</summary>" in html
    assert shown.data in html
    assert html.index("one table") < html.index("A line.")


def test_words_in_place_of_a_table_stay_words():
    html = folded("Table", Markdown("`run` <it>")).data
    assert "<p>`run` &lt;it&gt;</p>" in html
