"""What a reader does on the pages beside reading: search, filter, copy, switch the theme."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ..browsing import Visit, opener
from .contents import CHAPTERS

pytestmark = pytest.mark.slow


class _Prose(HTMLParser):
    """Collects the words of the paragraphs of a page, without code and without outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.in_paragraph = False
        self.words: Counter[str] = Counter()

    def handle_starttag(self, tag, attrs):
        if tag == "p":
            self.in_paragraph = not dict(attrs)
        elif tag in {"code", "span", "script"}:
            self.in_paragraph = False

    def handle_endtag(self, tag):
        if tag == "p":
            self.in_paragraph = False

    def handle_data(self, data):
        if self.in_paragraph:
            self.words.update(re.findall(r"\b[a-z]{6,}\b", data))


@cache
def words_of(page: Path) -> Counter[str]:
    prose = _Prose()
    prose.feed(page.read_text(encoding="utf-8"))
    return prose.words


@pytest.fixture
def page(browser: Browser, served: str) -> Iterator[Page]:
    """An empty page of a reader who was never here, and who lets pages use the clipboard."""
    with browser.new_context(color_scheme="light", reduced_motion="reduce") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=served)
        yield opener(context)("about:blank").page


@pytest.mark.parametrize("origin", ["served", "from disk"])
def test_search_finds_a_chapter_by_a_word_of_it(
    page: Page, site: Path, served: str, origin: str, chapter: str
) -> None:
    others = [words_of(path) for path in site.glob("*.html") if path.stem != chapter]
    of_this = words_of(site / f"{chapter}.html")
    word = min((word for word in of_this if not any(word in other for other in others)), key=len)
    home = served if origin == "served" else site.as_uri()
    page.goto(f"{home}/search.html?q={word}")
    expect(page.locator(f"#search-results a[href*='{chapter}.html']").first).to_be_visible()


def test_search_starts_from_every_page(page: Page, served: str) -> None:
    page.goto(f"{served}/index.html")
    page.keyboard.press("Control+k")
    field = page.locator("input[type=search]:visible")
    expect(field).to_be_focused()
    field.fill("imbalance")
    field.press("Enter")
    page.wait_for_url(re.compile(r"/search\.html\?q=imbalance"))
    expect(page.locator("#search-results li a").first).to_be_visible()


def test_the_reports_filters_leave_exactly_what_they_name(page: Page, served: str) -> None:
    page.goto(f"{served}/report.html")
    rows = page.locator("#claims-report tbody tr").evaluate_all(
        "rows => rows.map(({ dataset, id }) => [dataset.section, dataset.verdict, id])"
    )
    assert rows
    for position, name in enumerate(("section", "verdict")):
        select = page.locator(f"#claims-filter select[name={name}]")
        kinds = sorted({row[position] for row in rows})
        assert len(kinds) > 1
        for kind in kinds:
            select.select_option(kind)
            shown = page.locator("#claims-report tbody tr:visible")
            assert shown.evaluate_all("rows => rows.map(({ id }) => id)") == [
                row[2] for row in rows if row[position] == kind
            ]
        select.select_option("")
    status = page.locator("#claims-shown")
    expect(status).to_have_text(f"{len(rows)} of {len(rows)} claims shown")


def test_the_reports_filters_work_by_keyboard_alone(page: Page, served: str) -> None:
    page.goto(f"{served}/report.html")
    section, verdict = (page.locator(f"select[name={name}]") for name in ("section", "verdict"))
    rows, shown = page.locator("#claims-report tbody tr"), page.locator("#claims-shown")
    section.focus()
    section.press("ArrowDown")
    page.keyboard.press("Tab")
    expect(verdict).to_be_focused()
    verdict.press("ArrowDown")
    chosen = [section.input_value(), verdict.input_value()]
    assert all(chosen)
    wanted = rows.evaluate_all(
        """(rows, [section, verdict]) => rows.filter(
          ({ dataset }) => dataset.section === section && dataset.verdict === verdict).length""",
        chosen,
    )
    expect(shown).to_have_text(f"{wanted} of {rows.count()} claims shown")
    expect(rows.locator("visible=true")).to_have_count(wanted)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(shown).to_have_text(f"{rows.count()} of {rows.count()} claims shown")
    assert [section.input_value(), verdict.input_value()] == ["", ""]


def test_the_report_finds_claims_by_words_as_they_are_typed(page: Page, served: str) -> None:
    page.goto(f"{served}/report.html")
    rows = page.locator("#claims-report tbody tr")
    name = (rows.nth(5).get_attribute("id") or "").removeprefix("claim-")
    page.get_by_role("searchbox", name="Find").focus()
    page.keyboard.type(name.upper())
    with_it = [text for text in rows.all_text_contents() if name in text]
    expect(rows.locator("visible=true")).to_have_text(with_it, use_inner_text=False)


def test_a_claim_and_its_deciding_code_are_few_clicks_from_the_front_page_and_back(
    page: Page, served: str
) -> None:
    clicks = 0

    def click(where: Locator) -> None:
        nonlocal clicks
        where.click()
        clicks += 1

    claim = "claim-n4.3-uncertainty-total"
    page.goto(f"{served}/index.html")
    click(page.locator(".bd-article").get_by_role("link", name="report", exact=True).first)
    click(page.get_by_role("searchbox", name="Find"))
    page.keyboard.type("1.310")
    row = page.locator(f"[id='{claim}']")
    click(row.locator("th").get_by_role("link", name=re.compile(r"^\d\d-")))
    page.wait_for_url(re.compile(rf"/0\d-[\w-]+\.html#{re.escape(claim)}$"))
    cell = page.locator(".cell").filter(has=page.locator(f"[id='{claim}']"))
    expect(cell.locator("td", has_text="1.310").first).to_be_visible()
    expect(cell.locator(".cell_input pre").first).to_contain_text("check")
    expect(cell.locator(".cell_input pre").first).to_be_visible()
    click(row.locator(f"a[href='report.html#{claim}']"))
    expect(row).to_be_in_viewport()
    click(page.locator(".navbar-brand:visible").first)
    page.wait_for_url(f"{served}/index.html")
    assert clicks <= 5


def test_copy_buttons_copy_the_code_that_they_stand_by(page: Page, served: str) -> None:
    page.goto(f"{served}/{CHAPTERS[0]}.html")
    cells = page.locator("div.highlight:has(> button.copybtn):visible")
    assert cells.count() >= 3
    for position in range(3):
        cell = cells.nth(position)
        cell.hover()
        cell.locator("button.copybtn").click()
        expect(cell.locator("button.copybtn")).to_have_class(re.compile("success"))
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.strip() == (cell.locator("pre").text_content() or "").strip()


def test_the_theme_switches_and_stays(page: Page, served: str) -> None:
    def paper() -> int:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    page.goto(f"{served}/index.html")
    assert paper() > 700
    switch = page.locator("button.theme-switch-button:visible")
    for _ in range(3):
        if page.locator("html").get_attribute("data-mode") == "dark":
            break
        switch.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert paper() < 150
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert paper() < 150


def test_the_theme_is_that_of_the_system(page: Page, served: str) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(f"{served}/index.html")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    told_late = 120_000  # ms: a page that is open hears of it with the next picture that is drawn
    expect(page.locator("html")).to_have_attribute("data-theme", "light", timeout=told_late)


FOLDED = ".rulbook-fold [id^=claim-]"

VERDICTS = ".cell:not(.rulbook-section *) .rulbook-fold:has([id^=claim-])"
"""Folds of verdicts, outside the sections that are folded as a whole."""


def folded_claim(page: Page, address: str) -> str:
    """Return the anchor of a claim that is folded on a page, in a cell whose code is hidden."""
    page.goto(address)
    cells = page.locator(".cell:has(> details.hide)").locator(FOLDED)
    assert cells.first.is_hidden()
    return cells.first.get_attribute("id") or ""


@pytest.mark.parametrize("origin", ["served", "from disk"])
def test_a_link_to_a_folded_claim_unfolds_it_and_the_code_that_decides_it(
    page: Page, site: Path, served: str, origin: str
) -> None:
    home = served if origin == "served" else site.as_uri()
    anchor = folded_claim(page, f"{home}/04-what-it-costs.html")
    page.goto(f"{home}/report.html")
    page.locator(f"[id='{anchor}'] a[href*='04-what-it-costs.html']").first.click()
    claim = page.locator(f"[id='{anchor}']")
    expect(claim).to_be_in_viewport()
    expect(page.locator(".cell", has=claim).locator("> details.hide .cell_input")).to_be_visible()


def test_folded_verdicts_open_by_hand_without_scripts(browser: Browser, served: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{served}/04-what-it-costs.html")
        fold = page.locator(VERDICTS).first
        expect(fold.locator("[id^=claim-]").first).to_be_hidden()
        fold.locator("summary").click()
        expect(fold.locator("[id^=claim-]").first).to_be_visible()


def test_folded_verdicts_are_printed(page: Page, served: str) -> None:
    page.goto(f"{served}/04-what-it-costs.html")
    page.emulate_media(media="print")
    claims = page.locator(f".cell_output {FOLDED}:not(details.hide *)")
    assert claims.count() > 10
    for claim in claims.all():
        expect(claim).to_be_visible()


def test_every_fold_has_its_own_name(visit_of: Callable[[str], Visit], chapter: str) -> None:
    names = (
        visit_of(chapter)
        .page.locator(".bd-article details > summary")
        .evaluate_all("folds => folds.map((fold) => fold.ariaLabel ?? fold.textContent.trim())")
    )
    assert all(names)
    assert len(set(names)) == len(names)


def test_a_link_to_a_folded_section_or_into_it_unfolds_it(page: Page, served: str) -> None:
    address = f"{served}/04-what-it-costs.html"
    page.goto(address)
    section = page.locator("section:has(> .rulbook-section)").first
    inside = section.locator("[id^=claim-]").first
    for anchor in (section.get_attribute("id"), inside.get_attribute("id")):
        page.goto(address)
        expect(inside).to_be_hidden()
        page.goto(f"{address}#{anchor}")
        expect(section.locator("> details")).to_have_attribute("open", "")


@pytest.mark.parametrize("fragment", ["100%", "%E0%A4%A", "%25"])
def test_a_fragment_that_is_no_encoding_breaks_no_script(
    page: Page, served: str, fragment: str
) -> None:
    errors: list[object] = []
    page.on("pageerror", lambda error: errors.append(error))  # noqa: PLW0108 - Playwright marks handlers
    page.goto(f"{served}/04-what-it-costs.html#{fragment}")
    page.wait_for_load_state("load")
    page.evaluate("location.hash = '#1%'")
    page.wait_for_timeout(100)
    assert errors == []


SHOWN = "#claims-report tbody tr:visible"


@pytest.mark.parametrize("origin", ["served", "from disk"])
def test_back_from_a_claim_finds_the_report_as_it_was_left(
    page: Page, site: Path, served: str, origin: str
) -> None:
    home = served if origin == "served" else site.as_uri()
    page.goto(f"{home}/report.html")
    page.get_by_label("Find").fill("1.310")
    found = page.locator(SHOWN).evaluate_all("rows => rows.map(({ id }) => id)")
    assert found == ["claim-n4.3-uncertainty-total"]
    page.locator(f"{SHOWN} a").first.click()
    page.wait_for_url(re.compile(r"/02-combining-losses\.html#claim-"))
    page.go_back()
    page.wait_for_url(re.compile(r"/report\.html\?words=1\.310$"))
    expect(page.get_by_label("Find")).to_have_value("1.310")
    expect(page.locator(SHOWN)).to_have_count(1)
    expect(page.locator("#claims-shown")).to_have_text(re.compile("^1 of "))


def test_the_report_finds_all_words_in_any_order_and_greek_by_name(page: Page, served: str) -> None:
    def found(query: str) -> list[str]:
        page.get_by_label("Find").fill(query)
        ids: list[str] = page.locator(SHOWN).evaluate_all("rows => rows.map(({ id }) => id)")
        return ids

    page.goto(f"{served}/report.html")
    assert found("rmse fd002") == found("FD002  RMSE") != []
    assert found("lambda") == found("λ") != []
    assert set(found("λ")) <= set(found("lamb"))
    assert found("theta") == found("Θ")
    assert found("no such claim anywhere") == []
    page.goto(f"{served}/report.html?words=rmse+fd002&verdict=refuted")
    expect(page.get_by_label("Find")).to_have_value("rmse fd002")
    expect(page.locator("select[name=verdict]")).to_have_value("refuted")


def test_the_report_finds_every_claim_by_its_identifier(page: Page, served: str) -> None:
    """Those that end in the name of a Greek letter too."""
    page.goto(f"{served}/report.html")
    missed = page.evaluate(
        """() => {
          const find = document.querySelector("#claims-filter [name=words]");
          const rows = [...document.querySelectorAll("#claims-report tbody tr")];
          return rows.map(({ id }) => id).filter((id) => {
            find.value = id.replace("claim-", "");
            find.dispatchEvent(new Event("input", { bubbles: true }));
            return document.getElementById(id).hidden;
          });
        }"""
    )
    assert missed == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_reports_filter_is_on_the_first_screen_and_stays(
    page: Page, served: str, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(f"{served}/report.html")
    field = page.get_by_label("Find")
    expect(field).to_be_in_viewport()
    page.locator("#claims-report tbody tr").nth(200).scroll_into_view_if_needed()
    expect(field).to_be_in_viewport()
    target = page.locator("#claims-report tbody tr").nth(300)
    page.goto(f"{served}/report.html#{target.get_attribute('id')}")
    bottom = page.locator("#claims-filter").evaluate("box => box.getBoundingClientRect().bottom")
    assert target.evaluate("row => row.getBoundingClientRect().top") >= bottom - 1


def test_a_claim_gives_a_link_and_a_citation_to_copy(page: Page, served: str) -> None:
    page.goto(f"{served}/report.html")
    name = "n4.3-uncertainty-total"
    row = page.locator(f"[id='claim-{name}']")
    row.get_by_role("button", name=f"copy link of {name}").click()
    expect(row.get_by_text("copied")).to_be_visible()
    # What a screen reader hears: the button's own name stays what it does.
    expect(page.locator("#claims-filter [role=status]").last).to_have_text("copied")
    address = page.evaluate("navigator.clipboard.readText()")
    assert address == f"{served}/report.html#claim-{name}"
    row.get_by_role("button", name=f"copy citation of {name}").click()
    page.wait_for_function("navigator.clipboard.readText().then((text) => text.length > 100)")
    citation = page.evaluate("navigator.clipboard.readText()")
    assert citation.startswith(f"Claim {name} (new edition §4.3, ")
    assert "printed: 1.310; ours: " in citation
    assert "refuted" in citation
    assert citation.endswith(address)


@pytest.mark.parametrize("origin", ["served", "from disk"])
@pytest.mark.parametrize(
    ("figure", "claim"), [("1.310", "n4.3-uncertainty-total"), ("711", "n4.1-torch-printed-total")]
)
def test_search_finds_printed_figures(
    page: Page, site: Path, served: str, origin: str, figure: str, claim: str
) -> None:
    home = served if origin == "served" else site.as_uri()
    page.goto(f"{home}/search.html?q={figure}")
    found = page.locator("#claims-found")
    expect(found.locator(f"a[href='report.html#claim-{claim}']")).to_be_visible()
    found.get_by_role("link", name=re.compile("in the report$")).click()
    expect(page.locator(f"[id='claim-{claim}']")).to_be_visible()
    expect(page.get_by_label("Find")).to_have_value(figure)


def test_a_table_that_scrolls_fades_where_there_is_more_of_it(page: Page, served: str) -> None:
    page.set_viewport_size({"width": 390, "height": 900})
    page.goto(f"{served}/07-ablation-tables.html")
    sides = """box => ["left", "right"].filter((side) => box.matches(`.rulbook-more-${side}`))"""
    wide = page.locator(".rulbook-table.rulbook-more-right").first
    expect(wide).to_be_visible()
    box = wide.element_handle()  # which is no longer the first one when it is scrolled
    assert box.evaluate(sides) == ["right"]
    box.evaluate("box => box.scrollLeft = box.scrollWidth")
    page.wait_for_function(f"box => ({sides})(box).join() === 'left'", arg=box)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.wait_for_function(
        """() => [...document.querySelectorAll(".rulbook-scrolling")].every((box) =>
          box.scrollWidth > box.clientWidth + 1 || !box.className.includes("rulbook-more"))"""
    )
