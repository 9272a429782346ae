"""Formulas of pages for readers without scripts."""

import re
from xml.etree import ElementTree

from rulbook.publishing.chapters import choose
from rulbook.publishing.layout import of_checkout
from rulbook.publishing.mathml import without_scripts
from rulbook.publishing.pairing import to_notebook

INLINE = '<span class="math notranslate nohighlight">\\(%s\\)</span>'
DISPLAYED = (
    '<div class="math notranslate nohighlight" id="equation-c04-factor">\n'
    '<span class="eqno">(4.1)<a class="headerlink" href="#equation-c04-factor">#</a></span>'
    "\\[%s\\]</div>"
)
FORMULA = re.compile(
    r"\$\$(?P<displayed>.+?)\$\$|(?<![\\$])\$(?P<inline>[^$]+?)(?<!\\)\$", re.DOTALL
)


def mathml_in(body):
    return [ElementTree.fromstring(one) for one in re.findall(r"<math.*?</math>", body, re.DOTALL)]


def test_a_formula_is_there_twice_and_the_second_time_for_readers_without_scripts_alone():
    page = f"<p>for {INLINE % 'x^2'}, say</p>"
    body, head = without_scripts(page)
    assert re.sub(r"<noscript>.*?</noscript>", "", body) == page
    (maths,) = mathml_in(body)
    assert "".join(maths.itertext()) == "x2"
    assert re.fullmatch(r"<noscript><style>.*</style></noscript>", head)


def test_what_markup_escapes_is_read_as_tex():
    body, _ = without_scripts(INLINE % "a &lt; b")
    (maths,) = mathml_in(body)
    assert "".join(maths.itertext()).replace(" ", "") == "a<b"


def test_the_number_of_an_equation_stays_outside():
    body, head = without_scripts(DISPLAYED % r"\frac{1}{\rho + 1}")
    (maths,) = mathml_in(body)
    assert maths.get("display") == "block"
    assert "4.1" not in "".join(maths.itertext())
    assert body.endswith("</noscript></div>")
    assert ".eqno" in head


def test_a_page_without_formulas_stays_as_it_was():
    assert without_scripts("<p>words</p>") == ("<p>words</p>", "")


def test_every_formula_of_the_texts_has_a_form_in_mathml():
    prose = "\n\n".join(
        re.sub(r"`[^`\n]+`", "", cell.source)
        for chapter in choose(of_checkout(), [])
        for cell in to_notebook(chapter).cells
        if cell.cell_type == "markdown"
    )
    formulas = list(FORMULA.finditer(prose))
    assert len(formulas) > 200
    for formula in formulas:
        shape = DISPLAYED if formula["displayed"] else INLINE
        tex = (formula["displayed"] or formula["inline"]).replace("&", "&amp;").replace("<", "&lt;")
        (maths,) = mathml_in(without_scripts(shape % tex)[0])
        words = "".join(maths.itertext())
        assert words.strip()
        assert "\\" not in words, formula[0]
