"""How notebooks and texts stand to each other, looked at again only where one of them changed."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rulbook import paths
from rulbook.publishing.layout import Layout
from rulbook.publishing.stamps import folder_digest
from rulbook.side_files import read_text


@dataclass(frozen=True)
class Pairs:
    """How notebooks and texts stand to each other, by name of chapter.

    Attributes:
        behind: the text was changed, the notebook was not: ``pair`` writes it.
        edited: the notebook has changes that the text has not, or cannot be read.
        without_text: notebooks beside those of the chapters; they are left alone.
    """

    behind: tuple[str, ...]
    edited: tuple[str, ...]
    without_text: tuple[str, ...]


def pairs_now(layout: Layout) -> Pairs:
    """Return how notebooks and texts stand, as it was noted if no file changed since.

    Raises:
        RulbookError: a text, or a file beside the texts, cannot be read.
    """
    note = layout.build / "pairs.json"
    config = layout.root / "_config.yml"
    state = [
        folder_digest(layout.notebooks),
        folder_digest(layout.book),
        read_text(config) if config.is_file() else "",
        folder_digest(Path(__file__).parent),
    ]
    try:
        noted = json.loads(note.read_text(encoding="utf-8"))
        if noted["state"] == state:
            return Pairs(*(tuple(noted["pairs"][name]) for name in Pairs.__annotations__))
    except (OSError, ValueError, LookupError, TypeError):
        pass  # no note, or none of this version
    from rulbook.publishing.pairing import compare  # takes long to import

    pairs = compare(layout)
    paths.write_atomically(note, json.dumps({"state": state, "pairs": asdict(pairs)}))
    return pairs


def what_to_do(pairs: Pairs) -> list[str]:
    """Return what can be done about the notebooks out of step: a sentence or none for each."""
    behind = f"Notebooks behind their texts: {', '.join(pairs.behind)}; run `rulbook pair`."
    return [*([behind] if pairs.behind else []), *what_to_do_about_edited(pairs.edited)]


def what_to_do_about_edited(names: tuple[str, ...]) -> list[str]:
    """Return one sentence a notebook on how its changes are kept, and how they are dropped."""
    return [
        f"The notebook of {name} was edited, and its text does not have the changes: "
        f"`rulbook pair --to-text {name}` takes them into the text, "
        f"`rulbook pair --overwrite {name}` drops them."
        for name in names
    ]
