"""Store numbers of a notebook under a name, for the prose to quote with a ``{glue:text}`` role.

The record is the one that ``myst_nb.glue`` writes. It is written here because a notebook must also
run where MyST-NB is not installed, and because that function stores a NumPy scalar as
text that the role then fails to format.
"""

from collections.abc import Mapping

from IPython.display import display

_HIDDEN = "application/papermill.record/"


TIMING = "timing"
"""Key of the metadata of a value that another run of the same code has otherwise."""


def glue(name: str, value: object, *, is_timing: bool = False) -> None:
    """Store a number or a text under ``name`` without showing it.

    Write ``{glue:text}`name:.2f` `` in the prose for a number and ``{glue:text}`name` `` for a
    text. A truth value is stored as ``True`` or ``False``.

    Args:
        name: unique on the page.
        value: number, NumPy scalar, 0-dim tensor, truth value or text.
        is_timing: whether it was measured on the clock, so that another run has it otherwise.

    """
    # A NumPy scalar or a tensor that is an integer or a truth value stays one.
    own = value.item() if hasattr(value, "item") else value
    plain = own if isinstance(own, str | bool | int) else float(own)  # type: ignore[arg-type]
    metadata: dict[str, object] = {"scrapbook": {"name": name, "mime_prefix": _HIDDEN}}
    if is_timing:
        metadata[TIMING] = True
    publish({f"{_HIDDEN}text/plain": repr(plain)}, metadata)


def glue_all(chapter: str, values: Mapping[str, object], *, are_timings: bool = False) -> None:
    """Store what a chapter quotes, each value as ``glue`` does, under ``<chapter>-<name>``.

    Args:
        chapter: beginning of the names, ``c04`` in chapter 04.
        values: by the rest of their names.
        are_timings: as for ``glue``.

    """
    for name, value in values.items():
        glue(f"{chapter}-{name}", value, is_timing=are_timings)


def publish(data: Mapping[str, str], metadata: Mapping[str, object]) -> None:
    """Write one output of the running cell: its content by MIME type, and its metadata."""
    display(dict(data), raw=True, metadata=dict(metadata))
