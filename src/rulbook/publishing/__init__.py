"""From the text of a chapter to a page in a browser.

``book/NN-name.md`` is converted to a notebook (``pairing``), executed by papermill (``execute``,
which leaves out what is up to date by ``stamps``), staged with the other pages and turned into HTML
by Jupyter Book (``site``). Pages load our own copies of the few scripts they need (``web_assets``).
"""

import sys

# Where rfc3987-syntax is installed, as it is with JupyterLab, jsonschema compiles all its grammars
# when it is imported: a second of every process, for a format of addresses that no notebook has.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
