"""What is corrected on a page before it is written."""

from rulbook.publishing.accessible_pages import named_folds, unbroken

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


def test_every_fold_has_a_name_of_its_own():
    fold = (
        '<summary aria-label="Toggle hidden content">\n'
        '<p class="collapsed admonition-title">Show code cell {0}</p>\n'
        '<p class="expanded admonition-title">Hide code cell {0}</p>\n</summary>'
    )
    body = named_folds(fold.format("source") + fold.format("content") + fold.format("source"))
    assert "Toggle" not in body
    assert [part.split("<")[0] for part in body.split('collapsed admonition-title">')[1:]] == [
        "Show code 1",
        "Show code and output 2",
        "Show code 3",
    ]
    assert body.count("Hide code") == 3
