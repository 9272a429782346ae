"""What processes that start often do not import, because it takes long and they need it not."""

import json
import subprocess
import sys

import pytest

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
