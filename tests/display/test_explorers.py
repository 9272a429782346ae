"""Explorers: every frame where its controls say it is, with nothing but links between them."""

import itertools
import json
import re
from html import unescape

import pytest
from ipywidgets import embed
from playwright.sync_api import expect

from rulbook.display import plots
from rulbook.display.explorers import Slider, Toggle, explorer
from rulbook.errors import RulbookError, UsageError


def draw(rho, opt_name="sgd", lr=0.1):
    figure, axes = plots.panels(steady=True)
    axes.plot([0, rho])
    return figure, f"rho={rho} opt={opt_name} lr={lr} <&>"


CONTROLS = [
    Slider("rho", "ρ", (1, 10, 100), default=10),
    Toggle("opt_name", "optimiser", ("sgd", "adam"), shown=str.upper),
    Slider("lr", "learning rate", (0.1, 0.2), default=0.2),
]


@pytest.fixture(scope="module")
def found():
    return explorer(draw, CONTROLS, name="04-t", caption="Try <this>.")


@pytest.fixture(scope="module")
def parts(found):
    controls, stack, caption = found.widget.children
    return controls.children, stack, caption


def frame_at(stack, indices):
    for index in indices:
        stack = stack.children[index]
    return stack.value


def sentence_of(html):
    return re.search(r'<p class="rulbook-explorer-reading"[^>]*><span>(.*?)</span>', html)[1]


def test_every_combination_of_values_leads_to_its_own_frame(parts):
    _, stack, _ = parts
    for indices in itertools.product(range(3), range(2), range(2)):
        rho, opt, lr = (c.values[i] for c, i in zip(CONTROLS, indices, strict=True))
        html = frame_at(stack, indices)
        assert sentence_of(html) == f"rho={rho} opt={opt} lr={lr} &lt;&amp;&gt;"
        assert f'aria-label="rho={rho} opt={opt} lr={lr}' in html
        labels = json.loads(unescape(re.search(r'data-values="(.*?)"', html)[1]))
        assert labels == {"ρ": str(rho), "optimiser": opt.upper(), "learning rate": str(lr)}


def test_every_stack_is_linked_to_the_control_of_its_level_and_nothing_else_is(found, parts):
    controls, stack, _ = parts
    levels = [[stack], list(stack.children), [c for s in stack.children for c in s.children]]
    wanted = {
        ((control.model_id, "index"), (one.model_id, "selected_index"))
        for control, level in zip(controls, levels, strict=True)
        for one in level
    }
    state = embed.dependency_state([found.widget])
    links = {
        tuple((end[0].removeprefix("IPY_MODEL_"), end[1]) for end in (s["source"], s["target"]))
        for s in (entry["state"] for entry in state.values())
        if "source" in s and "target" in s
    }
    assert links == wanted


def test_it_starts_at_the_defaults_everywhere(found, parts):
    controls, stack, _ = parts
    assert [control.index for control in controls] == [1, 0, 1]
    assert {s.selected_index for s in stack.children} == {0}
    wanted = "rho=10 opt=sgd lr=0.2 &lt;&amp;&gt;"
    assert sentence_of(frame_at(stack, (1, 0, 1))) == wanted
    assert sentence_of(found.default_frame) == wanted
    assert "<b>ρ</b> <span>10</span>" in found.default_frame
    assert '<span class="chosen">SGD</span><span class="">ADAM</span>' in found.default_frame


def test_no_identifier_occurs_twice_on_the_page(found, parts):
    _, stack, _ = parts
    frames = [
        frame_at(stack, indices) for indices in itertools.product(range(3), range(2), range(2))
    ]
    ids = re.findall(r' id="([^"]+)"', "".join([*frames, found.default_frame]))
    assert len(ids) == len(set(ids))
    references = re.findall(r"url\(#([^)]+)\)", found.default_frame)
    assert references
    assert set(references) <= set(re.findall(r' id="([^"]+)"', found.default_frame))


def test_frames_of_figures_of_other_heights_are_as_high_as_the_highest():
    def of_height(rows):
        return plots.panels(height=rows)[0], f"{rows} rows"

    found = explorer(of_height, [Slider("rows", "rows", (2, 3, 1))], name="04-h", caption="")
    _, stack, _ = found.widget.children
    html = "".join([*(frame.value for frame in stack.children), found.default_frame])
    assert re.findall(r'viewBox="(.*?)"', html) == ["0 0 360 216"] * 4


def test_caption_and_class_are_there(found, parts):
    _, _, caption = parts
    assert "Try &lt;this&gt;." in caption.value
    assert "Try &lt;this&gt;." in found.default_frame
    assert "rulbook-explorer" in found.widget._dom_classes


def test_in_a_notebook_the_default_frame_comes_before_the_widget(found, monkeypatch):
    shown = []
    monkeypatch.setattr("rulbook.display.explorers.display", shown.append)
    monkeypatch.setattr("rulbook.display.explorers.publish", lambda data, _: shown.append(data))
    found._ipython_display_()
    assert shown == [
        {"text/html": found.default_frame, "text/plain": "[explorer: Try <this>.]"},
        found.widget,
    ]


def test_a_default_that_is_no_value_is_refused():
    with pytest.raises(UsageError, match=r"value of rho '7'.*1, 10"):
        Slider("rho", "ρ", (1, 10), default=7)


@pytest.mark.parametrize("controls", [[], [Slider("rho", "ρ", (1, 2))] * 2])
def test_controls_must_each_set_an_argument_of_their_own(controls):
    with pytest.raises(RulbookError, match="04-t needs one control for each argument"):
        explorer(draw, controls, name="04-t", caption="")


@pytest.mark.slow
def test_in_a_page_without_a_kernel_keys_and_pointer_move_it(visit, tmp_path):
    from rulbook.publishing import web_assets
    from rulbook.publishing.layout import of_checkout

    found = explorer(draw, CONTROLS, name="04-t", caption="Try this.")
    data = embed.embed_data([found.widget], state=embed.dependency_state([found.widget]))
    state, view = json.dumps(data["manager_state"]), json.dumps(data["view_specs"][0])
    scripts = web_assets.provide(of_checkout().build / "web-assets")
    (tmp_path / "page.html").write_text(
        "<!DOCTYPE html><html lang='en'><title>t</title><meta charset='utf-8'><body>"
        f"<script src='{(scripts / web_assets.REQUIRE).as_uri()}'></script>"
        f"<script src='{(scripts / web_assets.WIDGETS).as_uri()}'></script>"
        f"<script type='application/vnd.jupyter.widget-state+json'>{state}</script>"
        f"<div class='cell_output'><div>{found.default_frame}</div><div>"
        f"<script type='application/vnd.jupyter.widget-view+json'>{view}</script></div></div>",
        encoding="utf-8",
    )
    page = visit((tmp_path / "page.html").as_uri()).page
    reading = page.locator(".rulbook-explorer .rulbook-explorer-reading:visible")
    expect(reading).to_have_text("rho=10 opt=sgd lr=0.2 <&>", timeout=20_000)
    assert page.locator(".rulbook-explorer-static").is_hidden()

    slider = page.get_by_role("slider", name="ρ")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(reading).to_have_text("rho=100 opt=sgd lr=0.2 <&>")
    expect(slider).to_have_attribute("aria-valuetext", "100")
    button = page.get_by_role("group", name="optimiser").get_by_role("button", name="ADAM")
    button.click()
    expect(reading).to_have_text("rho=100 opt=adam lr=0.2 <&>")
    expect(button).to_have_attribute("aria-pressed", "true")
    page.get_by_role("slider", name="learning rate").press("Home")
    expect(reading).to_have_text("rho=100 opt=adam lr=0.1 <&>")

    page.emulate_media(media="print")
    assert page.locator(".rulbook-explorer-static").is_visible()
    assert page.locator(".rulbook-explorer").is_hidden()
