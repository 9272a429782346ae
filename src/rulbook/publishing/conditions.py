"""Under which conditions a chapter was executed, kept in the metadata of its executed notebook."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from nbformat import NotebookNode

from rulbook.publishing import hardware
from rulbook.publishing.chapters import Chapter, read_executed
from rulbook.reads import Reads

_KEY = "rulbook"


@dataclass(frozen=True)
class Conditions:
    """How an execution went, and on what.

    Attributes:
        finished: day on which it ended, as ``YYYY-MM-DD``.
        seconds: how long it took.
        parameters: values of the ``parameters`` cell by name, as they were asked for.
        records: whether committed records were read.
        data: source by subset that was loaded, ``cmapss`` or ``simulated``.
        devices: types of the devices that computed.
        versions: version by name of Python and of the libraries that compute, as its kernel has
            them.
        hardware: names of the processor, and of the GPU if one computed; none where they were not
            recorded yet.
    """

    finished: str
    seconds: float
    parameters: Mapping[str, Any]
    records: bool
    data: Mapping[str, str]
    devices: tuple[str, ...]
    versions: Mapping[str, str]
    hardware: tuple[str, ...] = ()

    @classmethod
    def of_run(cls, notebook: NotebookNode, parameters: Mapping[str, Any], reads: Reads) -> Self:
        """Return the conditions of a notebook that papermill has just executed here."""
        run = notebook.metadata.papermill
        return cls(
            finished=run.end_time[:10],
            seconds=run.duration,
            parameters=parameters,
            records=reads.records,
            data=dict(reads.data),
            devices=reads.devices or ("cpu",),
            versions=reads.versions,
            hardware=hardware.names(reads.devices),
        )


def write(notebook: NotebookNode, conditions: Conditions) -> None:
    """Put ``conditions`` in the place of papermill's metadata, which name paths of this machine."""
    notebook.metadata.pop("papermill", None)
    notebook.metadata[_KEY] = asdict(conditions)


def read(chapter: Chapter) -> Conditions | None:
    """Return the conditions of the last execution, or ``None`` if the notebook holds none.

    Raises:
        RulbookError: the executed notebook cannot be read.
    """
    if not chapter.executed.is_file():
        return None
    found = read_executed(chapter).metadata.get(_KEY)
    if not found:
        return None
    as_tuples = {name: tuple(found.get(name, ())) for name in ("devices", "hardware")}
    return Conditions(**found | as_tuples)
