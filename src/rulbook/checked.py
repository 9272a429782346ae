"""Frozen sets of choices that are checked however they are made, copied or changed."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from rulbook.errors import UsageError, unknown_name


def _no_truth_value(value: object) -> object:
    if isinstance(value, bool | np.bool_):
        raise ValueError(f"give a number, not the truth value {value}")
    return value


WholeNumber = Annotated[int, BeforeValidator(_no_truth_value)]
"""An integer; Pydantic alone would take ``True`` for 1."""

RealNumber = Annotated[float, BeforeValidator(_no_truth_value)]
"""A float; Pydantic alone would take ``True`` for 1."""


class Choices(BaseModel):
    """Choices that cannot be changed in place; another set of them is checked as a new one is.

    A set within another one is checked again there, since ``model_construct`` checks nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", revalidate_instances="always")

    _noun: ClassVar[str]
    """What messages call the thing that the choices make."""

    def with_changes(self, /, **changes: object) -> Self:
        """Return the same with other choices, checked as a new one is.

        Raises:
            UsageError: there is no such choice, or it cannot have that value.

        """
        for name in changes:
            if name not in type(self).model_fields:
                raise unknown_name(f"choice of a {self._noun}", name, type(self).model_fields)
        try:
            return type(self)(**dict(self) | changes)
        except ValidationError as error:
            raise UsageError(
                f"A {self._noun} cannot be changed so: {first_fault(error)}."
            ) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:  # noqa: ARG002 - Pydantic's signature; everything in here is frozen
        """Return ``with_changes(**update)``: Pydantic's own method would check nothing."""
        return self.with_changes(**update or {})

    def copy(  # Pydantic's old name for model_copy
        self,
        *,
        include: Any = None,
        exclude: Any = None,
        update: Mapping[str, Any] | None = None,
        deep: bool = False,  # noqa: ARG002 - Pydantic's signature
    ) -> Self:
        """Return ``model_copy(update=update)``.

        Raises:
            UsageError: as ``with_changes``; or fields are to be left out, and no choice can be.

        """
        if include is not None or exclude is not None:
            raise UsageError(f"A {self._noun} is copied whole, without include or exclude.")
        return self.model_copy(update=update)

    def check(self) -> None:
        """Check these choices, which ``model_construct`` may have made.

        Raises:
            UsageError: one is missing, or is not of its type or among the values it can have.

        """
        try:
            type(self).model_validate(dict(self), strict=True)
        except ValidationError as error:
            raise UsageError(f"A {self._noun} cannot be so: {first_fault(error)}.") from None


def first_fault(error: ValidationError) -> str:
    """Return what Pydantic says first, in a few words: the field and what is wrong with it."""
    fault = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    said = fault["msg"].removeprefix("Value error, ")
    is_unknown = fault["type"] == "extra_forbidden"
    what = "unknown field" if is_unknown else said[:1].lower() + said[1:]
    return f"{where}: {what}" if where else what
