"""Explorers of formulas: the scripts compute what the package computes."""

import json
import re

import numpy as np
import pytest
import torch
from playwright.sync_api import expect

from rulbook import toy
from rulbook.display import formulas
from rulbook.display.markup import asset

from .conftest import needs_node, value_in_node

NAMES = ("trajectory", "frontier", "contributions", "knobs")


def computed(name: str, expression: str) -> object:
    """Return the value of an expression over the functions of one script."""
    return value_in_node(asset(f"formulas/{name}.js"), expression)


@needs_node
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize(("rho", "rate"), [(1.0, 0.05), (30.0, 0.01), (500.0, 0.003)])
def test_the_course_is_that_of_pytorch(rho, rate, optimiser):
    ours = toy.run(rho, optimiser, 120, rate, dtype=torch.float64)["theta"]
    scripted = computed("trajectory", f"course({rho}, {rate}, '{optimiser}', 120)")
    np.testing.assert_allclose(scripted, ours, rtol=1e-9, atol=1e-12)


@needs_node
@pytest.mark.parametrize("rho", [1.0, 37.0, 1000.0])
def test_the_limit_and_the_fixed_point_are_those_of_the_toy(rho):
    scripted = computed("trajectory", f"[stabilityLimit({rho}), fixedPoint({rho})]")
    assert scripted == pytest.approx([toy.stability_limit(rho), toy.fixed_point(rho)])


@needs_node
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.5, 0.99])
def test_a_weight_selects_the_point_that_a_search_of_the_front_finds(weight):
    front = toy.convex_front()
    searched = front[toy.weighted_sum_minimisers(front, [weight])[0]]
    assert computed("frontier", f"convexPoint({weight})") == pytest.approx(searched, abs=0.02)


@needs_node
def test_at_the_balancing_weight_both_losses_contribute_the_same():
    share = computed("contributions", "rulShare(balancingWeight(250, 0.5), 250, 0.5)")
    assert share == pytest.approx(0.5)


@needs_node
def test_a_grid_over_free_weights_grows_as_a_power():
    assert computed("knobs", "trainings(4, 11)") == 11**3


@needs_node
@pytest.mark.parametrize("name", NAMES)
def test_every_script_is_a_module_that_can_render(name):
    program = formulas.script(name).replace("export default", "const shown =")
    assert value_in_node(program, "typeof shown.render") == "function"


@pytest.mark.parametrize(
    "made",
    [
        lambda: formulas.trajectory_explorer(caption="c"),
        lambda: formulas.frontier_explorer(caption="c"),
        lambda: formulas.contribution_explorer(250.0, 0.5, caption="c"),
        lambda: formulas.knobs_explorer(caption="c"),
    ],
    ids=NAMES,
)
def test_an_explorer_carries_its_script_its_settings_and_a_picture_for_paper(made):
    explorer = made()
    state = explorer.widget.get_state()
    assert "render" in state["_esm"]
    assert state["settings"]
    assert "<svg" in explorer.still
    assert explorer.caption in explorer.still


def test_measured_points_lie_between_the_extremes_of_each_loss():
    points = [
        {"weight": w, "rul_loss": r, "health_loss": h}
        for w, r, h in ((0.1, 400.0, 0.4), (0.5, 200.0, 0.5), (0.9, 300.0, 0.9))
    ]
    placed = formulas.frontier_explorer(points=points, caption="c").widget.data["points"]
    assert [point["rul"] for point in placed] == pytest.approx([1.0, 0.0, 0.5])
    assert [point["health"] for point in placed] == pytest.approx([0.0, 0.2, 1.0])


HEARD = """() => {
  window.heard = [];
  const reading = document.querySelector(".formula-reading");
  const note = () => reading.ariaLive === "polite" && heard.push(reading.textContent);
  new MutationObserver(note).observe(reading, { childList: true });
}"""
"""Notes what a screen reader is given to say."""


@pytest.fixture
def trajectory(visit, tmp_path, request):
    """A page that has the trajectory alone, by default of 100 steps, and notes what is read out."""
    program = formulas.script("trajectory").replace("export default", "const shown =")
    steps = getattr(request, "param", 100)
    settings = json.dumps({"settings": {"rho": 30, "rate": 0.01, "steps": steps}, "data": {}})
    address = tmp_path / "page.html"
    address.write_text(
        f"<meta charset='utf-8'><main></main><script type='module'>{program}\n"
        f"const values = {settings};\n"
        "shown.render({ model: { get: (n) => values[n] }, el: document.querySelector('main') });"
        "</script>",
        encoding="utf-8",
    )
    page = visit(address.as_uri()).page
    page.evaluate(HEARD)
    return page


def test_what_is_played_is_read_out_at_the_end(trajectory):
    trajectory.get_by_role("button", name="Play").click()
    expect(trajectory.get_by_role("button", name="Pause")).to_be_visible()
    expect(trajectory.locator(".formula-reading")).to_contain_text("After 100 steps")
    expect(trajectory.get_by_role("button", name="Play")).to_be_visible()
    (said,) = trajectory.evaluate("heard")
    assert said.startswith("After 100 steps: SGD θ ")


@pytest.mark.parametrize("trajectory", [1000], indirect=True)  # does not end meanwhile
@pytest.mark.parametrize("by", ["button", "slider"])
def test_what_is_played_is_read_out_where_it_is_paused(trajectory, by):
    trajectory.get_by_role("button", name="Play").click()
    expect(trajectory.locator(".formula-reading")).to_contain_text(
        re.compile(r"After \d{2,3} steps")
    )
    if by == "button":
        trajectory.get_by_role("button", name="Pause").click()
    else:
        trajectory.get_by_role("slider", name="steps").focus()
    expect(trajectory.get_by_role("button", name="Play")).to_be_visible()
    steps = trajectory.get_by_role("slider", name="steps").input_value()
    (said,) = trajectory.evaluate("heard")
    assert said.startswith(f"After {steps} steps: ")


def test_what_the_pointer_passes_is_shown_and_not_read_out(trajectory):
    panel = trajectory.get_by_role("img", name="θ by step under SGD and Adam")
    panel.hover()
    expect(trajectory.locator(".formula-reading")).to_contain_text(re.compile(r"After 4\d steps"))
    assert trajectory.evaluate("heard") == []


def test_every_step_is_read_out_by_keys(trajectory):
    slider = trajectory.get_by_role("slider", name="steps")
    slider.press("ArrowLeft")
    slider.press("Home")
    said = trajectory.evaluate("heard")
    assert [words.partition(":")[0] for words in said] == ["After 99 steps", "After 1 step"]


def test_the_map_of_rates_is_set_by_a_click_and_not_by_a_finger_that_scrolls(trajectory):
    reading = trajectory.locator(".formula-reading")
    said = reading.inner_text()
    map_of_rates = trajectory.locator(".formula-panels svg").nth(2)
    box = map_of_rates.bounding_box()
    place = {"x": 0.7 * box["width"], "y": 0.3 * box["height"]}
    map_of_rates.click(button="right", position=place)
    on_page = {"clientX": box["x"] + place["x"], "clientY": box["y"] + place["y"]}
    for kind in ("pointerdown", "pointermove", "pointercancel"):
        map_of_rates.dispatch_event(kind, {**on_page, "pointerType": "touch"})
    assert reading.inner_text() == said
    map_of_rates.click(position=place)
    expect(reading).not_to_have_text(said)
