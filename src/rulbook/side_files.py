"""Files that are edited by hand, read so that a fault is one sentence with file and place."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from rulbook.errors import RulbookError, one_line


def read_text(file: Path) -> str:
    """Return the text of a file.

    Raises:
        RulbookError: it cannot be read, or is not UTF-8.

    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as fault:
        raise RulbookError(f"'{file}' cannot be read: {fault.strerror}.") from fault
    except UnicodeDecodeError as fault:
        raise RulbookError(
            f"'{file}' is not UTF-8 at byte {fault.start}: save it as UTF-8."
        ) from fault


def read_yaml(file: Path) -> Any:
    """Return what a file of YAML holds.

    Raises:
        RulbookError: it cannot be read, is not UTF-8, or not YAML as ``_StrictLoader`` takes it.

    """
    text = read_text(file)
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as fault:
        raise RulbookError(f"'{file}' is not valid YAML{_said(fault)}.") from fault


def _said(fault: yaml.YAMLError) -> str:
    """Return where a fault of YAML is, if it has a place, and what it is."""
    if not isinstance(fault, yaml.MarkedYAMLError) or fault.problem_mark is None:
        return f": {one_line(fault)}"
    mark = fault.problem_mark
    return f" at line {mark.line + 1}, column {mark.column + 1}: {fault.problem}"


class _StrictLoader(yaml.CSafeLoader):
    """Reads YAML and refuses what PyYAML lets pass or ends in an error of Python's.

    That is a key that is given twice, and a value that is not of its form or tag, as
    ``2001-99-99``, ``0x_`` and ``!!int ""`` are not.
    """

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (AttributeError, LookupError, ValueError) as error:
            raise yaml.MarkedYAMLError(
                problem="the value is not of its form or tag; put it in quotes",
                problem_mark=node.start_mark,
            ) from error

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key, _ in node.value:
            # A merge of merges doubles with every line.
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(
                    problem="'<<' is not taken here; write the fields out",
                    problem_mark=key.start_mark,
                )
            field = self.construct_object(key, deep=True)
            if not isinstance(field, Hashable):
                continue  # refused below
            if field in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"the field '{field}' is given twice", problem_mark=key.start_mark
                )
            seen.add(field)
        return super().construct_mapping(node, deep)
