"""Markup of a page: texts and tables, escaped; the shell around it, with its content policy."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from tlbench.core.errors import printable
from tlbench.reports.base import Table

if TYPE_CHECKING:
    from jinja2 import Environment


# A cell of so many characters is kept on one line; a telephone scrolls the table.
_SHORT = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of a page under a heading."""

    id: str
    title: str
    blocks: tuple[Markup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """All that a page shows; texts are plain, and markup is made of escaped texts."""

    title: str
    kicker: str  # above the sentence: what was measured
    sentence: str
    cards: tuple[tuple[str, str, str], ...]  # name, figure, remark
    sections: tuple[Section, ...]
    data: Mapping[str, Any] = field(default_factory=dict)  # for the script
    sheet: bytes = b""
    tile_px: int = 1
    n_columns: int = 1
    n_tiles: int = 0
    drawn: tuple[int, ...] = ()  # thumbnails that stand in the markup


def text(value: str) -> Markup:
    """Return a text as markup, whatever characters are in it."""
    return escape(printable(value))


def render_page(page: Page) -> str:
    """Return the whole document."""
    styles = [_file("style.css"), _sheet_style(page)]
    script = _file("script.js")
    policy = "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {' '.join(map(_hash, filter(None, styles)))}",
            f"script-src {_hash(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    found = (
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            policy=policy,
            style=Markup(styles[0]),  # noqa: S704 - a file of this package
            sheet_style=Markup(styles[1]),  # noqa: S704 - numbers and base64
            script=Markup(script),  # noqa: S704 - a file of this package
            data=json_data(page.data) if page.data else None,
            text=text,
        )
    )
    return found + "\n"


def json_data(data: Mapping[str, Any]) -> Markup:
    """Return JSON for a script element: no text in it can end the element or begin another."""
    found = json.dumps(data, separators=(",", ":"), ensure_ascii=True)
    return Markup(found.replace("<", "\\u003c"))  # noqa: S704 - nothing is left that HTML would read


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


@cache
def _file(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        autoescape=True,
        loader=FunctionLoader(_file),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _sheet_style(page: Page) -> str:
    """Return the style of the thumbnails: the sheet once, and the place of each that is shown."""
    if not page.sheet:
        return ""
    n_lines = -(-page.n_tiles // page.n_columns)
    content = base64.b64encode(page.sheet).decode()
    size = f"{100 * page.n_columns}% {100 * n_lines}%"
    rules = [
        f".thumb{{background-image:url(data:image/webp;base64,{content});background-size:{size}}}"
    ]
    for tile in page.drawn:
        line, column = divmod(tile, page.n_columns)
        x = 100 * column / max(1, page.n_columns - 1)
        y = 100 * line / max(1, n_lines - 1)
        rules.append(f".t{tile}{{background-position:{x:.4f}% {y:.4f}%}}")
    return "".join(rules)


def slug(title: str) -> str:
    """Return a title as an id."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"


def table_markup(table: Table, *, level: int = 3, links: Mapping[str, str] | None = None) -> Markup:
    """Return a table with its heading and note; wide ones scroll inside their box.

    *links* are the places in the page of what first cells name.
    """
    if not table.rows:
        return Markup()
    head = Markup()
    if any(table.columns):
        head = _row(Markup("th"), table.columns, table.right)
    body = Markup().join(_row(Markup("td"), row, table.right, links) for row in table.rows)
    note = Markup('<p class="note">{}</p>').format(text(table.note)) if table.note else Markup()
    title = text(table.title or "In short")
    return Markup(
        '<div class="block tab"><h{level}>{title}</h{level}>'
        '<div class="scroll" tabindex="0" role="group" aria-label="{title}">'
        "<table><thead>{head}</thead><tbody>{body}</tbody></table></div>{note}</div>"
    ).format(level=level, title=title, head=head, body=body, note=note)


def _row(
    tag: Markup,
    cells: Iterable[str],
    right: Iterable[bool],
    links: Mapping[str, str] | None = None,
) -> Markup:
    filled: list[Markup] = []
    for cell, is_right in zip(cells, right, strict=True):
        # A header without a text is no header.
        name = Markup("td") if tag == "th" and not cell else tag
        scope = Markup(' scope="col"') if name == "th" else Markup()
        kind = "num" if is_right else "short" if len(cell) <= _SHORT else "long"
        place = (links or {}).get(cell) if not filled else None
        shown = text(cell)
        if place is not None:
            shown = Markup('<a href="#{}">{}</a>').format(place, shown)
        filled.append(
            Markup('<{tag}{scope} class="{kind}" dir="auto">{cell}</{tag}>').format(
                tag=name, scope=scope, kind=kind, cell=shown
            )
        )
    return Markup("<tr>{}</tr>").format(Markup().join(filled))


def command_markup(title: str, command: str) -> Markup:
    """Return a command line under a heading, as it is typed."""
    return Markup(
        '<div class="block list"><h3>{title}</h3><pre class="scroll" tabindex="0" role="group" '
        'aria-label="{title}"><code>{command}</code></pre></div>'
    ).format(title=text(title), command=text(command))


def lines_markup(title: str, lines: Sequence[str], kind: str = "") -> Markup:
    """Return lines under a heading, several as a list."""
    if not lines:
        return Markup()
    items = Markup().join(Markup('<li dir="auto">{}</li>').format(text(line)) for line in lines)
    return Markup('<div class="block list {kind}"><h3>{title}</h3><ul>{items}</ul></div>').format(
        kind=kind, title=text(title), items=items
    )


def figure_markup(title: str, drawing: Markup, note: str, *, wide: bool = False) -> Markup:
    """Return a drawing with heading and note."""
    return Markup(
        '<figure class="block fig{wide}"><h3>{title}</h3>{drawing}'
        "<figcaption>{note}</figcaption></figure>"
    ).format(wide=" wide" if wide else "", title=text(title), drawing=drawing, note=text(note))


def figures_markup(figures: Iterable[Markup]) -> Markup:
    """Return figures side by side where there is room."""
    found = [one for one in figures if one]
    if not found:
        return Markup()
    return Markup('<div class="figures">{}</div>').format(Markup().join(found))


def folded(title: str, blocks: Iterable[Markup]) -> Markup:
    """Return blocks that a click on *title* opens."""
    found = [block for block in blocks if block]
    if not found:
        return Markup()
    return Markup("<details><summary>{}</summary>{}</details>").format(
        text(title), Markup().join(found)
    )


def paragraph(value: str, kind: str = "") -> Markup:
    """Return a paragraph."""
    return Markup('<p class="{}">{}</p>').format(kind, text(value))
