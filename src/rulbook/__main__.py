"""``rulbook`` and ``python -m rulbook``: the command line, or what to install for it."""

import sys


def main() -> None:
    """Run the command line; one sentence where a package that it needs is not installed."""
    try:
        from rulbook.cli import main as command_line

        command_line()
    except ModuleNotFoundError as fault:
        missing = (fault.name or "").partition(".")[0]
        if missing in ("", "rulbook"):
            raise
        sys.exit(
            f"Error: This command needs the package '{missing}', which is not installed here: "
            "pip install 'rulbook[studies]' for trainings and records, or 'rulbook[book]' to build "
            "the pages."
        )


if __name__ == "__main__":
    main()
