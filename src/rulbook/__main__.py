"""``python -m rulbook``: the command line, where its program is not on the path."""

from rulbook.cli import main

if __name__ == "__main__":
    main()
