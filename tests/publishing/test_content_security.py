import base64
import hashlib
import re

import pytest

from rulbook.errors import RulbookError
from rulbook.publishing import web_assets
from rulbook.publishing.content_security import ACTIONS, policy, protected

POLICY = re.compile(r'<head><meta http-equiv="Content-Security-Policy" content="([^"]*)">')


def _page(body, head=""):
    return f"<!DOCTYPE html>\n<html><head>{head}</head><body>{body}</body></html>"


def _digest(script):
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def test_a_page_runs_its_own_files_and_the_inline_scripts_that_it_was_built_with():
    script = "\n  let ready = true;\n"
    page = protected(_page(f"<script>{script}</script><script src='a.js'></script>"), "a.html")
    directives = POLICY.search(page)[1].split("; ")
    assert f"script-src 'self' 'sha256-{_digest(script)}'" in directives
    assert "default-src 'self'" in directives
    assert not any("http" in part or "*" in part for part in directives)


def test_data_in_script_elements_needs_no_permission():
    assert "sha256" not in policy(_page('<script type="application/json">{}</script>'))


def test_only_pages_with_widgets_may_evaluate_and_import_from_memory():
    plain = policy(_page("<p>words</p>"))
    widgets = policy(_page(f'<script src="{web_assets.WIDGETS}"></script>'))
    for permission in ("'unsafe-eval'", "blob:"):
        assert permission not in plain
        assert permission in widgets


def test_handlers_of_the_theme_become_actions_of_our_script():
    page = protected(_page('<button onclick="window.print()" title="Print">'), "a.html")
    assert "onclick" not in page
    assert 'data-action="window.print()"' in page
    assert f'<script defer src="{ACTIONS}"></script>' in page
    assert ACTIONS not in protected(_page("<p>nothing to press</p>"), "a.html")


def test_a_handler_that_nobody_moved_is_named():
    with pytest.raises(RulbookError, match=r"a\.html has a handler 'onmouseover'"):
        protected(_page('<img src="a.png" onmouseover="steal()">'), "a.html")


@pytest.mark.slow
def test_every_page_has_a_policy_first_in_its_head(built):
    pages = list(built.html.glob("*.html"))
    assert pages
    assert [page.name for page in pages if not POLICY.search(page.read_text())] == []


@pytest.mark.slow
def test_what_the_policy_forbids_does_not_run_and_the_buttons_still_do(built, visit):
    page = visit((built.html / "01-tiny.html").as_uri()).page
    page.evaluate(
        """() => {
          window.done = [];
          window.toggleFullScreen = () => window.done.push("full screen");
          const script = document.createElement("script");
          script.textContent = "window.done.push('smuggled')";
          document.body.append(script);
          document.body.insertAdjacentHTML("beforeend", "<img src='x' onerror=\\"done.push(1)\\">");
          document.querySelector("[data-action='toggleFullScreen()']").click();
        }"""
    )
    page.wait_for_timeout(500)
    assert page.evaluate("window.done") == ["full screen"]
