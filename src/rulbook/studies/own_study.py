"""Studies of one's own: a file that defines runs, and changes given on the command line."""

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Any

from rulbook import paths
from rulbook.data import cmapss
from rulbook.errors import RulbookError, UsageError, unknown_name
from rulbook.models import ARCHITECTURES
from rulbook.studies.catalogue import Study, base_config, study
from rulbook.training.config import RunConfig
from rulbook.training.own_code import OwnCode


def chosen_study(name: str | None, settings: Sequence[str]) -> tuple[Study, OwnCode | None]:
    """Return the study of that name or file with what is set, and the file if it is one.

    Without a name it is the one run of the protocol on FD001, with what is set.

    Args:
        name: the name of a study, or a Python file, whose name ends in ``.py``.
        settings: what to change; see ``with_settings``.

    Raises:
        UsageError: there is no such study or file, it defines no runs, or nothing is given.
        RulbookError: the file cannot be executed.

    """
    code = OwnCode.read(paths.expanded(name)) if name and name.endswith(".py") else None
    if code:
        chosen = study_of(code)
    elif name:
        chosen = study(name)
    elif settings:
        chosen = Study("protocol", "", lambda: iter([base_config("FD001")]))
    else:
        raise UsageError("Give a STUDY, a file of your own that defines runs, or --set.")
    return replace(chosen, configs=lambda: iter(with_settings(chosen.configs(), settings))), code


def study_of(code: OwnCode) -> Study:
    """Return the study that a file defines: its function ``runs`` yields configurations.

    The name of the study is that of the file, its question the first line of its docstring.

    Raises:
        UsageError: the file has no such function, or it yields something else.
        RulbookError: the file, or its function, cannot be executed.

    """
    module = code.load()
    runs = getattr(module, "runs", None)
    if not callable(runs) or inspect.iscoroutinefunction(runs):
        raise UsageError(f"'{code.name}' has no function `runs` that yields configurations.")

    code.on_epoch()

    asked: list[bool] = []

    def configs() -> Iterator[RunConfig]:
        try:
            given = list(runs())
            if not asked and given != list(runs()):
                raise UsageError(
                    f"`runs` of '{code.name}' yields other configurations at every call, so the "
                    "study would never end: draw its seeds from a generator with a fixed seed."
                )
            asked.append(True)
        except (RulbookError, KeyboardInterrupt):
            raise
        except BaseException as error:
            raise code.fault(error) from error
        if not given:
            raise UsageError(f"`runs` of '{code.name}' yields no configuration.")
        for config in given:
            if not isinstance(config, RunConfig):
                raise UsageError(
                    f"`runs` of '{code.name}' yields {config!r}, which is no RunConfig."
                )
            yield config

    question = (module.__doc__ or "").strip().partition("\n")[0]
    return Study(Path(code.name).stem, question, configs)


def with_settings(configs: Iterable[RunConfig], settings: Sequence[str]) -> list[RunConfig]:
    """Return every configuration with every combination of the values that ``settings`` give.

    Args:
        configs: the configurations to change.
        settings: ``"NAME=VALUE"`` or ``"NAME=VALUE,VALUE"``; a choice within another has a point,
            as ``"recipe.window=50"``. Values are JSON (numbers, ``true``, ``null``, ``[80,30]``) or
            words.

    Raises:
        UsageError: a setting has no ``=``, or a run cannot be changed so.

    """
    choices = [_parsed(setting) for setting in settings]
    names = [name for name, _ in choices]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"'{twice[0]}' is set twice: write {twice[0]}=VALUE,VALUE.")
    changed = []
    for config in configs:
        for values in product(*(values for _, values in choices)):
            changed.append(_with_settings(config, dict(zip(names, values, strict=True))))
    return changed


def _parsed(setting: str) -> tuple[str, list[object]]:
    name, equals, text = setting.partition("=")
    if not (name and equals and text):
        raise UsageError(f"'{setting}' is no setting: write NAME=VALUE or NAME=VALUE,VALUE.")
    try:
        return name, json.loads(f"[{text}]")
    except json.JSONDecodeError:
        return name, [_value(part) for part in text.split(",")]
    except (ValueError, RecursionError):  # more digits or brackets than Python reads
        raise UsageError(f"The value of '{name}' is too long: write a shorter one.") from None


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _with_settings(config: RunConfig, settings: Mapping[str, object]) -> RunConfig:
    """Return the run with all settings at once: one may hold only beside another."""
    changes: dict[str, Any] = {}
    parts = config.model_dump(mode="json")
    for name, value in settings.items():
        outer, point, inner = name.partition(".")
        if name == "subset":
            if value not in cmapss.SUBSETS:
                raise unknown_name("subset", str(value), cmapss.SUBSETS)
            changes |= {"subset": value, "data_digest": cmapss.digest(str(value))}
        elif not point:
            changes[name] = value
        else:
            network = str(settings.get("network", config.network))
            if parts.get("architecture", ...) is None and network in ARCHITECTURES:
                parts["architecture"] = asdict(ARCHITECTURES[network])
            if not isinstance(parts.get(outer), dict):
                raise unknown_name("choice of a run", name, RunConfig.model_fields)
            changes[outer] = parts[outer] = parts[outer] | {inner: value}
    return config.with_changes(**changes)
