"""Tables on a page."""

from html import escape

import pandas as pd

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
    assert 'tabindex="0" role="region" aria-label="say &quot;x&quot;"' in html


def test_text_is_escaped_and_never_cut():
    long = "a < b & " * 20
    html = table(pd.DataFrame({"c < d": [long]}), "caption").data
    assert escape(long.strip()) in " ".join(html.split())
    assert '<th scope="col">c &lt; d</th>' in html


def test_latex_is_left_to_the_page_to_typeset():
    html = table(
        pd.DataFrame({"w": [r"\frac{1}{g_k}"], "name": ["a"]}), "caption", maths=["w"]
    ).data
    assert r'<span class="math notranslate nohighlight">\(\frac{1}{g_k}\)</span>' in html
    assert "<td>a</td>" in html
