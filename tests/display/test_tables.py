"""Tables on a page."""

import re
from html import escape, unescape

import pandas as pd
from hypothesis import example, given
from hypothesis import strategies as st

from rulbook.display.tables import table


def test_numbers_have_the_columns_precision_and_the_frame_is_left_alone():
    frame = pd.DataFrame({"ρ": [1, 10], "θ*": [0.0, 0.81818], "the run": ["converges", "<x>"]})
    before = frame.copy()
    html = table(frame, "A & B", {"θ*": ".3f"}).data
    assert ">0.000<" in html
    assert ">0.818<" in html
    assert "&lt;x&gt;" in html
    assert "<caption>A &amp; B</caption>" in html
    pd.testing.assert_frame_equal(frame, before)


def test_column_heads_are_heads_and_the_region_can_be_scrolled_by_keyboard():
    html = table(pd.DataFrame({"a": [1], "b": [2]}), 'say "x"').data
    assert html.count('<th scope="col">') == 2
    assert 'tabindex="0" role="group" aria-label="say "x""' in unescape(html)


def test_text_is_escaped_and_never_cut():
    long = "a < b & " * 20
    html = table(pd.DataFrame({"c < d": [long]}), "caption").data
    assert escape(long.strip()) in " ".join(html.split())
    assert ">c &lt; d</th>" in html


def test_latex_is_left_to_the_page_to_typeset():
    html = table(
        pd.DataFrame({"w": [r"\frac{1}{g_k}"], "name": ["a"]}), "caption", maths=["w"]
    ).data
    assert r'<span class="math notranslate nohighlight">\(\frac{1}{g_k}\)</span>' in html
    assert ">a</td>" in html


def test_columns_of_words_stand_to_the_left_and_others_where_figures_stand():
    frame = pd.DataFrame(
        {
            "method": ["a", "b"],
            "interval": ["1.0 [0.5, 2.0]", "–"],
            "error": [float("nan"), 1e-20],
            "adds up to": [1, "any"],
            "weight": ["x", "1"],
        }
    )
    html = table(frame, "caption", {"error": ".1e"}, maths=["weight"]).data
    left = re.findall(r'<th [^>]*class="words"[^>]*text-align:left"[^>]*>(.*?)</th>', html)
    assert left == ["method", "adds up to", "weight"]
    assert len(re.findall('<td class="words"', html)) == 2 * len(left)


@given(st.floats(-1e6, 1e6), st.integers(0, 4), st.sampled_from("f%e"))
@example(-0.0001, 1, "%")
@example(-0.0, 1, "e")
def test_figures_have_minus_signs_and_zero_has_none(value, places, kind):
    form = f".{places}{kind}"
    html = table(pd.DataFrame({"θ": [value]}), "c", {"θ": form}).data
    (text,) = re.findall("<td>(.*?)</td>", html)
    figure = float(format(value, form).rstrip("%"))
    assert float(text.replace("−", "-").rstrip("%")) == figure
    assert "-" not in text
    assert text.startswith("−") == (figure < 0)


def test_hyphens_before_figures_are_minus_signs_and_other_hyphens_stay():
    frame = pd.DataFrame(
        {"a": ["-0.5 [-1, +2]", "core-2", "2026-11-24", "-"], "b": [1e-7, -2e-8, 1.0, -0.0]}
    )
    html = table(frame, "c").data
    assert re.findall("<td.*?>(.*?)</td>", html) == [
        "−0.5 [−1, +2]", "1e−07", "core-2", "−2e−08", "2026-11-24", "1.0", "-", "0.0",
    ]  # fmt: skip
