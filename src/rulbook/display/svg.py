"""Make a Matplotlib figure's SVG small, unique on its page and readable in both themes."""

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure

INK = "#24292f"
"""Colour of everything that is neither data nor paper; on a page it follows the page's text."""

PAPER = "#ffffff"
"""Colour of what hides something behind it; on a page it follows the page's background."""

_ON_A_PAGE = {
    INK: "currentColor",
    PAPER: "var(--pst-color-background,var(--jp-layout-color0,#fff))",
}

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d*\.\d+(?:e-?\d+)?")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r"font: ?([^';]*px) [^;]*|font-family:[^;]*;? ?")
_CLEAR = re.compile(r"(?<![\w-])opacity: 0(?:\.0*)?(?:;|$)")
_VIEW = re.compile(r'(viewBox="0 0 [\d.]+ )([\d.]+)')
_NO_TURN = re.compile(r"rotate\(-?0 [^)]*\)")


def svg_of(figure: Figure, alt: str, *, ids: str, themed: bool = True) -> str:
    """Return a figure as one SVG element with its text as text.

    The same figure gives the same characters: no date, no version, no random identifiers.
    Coordinates keep a tenth of a point.

    Args:
        figure: a figure of ``rulbook.display.plots``.
        alt: what the figure shows, for those who do not see it.
        ids: prefix of the identifiers inside; unique on a page, so that clips and markers of one
            figure are not taken for those of another.
        themed: draw ``INK`` and ``PAPER`` in the colours of the page and leave the background to
            the page, instead of ink on white.

    """
    buffer = io.StringIO()
    bare = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rulbook"}):
        figure.savefig(buffer, format="svg", metadata=bare, transparent=True)
    root = ET.fromstring(buffer.getvalue())
    _drop_what_is_not_drawn(root)
    _shorten_ids(root, ids)
    for element in root.iter():
        _tidy(element, themed=themed)
    _flatten(root)
    _set_root(root, alt, themed=themed)
    ET.register_namespace("", _SVG)
    return re.sub(r"\s*\n\s*", "", ET.tostring(root, encoding="unicode"))


def same_height(drawings: Sequence[str]) -> list[str]:
    """Return drawings with room below the lower ones, so that all are as high as the highest."""
    highest = max((_VIEW.findall(drawing)[0][1] for drawing in drawings), key=float)
    return [_VIEW.sub(rf"\g<1>{highest}", drawing, count=1) for drawing in drawings]


def _tag(element: ET.Element) -> str:
    return element.tag.removeprefix(f"{{{_SVG}}}")


def _drop_what_is_not_drawn(root: ET.Element) -> None:
    """Remove metadata, style sheets (they would reach the whole page) and invisible patches."""
    for parent in list(root.iter()):
        for child in list(parent):
            style = child.get("style", "")
            invisible = (
                _tag(child) == "path"
                and ("fill: none" in style or _CLEAR.search(style))
                and "stroke:" not in style
                and _tag(parent) not in {"defs", "clipPath"}
            )
            if _tag(child) in {"metadata", "style"} or invisible:
                parent.remove(child)


def _flatten(element: ET.Element) -> None:
    """Put the children of groups that say nothing in the place of their group."""
    kept: list[ET.Element] = []
    for child in element:
        _flatten(child)
        bare_group = _tag(child) == "g" and not child.attrib
        empty = _tag(child) in {"g", "defs"} and not len(child)
        kept += list(child) if bare_group or empty else [child]
    element[:] = kept


def _shorten_ids(root: ET.Element, prefix: str) -> None:
    """Number the identifiers that something refers to and drop the others."""
    renamed: dict[str, str] = {}

    def new(old: str) -> str:
        return renamed.setdefault(old, f"{prefix}-{len(renamed)}")

    for element in root.iter():
        if reference := element.attrib.pop(_XLINK, None):
            image = reference.startswith("data:")
            element.set("href", reference if image else f"#{new(reference[1:])}")
        for key, value in element.attrib.items():
            element.set(key, _REFERENCE.sub(lambda m: f"url(#{new(m[1])})", value))
    for element in root.iter():
        if (old := element.attrib.pop("id", None)) in renamed:
            element.set("id", renamed[old])


def _tidy(element: ET.Element, *, themed: bool) -> None:
    if element.text and not element.text.strip():
        element.text = None
    element.tail = None
    for key, value in list(element.attrib.items()):
        new = value
        if key == "style":
            new = _FONT.sub(lambda m: f"font-size: {m[1]}" if m[1] else "", new)
            for colour, of_the_page in _ON_A_PAGE.items() if themed else ():
                new = new.replace(colour, of_the_page)
            new = new.replace("; ", ";").replace(": ", ":").strip(";")
        elif key == "transform":
            new = _NO_TURN.sub("", new)
        if key not in {"id", "href", "class"}:
            # Opacities are shares of one, of which a tenth is much.
            declarations = new.split(";") if key == "style" else [new]
            new = ";".join(
                part if "opacity" in f"{key}:{part}" else _NUMBER.sub(_rounded, part)
                for part in declarations
            )
        if key == "d":
            new = re.sub(r"\s*([MLCQz])\s*", r"\1", new)
        if new.strip():
            element.set(key, new.strip())
        else:
            del element.attrib[key]


def _rounded(match: re.Match[str]) -> str:
    text = f"{float(match[0]):.1f}"
    return "0" if text in {"-0.0", "0.0"} else text.removesuffix(".0")


def _set_root(root: ET.Element, alt: str, *, themed: bool) -> None:
    for key in ("height", "version", "width"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", alt)
    paper = "" if themed else ";background:#fff"
    root.set(
        "style",
        "stroke-linejoin:round;font-family:system-ui,'DejaVu Sans',sans-serif" + paper,
    )
    for element in root.iter():
        # Text without a colour of its own is black, whatever the page's colour is.
        if themed and _tag(element) == "text" and "fill" not in element.get("style", ""):
            element.set("style", element.get("style", "") + ";fill:currentColor")
