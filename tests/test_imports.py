"""What processes that start often do not import, because it takes long and they need it not."""

import json
import pkgutil
import re
import subprocess
import sys

import pytest

from rulbook.paths import checkout

ORDER = """
import json, sys
import rulbook.data, rulbook.publishing.downloads, papermill, jupyter_book.cli.main
made_pages = sorted({name.split(".")[0] for name in sys.modules})
import rulbook.training.workers
print(json.dumps([made_pages, sorted({name.split(".")[0] for name in sys.modules})]))
"""


@pytest.mark.slow
def test_builders_of_pages_and_workers_of_sweeps_start_without_what_they_do_not_use():
    ran = subprocess.run([sys.executable, "-c", ORDER], capture_output=True, text=True, check=True)
    building, working = (set(names) for names in json.loads(ran.stdout))
    assert {"pandas", "jsonschema", "jupyter_book"} <= building
    assert not building & {"torch", "sklearn", "scipy", "matplotlib", "lark"}
    assert "torch" in working
    assert not working & {"sklearn", "scipy", "matplotlib", "optuna"}


def test_where_the_changelog_says_that_something_moved_it_is():
    text = (checkout() / "CHANGELOG.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| [^|]+ \| ([^|]+) \|$", text, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(rulbook[.\w]+)`", row)]
    assert len(names) > 50
    for name in names:
        assert pkgutil.resolve_name(name) is not None
