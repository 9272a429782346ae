"""The packages that the project stands on: version, licence, last release, and whether it is old.

The table is committed, so that it can be printed and tested without a network. ``make lock``
refreshes it: uv, which installs from the registry, is asked for the newest release of every package
of ``constraints.txt``, and the licence is what the installed package says of itself.
"""

import csv
import io
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from rulbook import paths
from rulbook.errors import RulbookError
from rulbook.publishing.layout import Layout

if TYPE_CHECKING:
    from packaging.pylock import Package

TABLE = "dependencies.csv"
"""Name of the committed table, in the root of the checkout."""

MAINTAINED_DAYS = 2 * 365
"""A package without a release for longer counts as unmaintained."""

NOT_STATED = "not stated"

_LONGEST_NAME = 60
"""What is longer is a sentence of a licence and not its name."""


@dataclass(frozen=True)
class Dependency:
    """One package of the locked set.

    Attributes:
        package: its name, as the registry spells it.
        version: the version that ``constraints.txt`` pins.
        licence: what the package says of its licence, or ``NOT_STATED``.
        named: whether ``pyproject.toml`` names it; else another package brings it along.
        last_release: the newest version that there was.
        released: the day on which that version was released.
        looked_up: the day on which the registry was asked.
    """

    package: str
    version: str
    licence: str
    named: bool
    last_release: str
    released: date
    looked_up: date

    @property
    def unmaintained(self) -> bool:
        """Whether its last release was more than ``MAINTAINED_DAYS`` old when it was looked up."""
        return (self.looked_up - self.released).days > MAINTAINED_DAYS

    @property
    def of_an_older_line(self) -> bool:
        """Whether the pinned version and the last release differ in their first number."""
        return self.version.split(".")[0] != self.last_release.split(".")[0]


def read(layout: Layout) -> list[Dependency]:
    """Return the committed table, in the order of names.

    Raises:
        RulbookError: there is none, or a row of it is not such a dependency.
    """
    path = layout.root / TABLE
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [_of_row(row) for row in csv.DictReader(file)]
        if not rows:
            raise ValueError("it has no row")
        return rows
    except FileNotFoundError as fault:
        raise RulbookError(
            f"There is no '{path}': the table of dependencies belongs to a checkout, where "
            "`make lock` writes it."
        ) from fault
    except (KeyError, TypeError, ValueError) as fault:
        raise RulbookError(
            f"'{path}' is no table of dependencies ({fault}): write it again with `make lock`."
        ) from fault


def shortcomings(known: Sequence[Dependency]) -> dict[str, list[Dependency]]:
    """Return which packages have no recent release, or are kept behind it, by what that is."""
    no_release = f"No release for {MAINTAINED_DAYS} days on {max(row.looked_up for row in known)}"
    unmaintained = [row for row in known if row.unmaintained]
    return {
        f"{no_release}, named by this project": [row for row in unmaintained if row.named],
        f"{no_release}, brought by other packages": [row for row in unmaintained if not row.named],
        "Kept at an older line": [row for row in known if row.of_an_older_line],
    }


def _of_row(row: Mapping[str, str]) -> Dependency:
    return Dependency(
        package=row["package"],
        version=row["version"],
        licence=row["licence"],
        named={"True": True, "False": False}[row["named"]],
        last_release=row["last_release"],
        released=date.fromisoformat(row["released"]),
        looked_up=date.fromisoformat(row["looked_up"]),
    )


def write(layout: Layout, newest: Path, looked_up: date) -> None:
    """Write the table anew.

    Args:
        layout: the checkout, whose ``constraints.txt`` says which packages there are.
        newest: a ``pylock.toml`` (PEP 751) with the newest release of each of them.
        looked_up: the day on which that was made.
    """
    rows = list(_dependencies(layout, newest, looked_up))
    content = io.StringIO()
    columns = [field.name for field in fields(Dependency)]
    table = csv.DictWriter(content, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(asdict(row) for row in rows)
    paths.write_atomically(layout.root / TABLE, content.getvalue())


def _dependencies(layout: Layout, newest: Path, looked_up: date) -> Iterator[Dependency]:
    from packaging.pylock import Pylock
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lock = Pylock.from_dict(tomllib.loads(newest.read_text(encoding="utf-8")))
    releases = {package.name: package for package in lock.packages}
    project = tomllib.loads((layout.root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    named = {
        canonicalize_name(Requirement(line).name)
        for line in [*project["dependencies"], *(line for extra in extras for line in extra)]
    }
    pins = (layout.root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    by_name = {canonicalize_name(Requirement(pin).name): Requirement(pin) for pin in pins if pin}
    for name in sorted(by_name):
        (pin,) = by_name[name].specifier
        yield Dependency(
            package=by_name[name].name,
            version=pin.version,
            licence=licence(name),
            named=name in named,
            last_release=str(releases[name].version),
            released=_released(releases[name]),
            looked_up=looked_up,
        )


def _released(package: "Package") -> date:
    files = [*(package.wheels or ()), *([package.sdist] if package.sdist else ())]
    first: datetime = min(file.upload_time for file in files if file.upload_time)
    return first.date()


def licence(package: str) -> str:
    """Return what an installed package says of its licence, or ``NOT_STATED``.

    That is the SPDX expression, else the classifiers, else the first line of the free field or of
    the licence's file, if it is a name.
    """
    try:
        installed = distribution(package)
    except PackageNotFoundError:
        return NOT_STATED
    said = installed.metadata
    if "License-Expression" in said:
        return said["License-Expression"]
    classified = [
        line.rsplit(" :: ", 1)[-1]
        for line in said.get_all("Classifier") or ()
        if line.startswith("License :: ") and line != "License :: OSI Approved"
    ]
    if classified:
        return " and ".join(classified)
    text = said["License"] if "License" in said else _text_of_licence(installed)
    name = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return name if 0 < len(name) <= _LONGEST_NAME else NOT_STATED


def _text_of_licence(installed: Distribution) -> str:
    if "License-File" not in installed.metadata:
        return ""
    return installed.read_text(f"licenses/{installed.metadata['License-File']}") or ""


if __name__ == "__main__":
    write(Layout(Path.cwd()), Path(sys.argv[1]), datetime.now(UTC).date())
