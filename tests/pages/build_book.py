"""Build the finished pages of this checkout: ``python build_book.py``, or ``build_book()``."""

import fcntl
import os
from pathlib import Path
from unittest import mock

from rulbook.publishing import recorded_values
from rulbook.publishing.chapters import choose
from rulbook.publishing.execute import execute
from rulbook.publishing.layout import of_checkout
from rulbook.publishing.parameters import ChapterParameters
from rulbook.publishing.site import build_site


def build_book() -> Path:
    """Execute and build what is not up to date; return the folder of the pages.

    Whoever else builds them at this moment is waited for. Another machine's last digits are no
    news: tests leave the committed values alone.
    """
    layout = of_checkout()
    layout.build.mkdir(exist_ok=True)
    with (
        (layout.build / "tests.lock").open("w") as lock,
        mock.patch.object(recorded_values, "record"),
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        execute(layout, choose(layout, []), ChapterParameters(), jobs=os.cpu_count() or 1)
        build_site(layout)
    return layout.html


if __name__ == "__main__":
    build_book()
