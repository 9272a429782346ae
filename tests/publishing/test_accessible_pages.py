"""What is corrected on a page before it is written."""

from rulbook.publishing.accessible_pages import unbroken

MATHS = '<span class="math notranslate nohighlight">\\(\\rho\\)</span>'
FIGURE = '<span class="pasted-text">95</span>'


def test_no_line_begins_with_the_punctuation_after_a_formula():
    kept = f'<span class="unbroken">({MATHS}),</span>'
    assert unbroken(f"at first ({MATHS}), then") == f"at first {kept} then"


def test_a_formula_between_words_is_left_alone():
    assert unbroken(f"where {MATHS} is") == f"where {MATHS} is"


def test_no_line_begins_with_the_percent_sign_of_a_glued_figure_and_code_is_left_alone():
    code = 'f"{<span class="n">a</span> % 2} 95 % of"'
    assert unbroken(f"{FIGURE} % of {code}") == f"{FIGURE}\N{NO-BREAK SPACE}% of {code}"
