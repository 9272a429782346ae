"""The prose of a chapter in plain Markdown, and a change of that taken back into the prose.

Plain is what JupyterLab, Colab and VS Code show: no role, no directive, no substitution. Every
stretch of a text either stands in the plain one as it is, or something stands for it; a change to
the former can be taken back, a change to the latter belongs in the text.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate

from nbformat import NotebookNode

from rulbook.errors import RulbookError
from rulbook.publishing.references import References

NO_VALUE = "…"
"""What stands for a value that no build on the real data has recorded yet."""

_BOXES = (
    *("admonition", "note", "tip", "hint", "important", "warning", "caution", "attention"),
    *("danger", "error", "seealso", "dropdown"),
)
_BLOCK = re.compile(
    r"""
    ^(?P<code>(?P<mark>`{3,}|~{3,})(?!\{)[^\n]*\n.*?^(?P=mark)[ ]*$)
    | ^(?P<fence>:{3,}|`{3,})\{(?P<name>[\w:-]+)\}[ ]*(?P<argument>[^\n]*)\n
      (?P<options>(?::[\w-]+:[^\n]*\n)*)\n*(?P<body>.*?)\n*^(?P=fence)[ ]*$
    | ^\$\$[ ]*\n(?P<maths>.*?)\n\$\$(?P<label>[ ]\((?P<equation>[\w-]+)\))?[ ]*$
    | ^(?P<silent>%[^\n]*(?:\n|\Z)|\([\w-]+\)=(?:\n|\Z))
    """,
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_INLINE = re.compile(
    r"""
    \{(?P<role>[\w:.-]+)\}`(?P<content>[^`]+)`
    | (?P<asis>(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)|\$\$.+?\$\$|(?<!\\)\$[^$]+?(?<!\\)\$)
    | \[(?P<kind>Table|Figure)\]\(\#(?P<anchor>[\w-]+)\)
    | \[(?P<words>[^\]\n]+)\]\((?P<page>[\w-]+)\.md\)
    | (?P<substitution>\{\{.*?\}\})
    """,
    re.DOTALL | re.VERBOSE,
)
_SOLUTION_EDGE = re.compile(
    r"^(?P<fence>:{3,})\{solution-(?P<edge>start|end)\}.*?^(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_TITLED = re.compile(r"(?P<words>[^<]*)<(?P<target>[^<>]+)>", re.DOTALL)
HEADING = re.compile(r"^\#{1,6} (.+)$", re.MULTILINE)
"""A heading of Markdown, and its words."""

_NEW_SENTENCE = re.compile(r"(?:\A|\n\n|[.!?:]\s)\Z")
_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A stretch of a text, and what stands for it in plain Markdown."""

    text: str
    plain: str

    @property
    def is_kept(self) -> bool:
        """Whether the text stands in the plain one as it is."""
        return self.text == self.plain


class ProseChangeError(RulbookError):
    """A change of plain Markdown touches what stands for something else in the text."""


def plain_cells(notebook: NotebookNode, chapter: str, references: References) -> list[list[Piece]]:
    """Return the pieces of every Markdown cell of a chapter, in order.

    Args:
        notebook: the chapter as its text has it.
        chapter: its name.
        references: what the texts refer to.

    Raises:
        RulbookError: a role, directive or reference has no plain form.
    """
    return list(_Chapter(notebook, chapter, references).cells())


def solution_cells(notebook: NotebookNode) -> set[int]:
    """Return the positions of the code cells that belong to solutions."""
    within, inside = set(), False
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for edge in re.findall(r"^:{3,}\{solution-(start|end)\}", cell.source, re.MULTILINE):
                inside = edge == "start"
        elif inside:
            within.add(position)
    return within


def without_solutions(notebook: NotebookNode) -> None:
    """Take the solutions out of the notebook of a chapter as its text has it.

    What stands before a solution in its cell stays, and so does what follows.
    """
    inside, kept = False, []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source, inside = _unsolved(cell.source, inside=inside)
            if cell.source:
                kept.append(cell)
        elif not inside:
            kept.append(cell)
    notebook.cells = kept


def _unsolved(source: str, *, inside: bool) -> tuple[str, bool]:
    """Return prose without what belongs to solutions, and whether its end is within one."""
    kept, position = [], 0
    for edge in _SOLUTION_EDGE.finditer(source):
        if not inside:
            kept.append(source[position : edge.start()])
        inside, position = edge["edge"] == "start", edge.end()
    if not inside:
        kept.append(source[position:])
    return "".join(kept).strip("\n"), inside


def plain(pieces: Sequence[Piece]) -> str:
    """Return the plain Markdown that pieces make."""
    return "".join(piece.plain for piece in pieces)


def take_back(pieces: Sequence[Piece], changed: str) -> str:
    """Return the text of which ``changed`` would be the plain Markdown.

    Raises:
        ProseChangeError: the change touches what stands for a role or a directive.
    """
    starts = list(accumulate((len(piece.plain) for piece in pieces), initial=0))
    in_text = list(accumulate((len(piece.text) for piece in pieces), initial=0))
    old, text = plain(pieces), "".join(piece.text for piece in pieces)

    def place(position: int, *, ends: bool) -> int:
        """Return where a position of the plain text is in the text."""
        for index, piece in enumerate(pieces):
            first, last = starts[index], starts[index + 1]
            inside = first < position <= last if ends else first <= position < last
            if piece.is_kept and inside:
                return in_text[index] + position - first
        return in_text[bisect_right(starts, position) - 1]

    for first, last, words in reversed(list(_changes(old, changed))):
        for index, piece in enumerate(pieces):
            before, behind = starts[index], starts[index + 1]
            touched = (first < behind and before < last) or first < before == behind < last
            only_a_mark = not piece.text and first <= before and behind <= last
            if touched and not piece.is_kept and not only_a_mark:
                line = old[old.rfind("\n", 0, before) + 1 :].split("\n", 1)[0]
                raise ProseChangeError(
                    f"“{line.strip()}” was changed where the text has "
                    f"`{' '.join(piece.text.split()) or 'a box'}`"
                )
        begin = place(first, ends=first == last)
        text = text[:begin] + words + text[place(last, ends=True) if last > first else begin :]
    return text


def _changes(old: str, new: str) -> Iterator[tuple[int, int, str]]:
    """Yield what was changed: the range of characters of ``old``, and what came in its place."""
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    edges = list(accumulate(map(len, before), initial=0))
    for kind, i, j, k, m in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            yield edges[i], edges[j], "".join(after[k:m])


class _Chapter:
    """A chapter while its cells are read one after the other."""

    def __init__(self, notebook: NotebookNode, name: str, references: References) -> None:
        self._cells = notebook.cells
        self._name = name
        self._references = references
        self._values = references.values.get(name, {})
        self._heading = ""
        self._solution = ""
        self._seen: set[str] = set()
        self._shown_under: dict[str, str] = {}
        heading = ""
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                heading = (HEADING.findall(cell.source) or [heading])[-1]
            elif "label" in cell.metadata:
                self._shown_under[cell.metadata["label"]] = heading

    def cells(self) -> Iterator[list[Piece]]:
        """Yield the pieces of each Markdown cell."""
        for cell in self._cells:
            if cell.cell_type == "markdown":
                yield self._cell(cell.source)
            elif "label" in cell.metadata:
                self._seen.add(cell.metadata["label"])

    def _cell(self, source: str) -> list[Piece]:
        ends_first = source.startswith(":::{solution-end}")
        pieces = []
        if self._solution and not ends_first:
            pieces.append(Piece("", _opened(f"{self._solution}, continued") + "\n\n"))
        pieces += self._blocks(source)
        pieces = _trimmed(_trimmed(pieces, at_start=True), at_start=False)
        if self._solution:
            pieces.append(Piece("", "\n\n</details>"))
        return pieces

    def _blocks(self, source: str) -> list[Piece]:
        pieces: list[Piece] = []
        position = 0
        for block in _BLOCK.finditer(source):
            pieces += self._inline(source[position : block.start()])
            position = block.end()
            if block["code"]:
                pieces.append(_kept(block[0]))
            elif block["fence"]:
                pieces += self._box(block)
            elif block["silent"]:
                pieces.append(Piece(block[0], ""))
            else:
                pieces += self._maths(block)
        return [*pieces, *self._inline(source[position:])]

    def _maths(self, block: re.Match[str]) -> Iterator[Piece]:
        if not block["equation"]:
            yield _kept(block[0])
            return
        number = self._number(block["equation"])
        end = block.end("maths")
        yield _kept(block.string[block.start() : end])
        yield Piece(block.string[end : block.end()], f"\n\\tag{{{number}}}\n$$")

    def _box(self, block: re.Match[str]) -> list[Piece]:
        name, argument = block["name"], block["argument"].strip()
        options = dict(re.findall(r"^:([\w-]+):[ ]*(.*)$", block["options"], re.MULTILINE))
        opening = block.string[block.start() : block.start("body")]
        closing = block.string[block.end("body") : block.end()]
        if name == "solution-start":
            self._solution = f"Solution to Exercise {self._number(argument)}"
            return [Piece(block[0], _opened(self._solution))]
        if name == "solution-end":
            self._solution = ""
            closes = "" if block.start() == 0 else "</details>"
            return [Piece(block[0], closes)]
        if name == "exercise":
            title = f"### Exercise {self._number(options.get('label', ''))}\n\n"
            return [Piece(opening, title), *self._blocks(block["body"]), Piece(closing, "")]
        if name not in _BOXES:
            raise self._unknown(f"directive {{{name}}}", ", ".join(("exercise", *_BOXES)))
        title = argument or name.capitalize()
        body = self._blocks(block["body"])
        if name == "dropdown" or "dropdown" in options.get("class", "").split():
            return [
                Piece(opening, f"{_opened(title)}\n\n"),
                *body,
                Piece(closing, "\n\n</details>"),
            ]
        title_words = plain(self._inline(title))
        return [Piece(opening, f"> **{title_words}**\n>\n> "), *_quoted(body), Piece(closing, "")]

    def _inline(self, prose: str) -> list[Piece]:
        pieces, position = [], 0
        for found in _INLINE.finditer(prose):
            before = prose[: found.start()]
            self._heading = (HEADING.findall(before) or [self._heading])[-1]
            pieces.append(_kept(before[position:]))
            pieces.append(Piece(found[0], self._plain(found, before)))
            position = found.end()
        self._heading = (HEADING.findall(prose) or [self._heading])[-1]
        return [*pieces, _kept(prose[position:])]

    def _plain(self, found: re.Match[str], before: str) -> str:
        if found["asis"]:
            return found[0]
        if found["anchor"]:
            return self._shown(found["kind"], found["anchor"], before)
        if found["page"]:
            return _link(found["words"], self._page(found["page"])[1])
        if found["substitution"]:
            raise self._unknown(f"substitution {found[0]}", "none")
        return self._role(found["role"], " ".join(found["content"].split()))

    def _role(self, role: str, content: str) -> str:
        titled = _TITLED.fullmatch(content)
        words, target = (titled["words"].strip(), titled["target"]) if titled else ("", content)
        if role == "glue:text":
            return self._values.get(content, NO_VALUE)
        if role == "term":
            return words or target
        if role == "eq":
            return f"({self._number(target)})"
        if role in ("ref", "numref"):
            return words or f"Exercise {self._number(target)}"
        if role == "doc":
            title, address = self._page(target)
            return _link(words or title, address) if address else words or f"*{title}*"
        if role.partition(":")[0] == "cite":
            return self._cited(content.split(","), in_text=role == "cite:t")
        raise self._unknown(f"role {{{role}}}", "glue:text, term, eq, ref, numref, doc, cite")

    def _shown(self, kind: str, label: str, before: str) -> str:
        """Return where a table or figure is: only pages have numbers for them."""
        if label not in self._shown_under:
            raise self._unknown(f"reference [{kind}](#{label})", ", ".join(self._shown_under))
        article = "The" if _NEW_SENTENCE.search(before) else "the"
        under = self._shown_under[label]
        if under != self._heading:
            return f"{article} {kind.lower()} under “{under}”"
        return f"{article} {kind.lower()} {'above' if label in self._seen else 'below'}"

    def _cited(self, keys: Sequence[str], *, in_text: bool) -> str:
        papers = self._references.papers
        for key in keys:
            if key.strip() not in papers:
                raise self._unknown(f"citation '{key.strip()}'", "those of references.bib")
        listed = "; ".join(_link(*papers[key.strip()]) for key in keys)
        return listed if in_text else f"({listed})"

    def _number(self, label: str) -> str:
        if label not in self._references.numbers:
            raise self._unknown(f"label '{label}'", "those of exercises and equations")
        return self._references.numbers[label]

    def _page(self, name: str) -> tuple[str, str]:
        if name not in self._references.pages:
            raise self._unknown(f"page '{name}'", "those of the folder with the texts")
        return self._references.pages[name]

    def _unknown(self, what: str, known: str) -> RulbookError:
        return RulbookError(
            f"The {what} in the text of {self._name} has no plain form for its notebook: use one "
            f"that has ({known}), or teach `rulbook.publishing.plain_markdown` this one."
        )


def _kept(text: str) -> Piece:
    return Piece(text, text)


def _trimmed(pieces: Sequence[Piece], *, at_start: bool) -> list[Piece]:
    """Return pieces whose plain Markdown begins, or ends, without an empty line."""
    rest = list(pieces)
    silent: list[Piece] = []
    while rest:
        piece = rest.pop(0 if at_start else -1)
        words = piece.plain.lstrip("\n") if at_start else piece.plain.rstrip("\n")
        if not words:
            silent.append(Piece(piece.text, ""))
            continue
        cut = len(piece.plain) - len(words)
        parts = [piece]
        if piece.is_kept and cut:
            parts = (
                [Piece(piece.text[:cut], ""), _kept(words)]
                if at_start
                else [_kept(words), Piece(piece.text[-cut:], "")]
            )
        return [*silent, *parts, *rest] if at_start else [*rest, *parts, *reversed(silent)]
    return silent if at_start else silent[::-1]


def _quoted(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Yield pieces with the mark of a block quote after the end of every line."""
    for piece in pieces:
        if not piece.is_kept:
            yield Piece(piece.text, piece.plain.replace("\n", "\n> "))
            continue
        for line in piece.text.splitlines(keepends=True):
            yield _kept(line)
            if line.endswith("\n"):
                yield Piece("", "> ")


def _opened(title: str) -> str:
    return f"<details>\n<summary><b>{title}</b></summary>"


def _link(words: str, address: str) -> str:
    return f"[{words}]({address})" if address else words
