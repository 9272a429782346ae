"""From the text of a chapter to a page in a browser.

``book/NN-name.md`` is converted to a notebook (``pairing``), executed by papermill (``execute``,
which leaves out what is up to date by ``stamps``), staged with the other pages and turned into HTML
by Jupyter Book (``site``). Pages load our own copies of the few scripts they need (``web_assets``).
"""
