"""Where the parts of this companion are, before and after it is built."""

from dataclasses import dataclass
from pathlib import Path

from rulbook import paths
from rulbook.errors import UsageError


@dataclass(frozen=True)
class Layout:
    """The folders of one checkout.

    Attributes:
        root: the root of the checkout.
    """

    root: Path

    @property
    def book(self) -> Path:
        """The text of the chapters and of the other pages."""
        return self.root / "book"

    @property
    def notebooks(self) -> Path:
        """The notebook of every chapter, without outputs."""
        return self.root / "notebooks"

    @property
    def figures(self) -> Path:
        """The figures that the chapters saved."""
        return self.root / "figures"

    @property
    def build(self) -> Path:
        """Everything that is made and can be made again."""
        return self.root / "_build"

    @property
    def executed(self) -> Path:
        """The notebook of every chapter with its outputs, and the stamp of what it was made of."""
        return self.build / "executed"

    @property
    def unfinished(self) -> Path:
        """Notebooks while they are executed, and as far as they came if they failed."""
        return self.build / "unfinished"

    @property
    def staged(self) -> Path:
        """What Jupyter Book reads: executed notebooks, pages, configuration."""
        return self.build / "staged"

    @property
    def html(self) -> Path:
        """The finished pages."""
        return self.build / "html"

    @property
    def unfinished_html(self) -> Path:
        """The pages while they are built; what a build left that was killed goes with the next."""
        return self.build / "unfinished-html"

    @property
    def slides(self) -> Path:
        """The slides of every chapter, with all that they load."""
        return self.build / "slides"

    @property
    def printed(self) -> Path:
        """The print edition, a PDF of every chapter."""
        return self.build / "print"

    @property
    def faults(self) -> Path:
        """Where ledger and chapters disagree, as of the finished pages."""
        return self.build / "claims.faults"

    @property
    def index(self) -> Path:
        """The first page."""
        return self.html / "index.html"


def of_checkout() -> Layout:
    """Return the layout of the checkout that this package runs from.

    Raises:
        UsageError: the package was installed from a wheel, which carries no chapters, or the
            working folder lies in another checkout.
    """
    paths.refuse_other_checkout()
    root = paths.checkout()
    if root is None:
        raise UsageError(
            "The chapters are not part of the installed package: clone the project and run "
            "`make book` in the clone."
        )
    return Layout(root)
