"""Whether a configuration describes the data that a run is given."""

from rulbook.data.prepare import Prepared
from rulbook.errors import UsageError
from rulbook.training.config import PROTOCOL, RunConfig


def check_computable(config: RunConfig) -> None:
    """Check that this package computes the run as its configuration says, and reads its record.

    Raises:
        UsageError: it is of another protocol, or has a choice that it cannot have, which
            ``model_construct`` lets pass.

    """
    config.check()
    if config.protocol != PROTOCOL:
        raise UsageError(
            f"The run is configured for protocol {config.protocol}, and this package computes "
            f"protocol {PROTOCOL}: leave the protocol as it is."
        )


def check_describes(config: RunConfig, prepared: Prepared) -> None:
    """Check that the record of this run on these data would say the truth.

    Raises:
        UsageError: subset, digest or recipe of ``config`` is not that of ``prepared``, or this
            package cannot compute the run.

    """
    check_computable(config)
    for name, described, given in (
        ("subset", config.subset, prepared.subset),
        ("data_digest", config.data_digest, prepared.digest),
        ("recipe", config.recipe, prepared.recipe),
    ):
        if described != given:
            raise UsageError(
                f"The run is configured for the {name} {described}, but the prepared data have "
                f"{given}: prepare the data that the configuration describes, or change it with "
                f"config.with_changes({name}=...)."
            )
