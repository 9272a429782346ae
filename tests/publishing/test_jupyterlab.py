"""A notebook of the project in JupyterLab, in a real browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from rulbook.publishing.layout import of_checkout

pytestmark = [pytest.mark.slow, pytest.mark.browser]
NAME = "04-what-it-costs"
SECONDS = 120


@pytest.fixture
def lab(tmp_path):
    """The address of a JupyterLab with one notebook in its folder, and nothing of the user's."""
    shutil.copy2(of_checkout().notebooks / f"{NAME}.ipynb", tmp_path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path / "home"
    variables = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "HOME")
    server = subprocess.Popen(
        [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            *(f"--port={port}", f"--notebook-dir={tmp_path}", "--IdentityProvider.token="),
            "--LabApp.news_url=",
        ],
        env=os.environ | dict.fromkeys(variables, str(home)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(SECONDS):
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait(30)


def test_a_notebook_opens_with_plain_prose_and_folded_cells(lab, browser):
    page = browser.new_page(viewport={"width": 1280, "height": 20_000})
    complaints = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{lab}/lab/tree/{NAME}.ipynb")
    page.get_by_role("heading", name="What the imbalance costs").wait_for(timeout=1000 * SECONDS)
    page.get_by_role("heading", name="Exercise 4.1").wait_for(timeout=1000 * SECONDS)
    prose = page.locator(".jp-RenderedMarkdown")
    shown = "\n".join(prose.all_inner_texts())
    assert len(shown) > 10_000
    assert not re.search(r"\{[\w:]+\}`|:::|\{\{", shown)
    assert page.locator(".jp-RenderedMarkdown mjx-merror").count() == 0
    assert page.locator(".jp-CodeCell .jp-Placeholder").count() > 10
    solution = page.locator("details", has_text="Solution to Exercise 4.1")
    assert solution.get_attribute("open") is None
    solution.locator("summary").click()
    assert solution.get_by_text("one step is enough").is_visible()
    assert complaints == []
    page.close()
