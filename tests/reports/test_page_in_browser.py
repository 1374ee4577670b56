"""The page in headless Chromium: no error, no request, by mouse, by keyboard, and without scripts.

Chromium is found on PATH, or named by TLBENCH_CHROMIUM; the tests are skipped without it.
"""

import os
import re
import shutil
from pathlib import Path

import pytest
from pictured_runs import HOSTILE, pictured
from swept_cells import cell, predictions, rounds, swept

from tlbench.core.errors import printable
from tlbench.records import decode_run
from tlbench.reports import run_page, sweep_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
GOLDEN = Path(__file__).parents[1] / "golden" / "run-v1.json"
CLASSES = tuple(f"class {i}" for i in range(10))
PAGES = ("usual", "hostile", "many", "old", "sweep")
CONTROLS = "a[href],button,input,select,summary,[tabindex='0']"


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests here."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = os.environ.get("TLBENCH_CHROMIUM") or next(
        filter(None, map(shutil.which, BROWSERS)), ""
    )
    if not found:
        pytest.skip(f"none of {', '.join(BROWSERS)} is on PATH, and TLBENCH_CHROMIUM is not set")
    with sync_api.sync_playwright() as playwright:
        # as root, for example in a container, Chromium has no sandbox
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The page of one run with usual names, of one with hostile names, and of an old run."""
    run = decode_run(GOLDEN.read_bytes(), "golden")
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "usual": pictured(run, CLASSES),
        "hostile": pictured(run, HOSTILE, names=HOSTILE),
        "many": pictured(run, [f"class {i}" for i in range(40)], n_images=400),
        "old": (run, None, None),
    }
    for name, (record, predicted, images) in made.items():
        page = run_page(record, None, predicted, images)
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    labels, found = predictions([0.8, 0.7], n_images=100)
    cells = {
        key: cell(key, labels, one, rounds(0.01 * (i + 1), seed=i))
        for i, (key, one) in enumerate(zip(("a" * 12, "b" * 12), found, strict=True))
    }
    page = sweep_page(swept(cells), {key: one.run for key, one in cells.items()}, "swept")
    (folder / "sweep.html").write_text(page, encoding="utf-8")
    return folder


@pytest.fixture
def visit(browser, files):
    """Open a page; afterwards there was no error, and no request but for the file itself."""
    contexts, complaints, requests = [], [], []

    def opened(name="usual", *, width=1280, height=900, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: requests.append(request.url))
        page.goto((files / f"{name}.html").as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
    own = {(files / f"{name}.html").as_uri() for name in PAGES}
    assert [url for url in requests if url not in own and not url.startswith("data:")] == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_an_error(visit, name):
    """Nothing stands out of the window either: not on a telephone, and not at night."""
    for width, scheme in ((1280, "light"), (390, "dark")):
        page = visit(name, width=width, color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(
    ("name", "scheme"),
    [
        ("usual", "light"),
        ("usual", "dark"),
        ("many", "light"),
        ("old", "dark"),
        ("sweep", "light"),
    ],
)
def test_axe_finds_no_violation(visit, name, scheme):
    """Everything that can be opened is open."""
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")
    page = visit(name, color_scheme=scheme, reduced_motion="reduce")
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    if name not in {"old", "sweep"}:
        page.locator("[data-true] button").nth(1).click()
    page.evaluate((Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then((found) => found.violations)")
    assert [(one["id"], [node["html"][:200] for node in one["nodes"][:3]]) for one in found] == []


def test_without_scripts_all_figures_but_the_map_are_there(visit):
    """As in an archived report on a server whose policy blocks them."""
    with_scripts, without = visit(), visit(java_script_enabled=False)
    assert without.locator("h1").inner_text() == with_scripts.locator("h1").inner_text()
    drawings = without.locator("svg.chart")
    assert drawings.count() == with_scripts.locator("svg.chart").count() > 8
    assert all(box["height"] > 40 for one in drawings.all() if (box := one.bounding_box()))
    assert without.locator("table.confusion").first.locator("td.hit9").count() > 0
    assert without.locator(".gallery .thumb").count() == 40
    assert without.get_by_text("scripts are blocked here").is_visible()
    assert without.locator("canvas").count() == 0


def test_a_thumbnail_of_the_gallery_shows_its_image(visit):
    """The place in the sheet is the image's own, in the markup and by the script alike."""
    place = "getComputedStyle(document.querySelector('.gallery .thumb')).backgroundPosition"
    assert visit().evaluate(place) == visit(java_script_enabled=False).evaluate(place)


def _move_to(page, image):
    canvas = page.locator("canvas")
    canvas.scroll_into_view_if_needed()
    x, y = page.evaluate("(i) => document.querySelector('canvas').locate(i)", image)
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + x, box["y"] + y)


def test_hovering_over_a_point_shows_its_thumbnail(visit):
    page = visit()
    _move_to(page, 7)
    tip = page.locator("#tip")
    assert tip.is_visible()
    assert tip.locator(".thumb").is_visible()
    assert re.search(r"true: class \d\s*predicted: class \d", tip.inner_text())
    assert page.evaluate("document.querySelector('#tip .thumb').style.backgroundPosition")


def _drawn(page):
    """Return the map as it is drawn, after the next frame."""
    return page.evaluate(
        "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame("
        "() => done(document.querySelector('canvas').toDataURL()))))"
    )


def test_a_click_in_the_legend_hides_a_class(visit):
    page = visit()
    before = _drawn(page)
    entry = page.locator(".legend button").nth(3)
    entry.click()
    assert entry.get_attribute("aria-pressed") == "false"
    shown = "(c) => [...Array(240).keys()].map((i) => document.querySelector('canvas').isShown(i))"
    hidden = [i for i, drawn in enumerate(page.evaluate(shown)) if not drawn]
    assert hidden == list(range(3, 240, 10))
    assert _drawn(page) != before
    entry.click()
    assert _drawn(page) == before


def test_only_the_misclassified_can_be_shown(visit):
    page = visit()
    page.get_by_label("misclassified only").nth(1).check()
    shown = "[...Array(240).keys()].filter((i) => document.querySelector('canvas').isShown(i))"
    assert page.evaluate(shown) == list(range(0, 240, 6))


def test_zooming_moves_points_apart_and_a_reset_brings_them_back(visit):
    page = visit()
    where = "document.querySelector('canvas').locate(5)"
    before = page.evaluate(where)
    page.get_by_label("Zoom in").click()
    assert page.evaluate(where) != before
    page.get_by_role("button", name="Reset").click()
    assert page.evaluate(where) == before


@pytest.mark.parametrize("name", ["usual", "many"])
def test_a_cell_of_the_matrix_opens_its_images(visit, name):
    """As many as it says, of the classes that it says."""
    page = visit(name)
    if name == "usual":
        cell = page.locator("table.confusion").first.locator("td[class^=miss] button").first
    else:
        cell = page.locator("tr.pick button").first
    label, predicted = re.search(
        r": (.*) predicted as (.*),", cell.get_attribute("aria-label")
    ).groups()
    cell.hover()
    tip = page.locator("#tip")
    assert tip.locator(".thumb").count() == min(8, int(cell.inner_text()))
    assert f"{label} predicted as {predicted}" in tip.inner_text()
    cell.click()
    assert not tip.is_visible()
    opened = page.locator("#opened .gallery li")
    assert opened.count() == int(cell.inner_text())
    assert opened.first.locator(".was").inner_text() == label
    assert opened.first.locator(".as").inner_text() == f"→ {predicted}"
    page.get_by_role("button", name="Close").click()
    assert opened.count() == 0
    assert cell.evaluate("(button) => button === document.activeElement")


def test_the_gallery_can_be_filtered(visit):
    """By class, and with the images that were classified rightly."""
    page = visit()
    items = page.locator("#gallery li")
    assert items.count() == 40
    page.get_by_label("True class").select_option("class 6")
    assert {text.inner_text() for text in items.locator(".was").all()} == {"class 6"}
    page.get_by_label("misclassified only").first.uncheck()
    assert items.count() == 24
    page.get_by_label("Number").fill("126")
    assert items.count() == 1


def test_more_images_are_shown_on_demand(visit):
    page = visit()
    page.get_by_label("misclassified only").first.uncheck()
    assert page.locator("#gallery li").count() == 48
    page.get_by_role("button", name="Show more").click()
    assert page.locator("#gallery li").count() == 96


def test_the_tab_key_reaches_every_control(visit):
    """In the order of the page."""
    page = visit("old")
    _check_tabs(page)


def test_the_tab_key_reaches_every_control_of_the_script(visit):
    page = visit()
    _check_tabs(page)


def _check_tabs(page):
    wanted = page.evaluate(
        "(controls) => { window.controls = [...document.querySelectorAll(controls)]"
        ".filter((one) => one.checkVisibility()); return window.controls.length; }",
        CONTROLS,
    )
    reached = []
    for _ in range(wanted):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("window.controls.indexOf(document.activeElement)"))
    assert reached == list(range(wanted))


def test_arrow_keys_move_between_the_cells_of_the_matrix(visit):
    page = visit()
    cell = page.locator("table.confusion").first.locator("td[data-true='0'] button").first
    cell.focus()
    page.keyboard.press("ArrowRight")
    place = "document.activeElement.closest('td').dataset"
    assert page.evaluate(f"[{place}.true, {place}.predicted]")[0] == "0"
    assert not cell.evaluate("(button) => button === document.activeElement")
    page.keyboard.press("Enter")
    assert page.locator("#opened .gallery li").count() > 0


def test_the_keyboard_steps_through_misclassified_images_on_the_map(visit):
    page = visit()
    page.locator("canvas").focus()
    page.keyboard.press("n")
    assert page.locator("#tip").is_visible()
    first = page.locator("#tip").inner_text()
    page.keyboard.press("n")
    assert page.locator("#tip").inner_text() != first
    page.keyboard.press("Escape")
    assert not page.locator("#tip").is_visible()


def test_hostile_names_are_shown_as_text(visit):
    """By the script as well as by the markup; a dialog would be a complaint of `visit`."""
    page = visit("hostile")
    page.get_by_label("misclassified only").first.uncheck()
    shown = page.evaluate("document.body.textContent")
    assert [name for name in HOSTILE if printable(name) not in shown] == []
    for k in range(len(HOSTILE)):
        page.evaluate("(k) => document.querySelectorAll('.legend button')[k].click()", k)
    assert page.evaluate("document.querySelectorAll('script').length") == 2
    assert page.evaluate("document.querySelectorAll('img').length") == 0


def test_a_link_in_the_tables_of_a_sweep_opens_the_cell(visit):
    """Without a script, which such a page does not have."""
    page = visit("sweep")
    place = page.locator(f"#cell-{'b' * 12}")
    assert not place.is_visible()
    page.locator(f"a[href='#cell-{'b' * 12}']").first.click()
    assert place.is_visible()
    assert place.locator("table").count() == 1


def test_in_print_everything_is_open(visit):
    page = visit()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("svg.chart").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0


def test_nothing_moves_where_motion_is_unwanted(visit):
    behaviour = "getComputedStyle(document.documentElement).scrollBehavior"
    assert visit(reduced_motion="reduce").evaluate(behaviour) == "auto"
