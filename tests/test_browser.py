"""The app in a real browser: what only a browser can tell."""

import io
import json
import os
import re
import shutil
import time
import tomllib
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from conftest import BY_NAME, PREFIXES, RUNNING, run_at, sections_of
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright
from sklearn.datasets import load_iris

from benchmarks.servers import OURS, ROOT, Server, serve, stop
from em_core import BinomialMixture, BinomialParams, HardEM, fit
from em_core.models.binomial_mixture import published_trials
from em_ui.controls.specs import VIEW
from em_ui.pictures import charts
from em_ui.pictures.format import BEFORE, PLACES
from em_ui.sections import how_many, starts
from pages import LESSONS
from pages.home.example import run

pytestmark = pytest.mark.browser

T = TypeVar("T")

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 20_000
PHONE = {"width": 360, "height": 740}
GROUND = {"light": "rgb(255, 255, 255)", "dark": "rgb(17, 24, 31)"}
LAPTOP = {"width": 1300, "height": 800}
DESKTOP = {"width": 1920, "height": 1080}
# The lessons that the server has: all but the one that the tests add.
SERVED = [lesson for lesson in LESSONS if lesson.package.startswith("pages.")]
# The number of charts before the end was reached, and after: of most lessons three.
CHARTS = {"gaussian-mixture": 5, "mixture-in-the-plane": 7}
AT_THE_END = {"gaussian-mixture": 8, "mixture-in-the-plane": 7}
# Path, title, and the number of charts at first.
PAGES = {
    "": ("Understanding the EM algorithm", 0),
    **{each.url_path: (each.title, CHARTS.get(each.url_path, 3)) for each in SERVED},
}
EXAMPLES = [each.url_path for each in SERVED if each.name in RUNNING]
PUBLISHED = "two-coins?" + urllib.parse.urlencode(
    {
        "tc_data": "Five published trials",
        "tc_start_a": 0.6,
        "tc_start_b": 0.5,
        "tc_tol": 0,
        "tc_max_iter": 10,
    }
)
# Streamlit looks for its server below the address of a deep link, and then finds it at the root.
PROBE = re.compile(r"/[\w-]+/_stcore/(health|host-config)")
DRAWN = "[data-testid=stVegaLiteChart] :is(svg, canvas).marks"
# What Vega's view of a chart answers.
ASK = """(chart, ask) => {
    const name = Object.keys(chart).find((key) => key.startsWith("__reactFiber"));
    for (let fiber = chart[name]; fiber; fiber = fiber.return) {
        let hook = fiber.memoizedState;
        for (; hook && typeof hook === "object"; hook = hook.next) {
            const view = hook.memoizedState?.current;
            if (view?.scenegraph) return new Function("view", "return " + ask)(view);
        }
    }
    throw new Error("no view");
}"""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A fresh server, as on a fresh machine; it must not have complained when it ends."""
    with serve(OURS) as started:
        yield started
        stop(started.process)
        text = started.log.read_text()
    complaint = re.search(r"warn|error|exception|traceback|deprecat", text, re.IGNORECASE)
    assert not complaint, f"The server complained:\n{text}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if not chromium:
        if os.environ.get("CI"):
            pytest.fail("CI needs chromium for these tests, and there is none")
        pytest.skip("there is no chromium on this machine")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@dataclass
class Tab:
    """A browser tab with a fresh profile, and what went wrong in it."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    sent: int = 0  # messages to the server

    def __post_init__(self) -> None:
        self.page.set_default_timeout(PATIENCE_MS)
        self.page.on("request", self._request)
        self.page.on("response", self._response)
        self.page.on("pageerror", lambda error: self.faults.append(f"page error: {error}"))
        self.page.on("console", self._console)
        self.page.on("websocket", lambda socket: socket.on("framesent", self._count))

    def _count(self, _: object) -> None:
        self.sent += 1

    def _request(self, request) -> None:
        url = urllib.parse.urlsplit(request.url)
        if url.scheme not in ("data", "blob") and url.hostname != "127.0.0.1":
            self.faults.append(f"request to elsewhere: {request.url}")

    def _response(self, response) -> None:
        probe = PROBE.fullmatch(urllib.parse.urlsplit(response.url).path)
        if response.status >= 400 and not (response.status == 404 and probe):
            self.faults.append(f"{response.status} for {response.url}")

    def _console(self, message) -> None:
        # A failed request is judged by its address, above.
        failed = message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not failed:
            self.faults.append(f"console {message.type}: {message.text}")

    def open(self, path: str, charts: int | None = None) -> None:
        self.page.goto(f"{self.url}/{path}")
        self.await_page(path.split("?")[0], charts)

    def await_page(self, name: str, charts: int | None = None) -> None:
        """Wait until the page stands with all its charts."""
        title, usual = PAGES[name]
        expect(self.page.get_by_role("heading", name=title, level=1)).to_be_visible()
        self.await_charts(usual if charts is None else charts)
        if name in EXAMPLES:
            expect(self.page.locator(".readout .label")).not_to_be_empty()
        if not name:
            expect(self.page.locator(".mini .iteration")).not_to_be_empty()

    def await_charts(self, number: int) -> None:
        expect(self.page.locator(DRAWN)).to_have_count(number)

    def go_to(self, title: str, name: str) -> None:
        """Switch pages in the navigation."""
        self.page.get_by_role("link", name=title, exact=True).click()
        self.await_page(name)

    def control(self, key: str) -> Locator:
        """The field of a control, which may be one of a table."""
        return self.page.locator(f".st-key-{key} input, td input[name={key}]")

    @property
    def situation(self) -> Locator:
        return self.page.get_by_test_id("stSidebar").get_by_role("combobox").first

    def type_into(self, key: str, text: str) -> None:
        self.control(key).fill(text)
        self.control(key).press("Enter")

    @property
    def slider(self) -> Locator:
        return self.page.locator("input[name=frame]")

    def button(self, name: str) -> Locator:
        return self.page.locator(f"button[name={name}]")

    def expect_frame(self, frame: int, last: int) -> None:
        """Wait until the readout and the inputs of every chart in view are at this iteration.

        Before the first E-step nothing is assigned.
        """
        words = rf"Iteration {frame}( of {last})?" if frame else "Initial guess"
        expect(self.page.locator(".readout .label")).to_have_text(re.compile(f"^{words}$"))
        expect(self.slider).to_have_value(str(frame))
        self.page.wait_for_function(
            """place => {
                const inputs = [...document.querySelectorAll(".vega-bindings input")];
                const seen = inputs.filter(input => {
                    const chart = input.closest("[data-testid=stVegaLiteChart]");
                    const {top, bottom} = chart.getBoundingClientRect();
                    return bottom > 0 && top < innerHeight;
                });
                return seen.every(input => Number(input.value) === place);
            }""",
            arg=place(frame, frame or BEFORE),
        )

    @property
    def readout(self) -> list[str]:
        return self.page.locator(".numbers dd").all_inner_texts()

    def pictures(self) -> list[str]:
        """Return what each chart draws, as text."""
        return self.page.locator("[data-testid=stVegaLiteChart]").evaluate_all(
            """charts => charts.map(chart => {
                const canvas = chart.querySelector("canvas.marks");
                return canvas ? canvas.toDataURL() : chart.querySelector("svg.marks").innerHTML;
            })"""
        )

    def await_drawn(self, read: Callable[[], T], settled: Callable[[T], bool]) -> T:
        """Read until it is as wanted: Vega repaints in an animation frame of its own."""
        end = time.monotonic() + PATIENCE_MS / 1000
        while not settled(found := read()) and time.monotonic() < end:
            self.page.evaluate("() => new Promise(requestAnimationFrame)")
        return found

    def expect_pictures(self, wanted: list[str]) -> None:
        assert self.await_drawn(self.pictures, wanted.__eq__) == wanted

    @property
    def bars(self) -> Locator:
        return self.charts.first.locator(".mark-rect path")

    def view(self, chart: Locator, ask: str) -> object:
        """Return what Vega's view of a chart answers; on a canvas there is nothing to be read."""
        return chart.evaluate(ASK, ask)

    def draw_as_svg(self) -> None:
        """Let what the charts draw stand in the page, where it can be read."""
        for chart in self.charts.filter(has=self.page.locator(".marks")).all():
            self.view(chart, "view.renderer('svg').runAsync().then(() => true)")

    def shares(self) -> np.ndarray:
        """Return the responsibilities that the first chart draws: a row a bar, a column a coin."""
        drawn = np.full((11, 2), np.nan)
        for heads, coin, share in self.bars.evaluate_all(
            """bars => bars.map(bar => bar.__data__.datum)
                .map(({label, component, told}) => [label, component, told])"""
        ):
            if share != "none yet":
                drawn[int(heads), "AB".index(coin)] = float(share)
        return drawn

    def played(self) -> list[int]:
        """Return the last iteration of each line and path over several iterations."""
        self.draw_as_svg()
        return self.page.locator(".mark-line path").evaluate_all(
            """paths => paths.map(path => path.__data__.mark.items.map(i => i.datum.iteration))
                .filter(iterations => new Set(iterations).size > 1)
                .map(iterations => Math.max(...iterations))"""
        )

    def names_of_ticks(self) -> list[str]:
        self.draw_as_svg()
        axes = self.page.locator(".role-axis-label")
        return axes.evaluate_all("axes => axes.map(axis => axis.textContent)")

    def resize(self, size: dict[str, int], scheme: str = "light") -> None:
        """Make this a window of another size, or of the dark theme."""
        self.page.set_viewport_size(size)
        self.page.emulate_media(color_scheme=scheme)

    def press_end(self) -> None:
        """Go to the end, and wait until what is kept for it is seen."""
        self.button("last").click()
        expect(self.page.get_by_role("heading", name="Iteration table")).to_be_visible()

    def expect_on_screen(self, *boxes: Locator) -> None:
        """Wait until these are fully seen, below the header."""
        header = self.page.get_by_test_id("stHeader").bounding_box()
        for box in boxes:
            expect(box).to_be_in_viewport(ratio=1)
            place = box.bounding_box()
            assert place["y"] >= header["y"] + header["height"], box

    @property
    def charts(self) -> Locator:
        return self.page.get_by_test_id("stVegaLiteChart")

    @property
    def player(self) -> Locator:
        return self.page.locator(".player")

    @property
    def status_line(self) -> Locator:
        return self.page.locator(".status .words")

    @property
    def status(self) -> str:
        return self.status_line.text_content()

    def download(self) -> str:
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download the table (CSV)").click()
        assert re.fullmatch(r"\w\w-iterations\.csv", download.value.suggested_filename)
        return Path(download.value.path()).read_text()


@pytest.fixture
def new_tab(browser, server):
    """Return a function that opens a tab with a fresh profile; no tab may end with a fault."""
    tabs = []

    def open_tab(**options) -> Tab:
        tabs.append(Tab(browser.new_context(**options).new_page(), f"http://{server.address}"))
        return tabs[-1]

    yield open_tab
    for tab in tabs:
        tab.page.context.close()
    assert [fault for tab in tabs for fault in tab.faults] == []


@pytest.fixture(scope="session")
def profile(browser):
    """A profile that tests share, so that they do not all load Streamlit's 5 MB again."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context
    context.close()


@pytest.fixture
def tab(profile, server) -> Iterator[Tab]:
    """A tab on a laptop; it may not end with a fault."""
    opened = Tab(profile.new_page(), f"http://{server.address}")
    yield opened
    opened.page.close()
    assert opened.faults == []


OVERFLOWING = """() => {
    const main = document.querySelector("[data-testid=stMain]");
    const edge = main.getBoundingClientRect();
    const found = [];
    const note = (what, element) => found.push(`${what}: ${element.textContent.slice(0, 60)}`);
    if (document.documentElement.scrollWidth > innerWidth) found.push("the document is too wide");
    if (main.scrollWidth > main.clientWidth) found.push("the main section is too wide");
    const walk = (root) => {
        for (const element of root.querySelectorAll("*")) {
            if (element.shadowRoot) walk(element.shadowRoot);
            // Formulas and tables scroll by themselves; charts are looked at below.
            if (element.closest(".katex-display, .katex-mathml, [data-testid=stDataFrame], svg")) {
                continue;
            }
            const words = [...element.childNodes].some(
                (node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim(),
            );
            const box = element.getBoundingClientRect();
            if (!words || !box.width) continue;
            if (box.left < edge.left - 1 || box.right > edge.right + 1) note("outside", element);
            const { overflowX, display } = getComputedStyle(element);
            const cut = element.scrollWidth > element.clientWidth + 1;
            if (cut && overflowX !== "visible" && display !== "inline") note("cut", element);
        }
    };
    walk(main);
    for (const formula of main.querySelectorAll(".katex-display")) {
        const scrolls = ["auto", "scroll"].includes(getComputedStyle(formula).overflowX);
        if (formula.scrollWidth > formula.clientWidth && !scrolls) note("formula cut", formula);
    }
    for (const chart of document.querySelectorAll("svg.marks")) {
        const frame = chart.getBoundingClientRect();
        for (const text of chart.querySelectorAll("text")) {
            const box = text.getBoundingClientRect();
            // The box of a turned title holds room for accents, which may stand out a little.
            const inside =
                box.left >= frame.left - 4 && box.right <= frame.right + 4 &&
                box.top >= frame.top - 4 && box.bottom <= frame.bottom + 4;
            if (text.textContent.trim() && box.width && !inside) note("cut in a chart", text);
        }
    }
    return found;
}"""
# Text that is less than 4.5:1 against what is painted below it, and signs and borders less than
# 3:1. What is faded or half clear is mixed as a browser does. A canvas cannot be read: of tables,
# the colours that they are given are.
FAINT = """root => {
    const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parsed = new Map();
    const parse = (color) => {
        if (!parsed.has(color)) {
            brush.clearRect(0, 0, 1, 1);
            brush.fillStyle = color;
            brush.fillRect(0, 0, 1, 1);
            const [r, g, b, alpha] = brush.getImageData(0, 0, 1, 1).data;
            parsed.set(color, { rgb: [r, g, b], alpha: alpha / 255 });
        }
        return parsed.get(color);
    };
    const mix = (upper, lower, alpha) => upper.map((v, i) => alpha * v + (1 - alpha) * lower[i]);
    const over = (color, lower) => mix(parse(color).rgb, lower, parse(color).alpha);
    const luminance = (rgb) => {
        const [r, g, b] = rgb.map((v) => v / 255)
            .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ratio = (one, other) => {
        const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
        return (high + 0.05) / (low + 0.05);
    };
    const above = (element) => {
        const parent = element.parentElement ?? element.getRootNode().host;
        return parent ? [...above(parent), element] : [element];
    };
    // The color of a mark and of the ground at a place, in groups that are faded as one.
    const paint = ([element, ...rest], lower, color, at) => {
        const { backgroundColor, opacity } = getComputedStyle(element);
        const box = element.getBoundingClientRect();
        const covers = box.left < at.x && at.x < box.right && box.top < at.y && at.y < box.bottom;
        // What scrolls is seen on the ground of what it scrolls in.
        const scrolls = [element, ...rest].some((e) => getComputedStyle(e).overflowY !== "visible");
        const ground = covers || scrolls ? over(backgroundColor, lower) : lower;
        const painted = rest.length
            ? paint(rest, ground, color, at)
            : [over(color, ground), ground];
        return painted.map((each) => mix(each, lower, Number(opacity)));
    };
    const found = [];
    let looked = 0;
    const judge = (element, color, least, what, edge = false) => {
        looked++;
        const { x, y, width, height } = element.getBoundingClientRect();
        const at = { x: x + width / 2, y: edge ? y - 1 : y + height / 2 };
        const contrast = ratio(...paint(above(element), [255, 255, 255], color, at));
        if (contrast < least) found.push(`${what}: ${contrast.toFixed(2)}`);
    };
    const walk = (element) => {
        if (element.shadowRoot) walk(element.shadowRoot);
        for (const child of element.children) walk(child);
        if (!(element instanceof Element)) return;
        const style = getComputedStyle(element);
        const seen = { opacityProperty: true, visibilityProperty: true };
        if (!element.checkVisibility(seen) || element.closest(".katex-mathml")) return;
        // What is off may be faint.
        if (element.closest(":disabled, [aria-disabled=true], .idle")) return;
        if (element.querySelector(":scope > :disabled")) return;
        // A halo, on which the same words stand.
        const halo = element instanceof SVGTextElement
            && [...element.ownerSVGElement.querySelectorAll("text")]
                .find((other) => other.textContent === element.textContent
                    && getComputedStyle(other).stroke !== "none");
        if (halo === element) return;
        const words = [...element.childNodes]
            .filter((node) => node.nodeType === Node.TEXT_NODE)
            .map((node) => node.data.replace(/[\\s\\u200b]+/g, " "))
            .join("")
            .trim();
        const color = element instanceof SVGElement ? style.fill : style.color;
        const sign = style.fontFamily.includes("Material Symbols");
        if (words && halo) {
            const contrast = ratio(parse(color).rgb, parse(getComputedStyle(halo).stroke).rgb);
            if (contrast < 4.5) found.push(`${words} on its halo: ${contrast.toFixed(2)}`);
        } else if (words) judge(element, color, sign ? 3 : 4.5, words.slice(0, 40));
        if (element.value && element.matches("input[type=text], input[type=number], textarea")) {
            judge(element, color, 4.5, element.value);
        }
        const ours = element.getRootNode() instanceof ShadowRoot;
        if (ours && element.matches("button, select, input[type=text]")) {
            judge(element, style.borderTopColor, 3, `border of ${element.name}`, true);
        }
        if (style.getPropertyValue("--gdg-bg-cell") && element.matches("[data-testid] > div")) {
            for (const [ink, ground] of [["dark", "cell"], ["header", "header"]]) {
                const below = parse(style.getPropertyValue(`--gdg-bg-${ground}`)).rgb;
                const text = over(style.getPropertyValue(`--gdg-text-${ink}`), below);
                const contrast = ratio(text, below);
                if (contrast < 4.5) found.push(`table's ${ground}: ${contrast.toFixed(2)}`);
            }
        }
    };
    walk(root ?? document.body);
    return looked < 15 ? ["texts are missing"] : [...new Set(found)];
}"""


class TestPages:
    def test_first_request_of_all_may_be_a_deep_link(self, new_tab):
        # This must stay the first test of the file: the server is fresh.
        tab = new_tab()
        tab.open("two-coins")
        expect(tab.page.get_by_text("Page not found")).to_have_count(0)
        assert tab.page.url.endswith("/two-coins")

    @pytest.mark.parametrize("path", PAGES)
    def test_paints(self, tab, path):
        tab.open(path)
        expect(tab.page.get_by_test_id("stException")).to_have_count(0)
        for box in tab.page.locator(DRAWN).all():
            size = box.bounding_box()
            assert size["width"] > 100
            assert size["height"] > 100
        assert tab.page.evaluate(OVERFLOWING) == []

    @pytest.mark.parametrize(
        ("query", "charts"),
        [
            ("two-coins?tc_start_a=0&tc_start_b=1&tc_hill=true&tc_convergence=true", 3),
            ("two-coins?tc_start_a=0&tc_start_b=0&tc_hard=true&tc_many_starts=true", 4),
            ("gaussian-mixture?gm_k=1&gm_size1=1&gm_floor=0&gm_hill=true", 5),
        ],
    )
    def test_degenerate_runs_draw_without_a_warning(self, tab, query, charts):
        tab.open(query, charts=charts)
        expect(tab.page.get_by_test_id("stException")).to_have_count(0)

    def test_start_page_leads_to_the_examples_and_back(self, tab):
        tab.open("")
        # Twice, since the second run of a session finds the pages in another way.
        for lesson in [*SERVED, SERVED[2]]:
            name = lesson.url_path
            card = tab.page.locator(f".st-key-home_card_{lesson.name}")
            card.get_by_role("link").click()
            tab.await_page(name)
            assert tab.page.url.endswith(f"/{name}")
            tab.go_to("Home", "")

    def test_bridge_from_maximum_likelihood_sets_the_mixture_up(self, tab):
        tab.open("maximum-likelihood")
        tab.page.get_by_role("link", name="See EM find the two groups").click()
        expect(tab.control("gm_mean1")).to_have_value("162")
        expect(tab.control("gm_mean2")).to_have_value("178")
        expect(tab.page.get_by_text("Changed in this link")).to_have_count(0)

    def test_bridge_leads_to_the_two_groups_whatever_was_set_there_and_back(self, tab):
        tab.open("gaussian-mixture?gm_data_seed=7")
        tab.go_to("Maximum likelihood", "maximum-likelihood")
        steps = tab.page.evaluate("history.length")
        tab.page.get_by_role("link", name="See EM find the two groups").click()
        expect(tab.control("gm_mean1")).to_have_value("162")
        expect(tab.control("gm_data_seed")).to_have_value("1")
        tab.page.wait_for_url(lambda url: "gm_mean1=162" in url and "gm_data_seed" not in url)
        # The link names defaults: they are taken out in one step, not in nine.
        assert tab.page.evaluate("history.length") - steps <= 3

    def test_largest_run_is_drawn_quickly(self, tab):
        # One invisible mark for each outcome and iteration used to keep the browser for minutes.
        tab.open(
            "two-coins?tc_tosses=200&tc_true_a=0.5&tc_true_b=0.49&tc_weights=true&tc_tol=0"
            "&tc_max_iter=500",
            charts=4,
        )
        tab.button("last").click()
        tab.expect_frame(500, 500)
        assert tab.page.locator("svg.marks *").count() < 5_000


class TestMiniature:
    COLORS = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]

    @staticmethod
    def means(tab):
        return [float(text) for text in tab.page.locator(".mini .mean").all_inner_texts()]

    @staticmethod
    def stands_at(tab):
        return tab.page.locator(".mini :is(.iteration, .now)").all_inner_texts()

    @staticmethod
    def pause(tab):
        """Pause it by the keyboard, and return the button, which keeps the focus."""
        play = tab.page.locator(".mini [name=play]")
        expect(play).to_have_text("Pause")
        play.focus()
        tab.page.keyboard.press("Enter")
        expect(play).to_have_text("Play")
        expect(play).to_be_focused()
        return play

    def test_plays_the_recorded_run_without_the_server_and_pauses(self, tab):
        _, trace = run()
        tab.open("")
        expect(tab.page.locator(".mini .iteration")).to_have_text("1")
        sent = tab.sent
        expect(tab.page.locator(".mini .now")).to_have_text("M-step: move the curves,")
        play = self.pause(tab)
        iteration = int(tab.page.locator(".mini .iteration").inner_text())
        done = "M-step" in tab.page.locator(".mini .now").inner_text()
        step = trace.steps[iteration if done else iteration - 1]
        assert self.means(tab) == pytest.approx(step.params.means, abs=0.006)
        play.press("Space")
        expect(play).to_have_text("Pause")
        assert tab.sent == sent

    def test_comes_first_then_the_lessons_then_the_reasons(self, tab):
        tab.resize(LAPTOP)
        tab.open("")
        mini = tab.page.locator(".mini")
        cards = [tab.page.locator(f".st-key-home_card_{each.name}") for each in SERVED]
        tab.expect_on_screen(tab.page.get_by_role("heading", level=1), mini, *cards)
        reasons = tab.page.get_by_role("heading", name="Why it is needed")
        for upper, lower in [
            *((mini, card) for card in cards),
            *((card, reasons) for card in cards),
        ]:
            box = upper.bounding_box()
            assert box["y"] + box["height"] <= lower.bounding_box()["y"]
        tab.resize({"width": 375, "height": 740})
        tab.expect_on_screen(mini)

    def test_rests_at_the_end_where_motion_is_not_wanted(self, new_tab):
        tab = new_tab()
        tab.page.emulate_media(reduced_motion="reduce")
        _, trace = run()
        tab.open("")
        expect(tab.page.locator(".mini .why")).to_contain_text(trace.message)
        expect(tab.page.locator(".mini [name=play]")).to_have_text("Play")
        assert self.means(tab) == pytest.approx(trace.final.params.means, abs=0.006)
        for words in ("Initial guess:", "E-step: share each value", "M-step: move the curves,"):
            tab.page.locator(".mini [name=step]").press("Enter")
            expect(tab.page.locator(".mini .now")).to_have_text(words)
        assert self.means(tab) == pytest.approx(trace.steps[1].params.means, abs=0.006)

    def test_stands_still_where_nobody_looks(self, new_tab):
        tab = new_tab(viewport=LAPTOP)
        tab.page.clock.install()
        tab.open("")
        expect(tab.page.locator(".mini .iteration")).to_have_text("1")

        def goes_on():
            before = self.stands_at(tab)
            tab.page.clock.run_for(10_000)
            return self.stands_at(tab) != before

        assert goes_on()
        mini = tab.page.locator(".mini")
        # Observers are told in their order: when this one knows, the miniature's does.
        mini.evaluate(
            """root => new IntersectionObserver((entries) => {
                root.dataset.seen = entries.at(-1).isIntersecting;
            }).observe(root)"""
        )
        expect(mini).to_have_attribute("data-seen", "true")
        tab.page.get_by_role("img", name="The EM loop").scroll_into_view_if_needed()
        expect(mini).to_have_attribute("data-seen", "false")
        assert not goes_on()
        mini.scroll_into_view_if_needed()
        expect(mini).to_have_attribute("data-seen", "true")
        assert goes_on()
        hide = """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
        tab.page.evaluate(hide, True)
        assert not goes_on()
        tab.page.evaluate(hide, False)
        assert goes_on()

    def test_keeps_its_place_and_can_be_read_in_another_theme(self, tab):
        tab.resize(LAPTOP)
        tab.open("")
        expect(tab.page.locator(".mini .iteration")).to_have_text("2")
        play = self.pause(tab)
        for scheme in ("dark", "light"):
            before = self.stands_at(tab)
            tab.page.emulate_media(color_scheme=scheme)
            for name, color in zip(
                "ab", self.COLORS[scheme]["chartCategoricalColors"], strict=False
            ):
                red, green, blue = bytes.fromhex(color[1:])
                curve = tab.page.locator(f".mini .curve.{name}")
                expect(curve).to_have_css("stroke", f"rgb({red}, {green}, {blue})")
            assert self.stands_at(tab) == before
            expect(play).to_have_text("Play")
            for _ in range(2):  # an E-step and an M-step
                tab.page.locator(".mini [name=step]").click()
                assert tab.page.locator(".mini").evaluate(FAINT) == []


class TestLook:
    @pytest.mark.parametrize("path", PAGES)
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_fits_a_phone_and_can_be_read(self, tab, path, scheme):
        tab.resize(PHONE, scheme)
        tab.open(path)
        background = tab.page.get_by_test_id("stApp").evaluate(
            "element => getComputedStyle(element).backgroundColor"
        )
        assert background == GROUND[scheme]
        tab.draw_as_svg()
        assert tab.page.evaluate(OVERFLOWING) == []
        assert tab.page.evaluate(FAINT) == []

    @pytest.mark.parametrize("width", [360, 1300])
    def test_nearest_looks_nearest(self, tab, width):
        """A unit is as long from left to right as from below upwards."""
        tab.resize({"width": width, "height": 900})
        tab.open("k-means")
        picture = tab.charts.first
        unit = "['x', 'y'].map(name => view.scale(name)).map(at => Math.abs(at(1) - at(0)))"
        across, up = tab.view(picture, unit)
        assert across > 1
        assert across == pytest.approx(up, rel=1e-3)
        assert tab.view(picture, "view.data('points').filter(point => !point.first).length") == 600

    def test_component_that_collapses_is_a_spike(self, tab):
        """Between its neighbours and itself it is nowhere."""
        tab.page.emulate_media(reduced_motion="reduce")
        tab.open("gaussian-mixture")
        tab.situation.click()
        tab.page.get_by_role("option", name="A variance that collapses").click()
        expect(tab.page.get_by_text("What can go wrong?").first).to_be_visible()
        tab.press_end()
        picture = tab.charts.first
        told = tab.await_drawn(lambda: tab.view(picture, TOLD), lambda now: "↑ to" in str(now))
        assert [text for text in told if re.fullmatch(r"↑ to [\d,]+", text)]
        width = tab.view(picture, "view.width()")
        curves = tab.await_drawn(lambda: tab.view(picture, CURVES), lambda now: len(now) > 1)
        spikes = [c for c in curves if min(y for _, y in c) < 1 and len({y for _, y in c}) < 5]
        assert spikes
        for spike in spikes:
            top, foot = min(y for _, y in spike), max(y for _, y in spike)
            high = [x for x, y in spike if y < (top + foot) / 2]
            assert max(high) - min(high) < width / 100
            # Nothing is drawn on the way to it: it stands on its foot beside where it is high.
            beside = [x for x, y in spike if y > foot - 1 and abs(x - high[0]) < width / 100]
            assert min(beside) < high[0] < max(beside)

    @pytest.mark.parametrize("path", ["two-coins?tc_gap=true", "k-means?km_gap=true"])
    def test_gaps_are_labelled_with_plain_numbers(self, tab, path):
        tab.page.emulate_media(reduced_motion="reduce")
        tab.open(path)
        tab.press_end()
        chart = tab.charts.nth(1)
        gap = "view.scenegraph().root.items[0].items.some((m) => m.role === 'title')"
        tab.await_drawn(lambda: tab.view(chart, gap), bool)
        tab.draw_as_svg()
        expect(chart.locator("text", has_text="gap to where this run").first).to_be_visible()
        labels = chart.locator(".role-axis-label text").all_text_contents()
        values = [label for label in labels if label]
        assert len(values) > 4
        assert all(re.fullmatch(r"\d+(\.\d+)?", label) for label in values)

    def test_labels_of_many_lines_do_not_cover_each_other(self, tab):
        tab.open("gaussian-mixture?gm_k=8")
        tab.draw_as_svg()
        chart = tab.charts.nth(2)
        labels = chart.locator("text").filter(has_text=re.compile("^(true|known)"))
        expect(labels).to_have_count(2)
        assert labels.all_text_contents() == ["true", "known"]

    @pytest.mark.parametrize("size", [LAPTOP, {"width": 320, "height": 740}], ids=str)
    def test_hill_and_map_are_square(self, tab, size):
        """What they show is symmetric about the diagonal."""
        tab.resize(size)
        tab.open("two-coins?tc_trials=50&tc_hill=true&tc_many_starts=true", charts=8)
        for words in ("Bands of equal", "The square of starts"):
            chart = tab.page.locator(f"[data-testid=stVegaLiteChart][aria-label^='{words}']")
            sides = "['x', 'y'].map(name => view.scale(name).range())"
            (left, right), (bottom, top) = tab.view(chart, sides)
            assert right - left == pytest.approx(bottom - top)
            assert right - left > 180

    def test_player_is_at_hand_on_a_phone(self, new_tab):
        tab = new_tab(viewport=PHONE, has_touch=True)
        tab.open(PUBLISHED)
        tab.button("forward").tap()
        tab.expect_frame(1, 10)
        for name in ("back", "play", "forward", "last", "more"):
            box = tab.button(name).bounding_box()
            assert box["height"] >= 40
            assert box["width"] >= 32
        assert tab.slider.bounding_box()["height"] >= 24
        assert tab.player.bounding_box()["height"] <= 56  # one row

    @pytest.mark.parametrize(
        "size", [PHONE, {"width": 320, "height": 640}, {"width": 650, "height": 400}], ids=str
    )
    def test_player_is_one_row_that_opens(self, tab, size):
        """On a phone, a small one, and at 200% zoom on a laptop."""
        tab.resize(size)
        tab.open(PUBLISHED)
        for hidden in ("first", "halves", "speed", "more"):
            control = tab.page.locator(f".player [name={hidden}]")
            expect(control).to_be_visible(visible=hidden == "more")
        expect(tab.page.locator(".numbers dd").first).to_be_hidden()
        expect(tab.button("more")).to_have_attribute("aria-expanded", "false")
        tab.button("more").click()
        expect(tab.button("more")).to_have_attribute("aria-expanded", "true")
        for shown in ("first", "halves", "speed"):
            expect(tab.page.locator(f".player [name={shown}]")).to_be_visible()
        expect(tab.page.locator(".numbers dd").first).to_be_visible()
        tab.button("more").click()
        expect(tab.button("first")).to_be_hidden()
        header = tab.page.get_by_test_id("stHeader").bounding_box()["height"]
        box = tab.player.bounding_box()
        assert header + box["height"] <= size["height"] / 4
        # It stays in sight, but for where it would take much of what is seen.
        tab.page.get_by_role("heading", name="Often believed").scroll_into_view_if_needed()
        assert box["height"] <= 56
        if size["height"] > 480:
            tab.expect_on_screen(tab.player)
        else:
            expect(tab.player).not_to_be_in_viewport()

    @pytest.mark.parametrize("path", EXAMPLES)
    @pytest.mark.parametrize("size", [LAPTOP, DESKTOP], ids=str)
    def test_instrument_fits_one_screen(self, tab, path, size):
        tab.resize(size)
        tab.open(path)
        main = tab.page.get_by_test_id("stMain")
        tab.expect_on_screen(
            main.get_by_role("heading", level=1),
            main.get_by_test_id("stMarkdown").first,  # the lead
            main.get_by_test_id("stAlert").first,  # the situation's question
            tab.player,
            *(tab.charts.nth(i) for i in range(3)),
        )
        if size == DESKTOP:
            tab.expect_on_screen(tab.status_line)
        assert tab.page.get_by_test_id("stSidebar").bounding_box()["x"] == 0  # open

    @pytest.mark.parametrize("uncovered", ["false", "true"])
    def test_maximum_likelihood_fits_one_screen(self, tab, uncovered):
        tab.resize(LAPTOP)
        tab.open(f"maximum-likelihood?ml_hill={uncovered}")
        main = tab.page.get_by_test_id("stMain")
        tab.expect_on_screen(
            main.get_by_role("heading", level=1),
            main.get_by_test_id("stMarkdown").first,
            *([main.get_by_test_id("stAlert").first] if uncovered == "false" else []),
            *(tab.page.locator(f".st-key-ml_guess_{name}") for name in ("mean", "std")),
            *main.get_by_test_id("stMetric").all(),
            tab.charts.nth(0),
            tab.charts.nth(1),
        )

    def test_guess_and_curve_fit_one_screen_of_a_phone(self, tab):
        tab.resize({"width": 375, "height": 740})
        tab.open("maximum-likelihood")
        sliders = [tab.page.locator(f".st-key-ml_guess_{name}") for name in ("mean", "std")]
        tab.charts.first.scroll_into_view_if_needed()
        tab.expect_on_screen(*sliders, tab.charts.first)

    @pytest.mark.parametrize("width", [375, 1024])
    def test_no_metric_is_cut(self, tab, width):
        tab.resize({"width": width, "height": 768})
        tab.open("maximum-likelihood?ml_hill=true&ml_size=100000&ml_guess_mean=250&ml_guess_std=1")
        parts = tab.page.locator("[data-testid=stMetricLabel] *, [data-testid=stMetricValue] *")
        assert parts.count() >= 6
        assert parts.evaluate_all("all => all.filter(e => e.scrollWidth > e.clientWidth + 1)") == []

    def test_click_on_the_covered_plane_sets_the_guess(self, tab):
        tab.open("maximum-likelihood")
        plane = tab.charts.nth(1).locator("canvas.marks")
        size = plane.bounding_box()
        mean, std = (tab.page.locator(f".st-key-ml_guess_{name}") for name in ("mean", "std"))
        plane.click(position={"x": 0.7 * size["width"], "y": 0.3 * size["height"]})
        expect(mean).not_to_contain_text("162")
        expect(std).not_to_contain_text("14")
        tab.page.wait_for_url(lambda url: "ml_guess_mean=" in url and "ml_guess_std=" in url)
        expect(tab.page.get_by_test_id("stMetric")).to_have_count(2)

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_player_and_picture_fit_one_screen_of_a_phone(self, new_tab, path):
        tab = new_tab(viewport={"width": 375, "height": 740}, has_touch=True)
        tab.open(path)
        main = tab.page.get_by_test_id("stMain")
        header = tab.page.get_by_test_id("stHeader").bounding_box()["height"]

        def swipe() -> float:
            """Bring the picture right below the player; return how far it had to go."""
            place, height = tab.charts.first.bounding_box(), tab.player.bounding_box()["height"]
            way = place["y"] - header - height - 4
            main.evaluate("(main, way) => main.scrollBy(0, way)", way)
            return way

        # More than once, since fonts that arrive late move it.
        assert abs(tab.await_drawn(swipe, lambda way: abs(way) < 1)) < 1
        assert main.evaluate("main => main.scrollTop") <= 740
        tab.expect_on_screen(tab.player, tab.charts.first, tab.status_line)
        # The picture is first, the convergence charts come below it.
        first, second = (tab.charts.nth(i).bounding_box() for i in range(2))
        assert first["y"] + first["height"] <= second["y"]

    def test_notice_is_seen_on_a_phone(self, tab):
        tab.resize(PHONE)
        tab.open("two-coins?tc_tosses=999")
        expect(tab.page.get_by_text("Changed in this link")).to_be_in_viewport()


class TestPlayer:
    def test_charts_have_hidden_inputs(self, tab):
        # The player drives the charts by these names, which are Vega's and Streamlit's own.
        tab.open("gaussian-mixture")
        inputs = tab.page.locator(".vega-bindings input[name=place]")
        expect(inputs).to_have_count(5)
        for element in inputs.all():
            expect(element).to_be_hidden()

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_drives_every_chart_without_the_server(self, tab, path):
        # Seen from the end, there are charts that rest, too. Others would glide to where they land.
        tab.page.emulate_media(reduced_motion="reduce")
        tab.open(path)
        last = int(tab.slider.get_attribute("max"))
        assert last >= 3
        tab.press_end()
        tab.await_charts(AT_THE_END.get(path, 3))
        tab.button("first").click()
        tab.expect_frame(0, last)
        sent = tab.sent
        at_start, numbers = tab.pictures(), [tab.readout]
        bound = tab.page.locator(".vega-bindings input[name=place]").count()

        tab.button("forward").click()
        tab.expect_frame(1, last)
        numbers.append(tab.readout)
        after_one = self.await_change(tab, at_start, bound)
        tab.button("last").click()
        tab.expect_frame(last, last)
        numbers.append(tab.readout)
        at_end = self.await_change(tab, after_one, bound)
        assert at_end != at_start
        expect(tab.button("forward")).to_be_disabled()
        expect(tab.button("last")).to_be_disabled()
        tab.button("back").click()
        tab.expect_frame(last - 1, last)
        tab.slider.fill("1")
        tab.expect_frame(1, last)
        tab.button("first").click()
        tab.expect_frame(0, last)
        tab.expect_pictures(at_start)
        # The same way as before: a canvas that is painted in parts has other pixels at their edges.
        tab.button("forward").click()
        tab.expect_frame(1, last)
        tab.expect_pictures(after_one)
        tab.button("first").click()
        tab.expect_frame(0, last)
        expect(tab.button("back")).to_be_disabled()
        expect(tab.button("first")).to_be_disabled()
        assert len({tuple(row) for row in numbers}) == 3

        # Messages are sent in order: were one of the above late, it would count with this one.
        assert tab.sent == sent
        tab.type_into(f"{prefix(path)}_max_iter", "2")
        expect(tab.slider).to_have_attribute("max", "2")
        assert tab.sent == sent + 1

    @staticmethod
    def await_change(tab: Tab, before: list[str], bound: int) -> list[str]:
        """Wait until each chart that follows the player draws something else, and no other."""

        def changed(now: list[str]) -> list[bool]:
            return [new != old for new, old in zip(now, before, strict=True)]

        wanted = [True] * bound + [False] * (len(before) - bound)
        now = tab.await_drawn(tab.pictures, lambda now: changed(now) == wanted)
        assert changed(now) == wanted
        return now

    def test_readout_and_picture_are_those_of_the_iteration(self, tab):
        tab.open(PUBLISHED)
        model, start = BinomialMixture(10), BinomialParams([0.6, 0.5], [0.5, 0.5])
        trace = fit(model, published_trials().data, start, tol=0, max_iter=10)
        for step in trace.steps:
            if step.iteration:
                tab.button("forward").click()
            tab.expect_frame(step.iteration, 10)
            thetas = step.params.heads_prob
            assert tab.readout == [*(f"{theta:.3f}" for theta in thetas), f"{step.objective:,.4f}"]
            weights = model.e_step(np.arange(11), step.params).responsibilities
            if step.iteration == 0:
                weights[:] = np.nan  # nothing is shared before the first E-step

            def settled(drawn: np.ndarray, wanted: np.ndarray = weights) -> bool:
                # Shown to three digits.
                return np.allclose(drawn, wanted, rtol=0, atol=6e-4, equal_nan=True)

            drawn = tab.await_drawn(tab.shares, settled)
            assert settled(drawn), f"{drawn} instead of {weights}"

    def test_golden_numbers_can_be_read_off(self, tab):
        tab.open(PUBLISHED)
        tab.button("forward").click()
        tab.expect_frame(1, 10)
        assert tab.readout[:2] == ["0.713", "0.581"]
        tab.button("last").click()
        tab.expect_frame(10, 10)
        assert tab.readout[:2] == ["0.797", "0.520"]

    def test_plays_to_the_end(self, tab):
        tab.open(PUBLISHED)
        sent = tab.sent
        play = tab.button("play")
        tab.page.locator("select[name=speed]").select_option("fast")
        play.click()
        expect(play).to_have_text("Pause")
        tab.expect_frame(10, 10)
        expect(play).to_have_text("Play")
        # The server hears once that the end was reached, and sends what tells it.
        expect(tab.page.get_by_role("heading", name="Iteration table")).to_be_visible()
        # From the end, it plays from the start again, and can be paused.
        tab.page.locator("select[name=speed]").select_option("slow")
        play.click()
        expect(tab.page.locator(".readout .label")).not_to_have_text("Iteration 10 of 10")
        play.click()
        expect(play).to_have_text("Play")
        tab.expect_frame(int(tab.slider.input_value()), 10)
        assert tab.sent == sent + 1

    def test_obeys_the_keyboard(self, tab):
        tab.open(PUBLISHED)
        tab.slider.focus()
        for key, frame in [
            ("ArrowRight", 1),
            ("ArrowRight", 2),
            ("ArrowLeft", 1),
            ("End", 10),
            ("Home", 0),
        ]:
            tab.page.keyboard.press(key)
            tab.expect_frame(frame, 10)
        assert tab.slider.get_attribute("aria-valuetext") == "Initial guess"
        tab.page.keyboard.press("Tab")
        expect(tab.page.locator("input[name=halves]")).to_be_focused()
        tab.page.keyboard.press("Tab")
        expect(tab.page.locator("select[name=speed]")).to_be_focused()
        tab.button("play").focus()
        tab.page.keyboard.press("Enter")
        expect(tab.button("play")).to_have_text("Pause")
        tab.slider.focus()
        tab.page.keyboard.press("Space")
        expect(tab.button("play")).to_have_text("Play")

    def test_half_steps_move_responsibilities_and_parameters_in_turn(self, tab):
        tab.open(PUBLISHED)
        tab.page.locator("input[name=halves]").check()
        expect(tab.slider).to_have_attribute("step", "0.5")
        for iteration, assigned, words in [
            (0, 0, "Iteration 1, E-step done"),
            (1, 0, "Iteration 1, M-step done"),
            (1, 1, "Iteration 2, E-step done"),
            (2, 1, "Iteration 2, M-step done"),
        ]:
            tab.button("forward").click()
            expect(tab.page.locator(".readout .label")).to_have_text(words)
            inputs = tab.page.locator(".vega-bindings input[name=place]")
            for each in inputs.all():  # all three are in view
                expect(each).to_have_value(str(place(iteration, assigned)))
        tab.page.wait_for_url("**tc_iter=2")

    def test_half_steps_of_k_means_never_raise_the_inertia(self, tab):
        tab.open("k-means")
        tab.page.locator("input[name=halves]").check()
        last = int(tab.slider.get_attribute("max"))
        seen = []
        for half in range(1, 2 * last + 1):
            tab.button("forward").click()
            place = f"Iteration {(half + 1) // 2}"
            step, name = "E-step done", "Inertia"
            if half % 2 == 0:
                step, name = "M-step done", "Inertia after the M-step"
            label = tab.page.locator(".readout .label")
            expect(label).to_have_text(re.compile(f"^{place}( of {last})?, {step}$"))
            expect(tab.page.locator(".numbers dt")).to_have_text(name)
            seen.append(tab.readout[0])
            if half < 2 * last:
                line = f"{place}, {step}. {name} {seen[-1]}."
                expect(tab.status_line).to_have_text(line)
        # Of the colours shown, and of the next assignment.
        assert seen[1].startswith("1,442.0")
        assert seen[2].startswith("1,254.15")
        inertias = [float(text.replace(",", "")) for text in seen]
        assert inertias == sorted(inertias, reverse=True)
        assert len(set(inertias)) > last

    def test_at_rest_the_address_names_the_iteration_and_the_server_is_left_alone(self, tab):
        tab.open(PUBLISHED)
        sent = tab.sent
        tab.slider.fill("4")
        tab.page.wait_for_url("**tc_iter=4")
        assert tab.sent == sent

    def test_with_a_section_open_the_server_hears_once_where_it_stopped(self, tab):
        tab.open(f"{PUBLISHED}&tc_by_hand=true")
        standing = tab.page.get_by_text("where the player stands")
        expect(standing).to_contain_text("At the initial guess")
        sent = tab.sent
        # In one go: a slow machine could take so long between clicks that each were a stop.
        tab.button("forward").evaluate("button => { for (let i = 0; i < 3; i++) button.click(); }")
        expect(standing).to_contain_text("At iteration 3")
        assert tab.sent == sent + 1
        tab.page.wait_for_url("**tc_iter=3**")

    def test_a_click_on_the_picture_picks_the_observation(self, tab):
        tab.open(f"{PUBLISHED}&tc_by_hand=true")
        labels = tab.bars.evaluate_all("bars => bars.map(bar => bar.__data__.datum)")
        # The part that is seen: before the first E-step a bar is one piece.
        (nine, *_) = (i for i, bar in enumerate(labels) if bar["label"] == "9" and bar["part"] > 0)
        tab.bars.nth(nine).click()
        trial = 1 + int(np.flatnonzero(published_trials().data == 9)[0])
        expect(tab.control("tc_observation")).to_have_value(str(trial))
        expect(tab.page.get_by_text(f"Trial {trial} shows 9 heads")).to_be_visible()

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_what_was_clicked_is_marked_and_its_shares_follow_the_player(self, tab, path):
        tab.open(path)
        picture = tab.charts.first
        told = "view.data('chosen')[0].label"
        assert tab.view(picture, told) == ""
        x, y = tab.view(picture, CLICKABLE)
        picture.click(position={"x": x, "y": y})
        tab.page.wait_for_url(f"**{prefix(path)}_observation=*")
        label = tab.await_drawn(lambda: tab.view(picture, told), bool)
        number = int(re.search(r"\d+", label).group())
        assert f"{prefix(path)}_observation={number}" in tab.page.url
        seen = []
        for t in range(3):
            if t:
                tab.button("forward").click()
            tab.expect_frame(t, 0)
            words = tab.view(picture, f"view.data('chosen')[{t}].text") if t else label
            (drawn,) = tab.await_drawn(
                lambda: tab.view(picture, CHOSEN), lambda now, words=words: now == [words]
            )
            seen.append(drawn)
        assert seen[0] == label
        assert all(words.startswith(f"{label}: ") for words in seen[1:])
        assert len(set(seen)) > 1

    @pytest.mark.parametrize("at", [0, 2])
    def test_a_click_sets_a_start_where_it_is_to(self, tab, at):
        """It is one step of the browser's Back, and the player goes to the initial guess."""
        tab.open("k-means?km_place=true" + f"&km_iter={at}" * (at > 0))
        picture = tab.charts.first
        tab.expect_frame(at, 5)
        x, y = tab.view(picture, CLICKABLE)
        entries = tab.page.evaluate("history.length")
        picture.click(position={"x": x, "y": y})
        tab.page.wait_for_url("**km_place_k=2**")
        tab.expect_frame(0, 0)
        row = int(tab.control("km_start_row1").input_value())
        (point,) = tab.view(
            picture,
            f"view.data('points').filter(p => p.observation == {row} && !p.first)"
            ".map(p => [p.x, p.y])",
        )
        start = "(start => [start.x, start.y])(view.data('steps')[0])"
        assert tab.await_drawn(lambda: tab.view(picture, start), point.__eq__) == point
        assert tab.page.evaluate("history.length") == entries + 1
        assert "km_iter" not in tab.page.url

    def test_keeps_its_iteration_over_a_rerun(self, tab):
        tab.open(PUBLISHED)
        tab.slider.fill("4")
        tab.expect_frame(4, 10)
        # Hard assignment gives one chart another title, so that it is built anew.
        tab.type_into("tc_max_iter", "6")
        expect(tab.slider).to_have_attribute("max", "6")
        tab.expect_frame(4, 6)
        tab.page.get_by_test_id("stSidebar").get_by_text("Hard assignment").click()
        expect(tab.page.get_by_text("Classification log-likelihood").first).to_be_visible()
        start = BinomialParams([0.6, 0.5], [0.5, 0.5])
        model = HardEM(BinomialMixture(10))
        last = fit(model, published_trials().data, start, tol=0, max_iter=6).n_iter
        assert last < 4
        expect(tab.slider).to_have_attribute("max", str(last))
        tab.await_charts(3)
        tab.expect_frame(last, last)

    def test_stays_at_the_end_when_the_run_changes(self, tab):
        tab.open(f"{PUBLISHED}&tc_by_hand=true")
        standing = tab.page.get_by_text("where the player stands")
        tab.button("last").click()
        tab.expect_frame(10, 10)
        expect(standing).to_contain_text("At iteration 10")
        tab.type_into("tc_max_iter", "3")
        tab.expect_frame(3, 3)
        assert len(tab.readout) == 3
        tab.page.wait_for_url("**tc_iter=3**")
        expect(standing).to_contain_text("At iteration 3")
        # A longer run, too; and the server, whose numbers stand below, hears of it.
        tab.type_into("tc_max_iter", "12")
        tab.expect_frame(12, 12)
        tab.page.wait_for_url("**tc_iter=12**")
        expect(standing).to_contain_text("At iteration 12")

    def test_elsewhere_it_stays_where_it_is(self, tab):
        tab.open(PUBLISHED)
        tab.slider.fill("4")
        tab.type_into("tc_max_iter", "3")
        tab.expect_frame(3, 3)
        # That was not the visitor's doing.
        tab.type_into("tc_max_iter", "8")
        tab.expect_frame(4, 8)

    def test_link_to_the_last_iteration_opens_at_the_end_and_stays_there(self, tab):
        tab.open(f"{PUBLISHED}&tc_iter=500")
        tab.expect_frame(10, 10)
        tab.page.wait_for_url("**tc_iter=10**")
        tab.type_into("tc_max_iter", "12")
        tab.expect_frame(12, 12)

    def test_keyboard_works_on_at_both_ends(self, tab):
        # A disabled button would lose the focus, and with it the keys.
        tab.open(PUBLISHED)
        tab.button("last").focus()
        tab.page.keyboard.press("Enter")
        tab.expect_frame(10, 10)
        expect(tab.button("last")).to_be_focused()
        expect(tab.button("last")).to_have_attribute("aria-disabled", "true")
        tab.page.keyboard.press("Enter")
        tab.page.keyboard.press("ArrowLeft")
        tab.expect_frame(9, 10)
        tab.button("first").focus()
        tab.page.keyboard.press("Enter")
        tab.expect_frame(0, 10)
        tab.page.keyboard.press("ArrowRight")
        tab.expect_frame(1, 10)

    def test_keeps_its_iteration_over_a_page_switch(self, tab):
        tab.open(PUBLISHED)
        tab.slider.fill("7")
        tab.expect_frame(7, 10)
        picture = tab.pictures()[0]
        tab.go_to("K-Means", "k-means")
        tab.button("forward").click()
        tab.expect_frame(1, int(tab.slider.get_attribute("max")))
        tab.go_to("Two coins", "two-coins")
        tab.expect_frame(7, 10)
        tab.expect_pictures([picture, *tab.pictures()[1:]])
        tab.go_to("K-Means", "k-means")
        tab.expect_frame(1, int(tab.slider.get_attribute("max")))

    def test_goes_back_to_the_guess_with_a_situation_and_a_reset(self, tab):
        tab.open(f"{PUBLISHED}&tc_by_hand=true&tc_iter=4")
        tab.expect_frame(4, 10)  # as the link says
        tab.situation.click()
        tab.page.get_by_role("option", name="The same start for both coins").click()
        tab.expect_frame(0, 2)
        standing = tab.page.get_by_text("where the player stands")
        expect(standing).to_contain_text("At the initial guess")
        tab.button("last").click()
        expect(standing).to_contain_text("At iteration 2")
        tab.page.get_by_role("button", name="Start from the defaults").click()
        tab.expect_frame(0, 11)
        expect(standing).to_have_count(0)
        tab.page.wait_for_url(f"{tab.url}/two-coins")
        # Once only: it can be played again.
        tab.button("last").click()
        tab.type_into("tc_max_iter", "6")
        tab.expect_frame(6, 6)

    def test_back_at_the_guess_the_address_names_no_iteration(self, tab):
        tab.open("two-coins?tc_iter=4&tc_by_hand=true")
        tab.button("first").click()
        expect(tab.page.get_by_text("where the player stands")).to_contain_text("initial guess")
        tab.page.wait_for_url(f"{tab.url}/two-coins?tc_by_hand=true")

    def test_stops_when_its_page_is_left(self, tab):
        tab.page.add_init_script(
            """
            window.ticking = new Set();
            const {setInterval: start, clearInterval: stop} = window;
            window.setInterval = (...call) => {
                const id = start(...call);
                ticking.add(id);
                return id;
            };
            window.clearInterval = (id) => { ticking.delete(id); stop(id); };
            """
        )
        tab.open(PUBLISHED)
        tab.page.locator("select[name=speed]").select_option("slow")
        (started,) = tab.button("play").evaluate(
            """button => {
                const before = new Set(ticking);
                button.click();
                return [...ticking].filter(id => !before.has(id));
            }"""
        )
        tab.go_to("K-Means", "k-means")
        # Long before it would have come to the last iteration.
        tab.page.wait_for_function("started => !ticking.has(started)", arg=started, timeout=5_000)
        tab.expect_frame(0, int(tab.slider.get_attribute("max")))
        expect(tab.button("play")).to_have_text("Play")


# Serious for axe, and Streamlit's own: the rule, where it is broken, and why the app leaves it so.
STREAMLITS_OWN = {
    # Its navigation puts a list's headings into the list, each in a div with the pages below it.
    "list": "[data-testid=stSidebarNav]",
    "listitem": "[data-testid=stSidebarNav]",
    # A diagram has a name but no role while it is being drawn, again after each change of theme.
    "aria-prohibited-attr": "[data-testid=stMermaidChart][aria-busy=true]",
}
# From npm, in the version of tests/package.json; PyPI has no package of it for this Python.
# Without npm, the tests take the older one that comes from PyPI.
PINNED = ROOT / "tests" / "node_modules" / "axe-core" / "axe.min.js"
# A change of theme moves the colours.
SETTLED = """async () => {
    const moving = document.getAnimations().filter((each) => each instanceof CSSTransition);
    await Promise.allSettled(moving.map(({finished}) => finished));
}"""
AXE = """async (own) => {
    const rules = {"target-size": {enabled: true}};
    const {violations} = await axe.run(document, {resultTypes: ["violations"], rules});
    return violations
        .filter(({impact}) => ["serious", "critical"].includes(impact))
        .flatMap(({id, nodes}) => nodes
            .filter(({target: [place]}) =>
                !own[id] || !document.querySelector([place].flat()[0])?.closest(own[id]))
            .map(({html, failureSummary}) => `${id}: ${html.slice(0, 200)} ${failureSummary}`));
}"""
# Puts a chart on the page that draws what lies between two iterations.
CHART = """() => {
    const chart = document.createElement("div");
    chart.dataset.testid = "stVegaLiteChart";
    chart.id = "gliding";
    chart.style = "position: fixed; inset: 0 0 auto auto; z-index: 999";
    chart.innerHTML = `<form class="vega-bindings">
        <input type="range" name="place" min="0" max="501500" step="0.01" value="1000">
    </form>here`;
    document.body.append(chart);
}"""
# Moves the player, and lets a second of a time of its own go by.
GLIDE = """button => {
    const field = document.querySelector("#gliding input[name=place]");
    const seen = [];
    const note = () => {
        const [at, assigned] = [Number(field.value) % 1000, Math.floor(field.value / 1000) - 1];
        seen.push([Math.round(100 * at) / 100, assigned]);
    };
    field.addEventListener("input", note);
    const {setTimeout: real} = window;
    const waiting = [];
    let now = 0;
    window.setTimeout = (callback, ms) => waiting.push({callback, due: now + ms});
    button.click();
    for (; now < 1000; now += 10) {
        for (const each of waiting.filter(({due}) => due <= now)) {
            waiting.splice(waiting.indexOf(each), 1);
            each.callback();
        }
    }
    window.setTimeout = real;
    field.removeEventListener("input", note);
    return seen;
}"""
# Puts all charts between two iterations, as the player does when it glides.
SLID = """async (at) => {
    for (const input of document.querySelectorAll(".vega-bindings input")) {
        const assigned = at % 1 ? Math.floor(input.value / 1000) - 1 : at || -1;
        input.value = 1000 * (assigned + 1) + at;
        input.dispatchEvent(new Event("input", { bubbles: true }));
    }
    await new Promise(requestAnimationFrame);
    await new Promise(requestAnimationFrame);
}"""
# The middle of a mark that can be clicked: a bar that is high enough, or the leftmost point.
CLICKABLE = """(() => {
    let found;
    const walk = ({ marktype, items }, left, top) => {
        for (const item of items) {
            const [x, y] = [left + (item.x ?? 0), top + (item.y ?? 0)];
            if (marktype === "rect" && item.datum?.label && item.height > 20) {
                found ??= [x + item.width / 2, y + item.height / 2];
            }
            if (marktype === "symbol" && item.datum?.observation > 1) {
                if (!found || x < found[0]) found = [x, y]; // nothing covers the outermost
            }
            for (const mark of item.items ?? []) walk(mark, x, y);
        }
    };
    const [left, top] = view.origin();
    walk(view.scenegraph().root, left + view.padding().left, top + view.padding().top);
    return found;
})()"""
# All that is written in a picture, and its lines.
BUSY = "[data-testid=stMermaidChart][aria-busy=true]"
TOLD = """(() => {
    const found = [];
    const walk = ({ marktype, items }) => {
        for (const item of items) {
            if (marktype === "text") found.push(String(item.text));
            for (const mark of item.items ?? []) walk(mark);
        }
    };
    walk(view.scenegraph().root);
    return found;
})()"""
CURVES = """(() => {
    const found = [];
    const walk = ({ marktype, items }) => {
        if (marktype === "line" && items.length) found.push(items.map(({ x, y }) => [x, y]));
        for (const item of items) for (const mark of item.items ?? []) walk(mark);
    };
    walk(view.scenegraph().root);
    return found;
})()"""
# What is written in a picture about the observation that was chosen.
CHOSEN = """(() => {
    const found = [];
    const walk = ({ marktype, items }) => {
        for (const item of items) {
            if (marktype === "text" && item.datum?.chosen) found.push(item.text);
            for (const mark of item.items ?? []) walk(mark);
        }
    };
    walk(view.scenegraph().root);
    return found;
})()"""
# What a chart draws, and where.
MARKS = """(() => {
    const found = [];
    const walk = ({ marktype, items }) => {
        for (const { items: marks, x, y, x2, y2, width, height, text, opacity } of items) {
            const places = [x, y, x2, y2, width, height].map((v) => Math.round(100 * v) || 0);
            if (marktype !== "group") found.push([marktype, ...places, text, opacity]);
            for (const mark of marks ?? []) walk(mark);
        }
    };
    walk(view.scenegraph().root);
    return found.map((mark) => JSON.stringify(mark)).sort();
})()"""
HEADINGS = """main => {
    const found = [];
    const walk = (element) => {
        const named = /^h[1-6]$/.test(element.localName);
        if (named || element.role === "heading") {
            found.push([Number(element.ariaLevel ?? element.localName[1]), element.textContent]);
        }
        [...(element.shadowRoot ?? element).children].forEach(walk);
    };
    walk(main);
    return found;
}"""


class TestAccessibility:
    def check(self, tab: Tab) -> None:
        """Look for faint text in both themes, wide and narrow, and for violations.

        What they look for follows the theme in its colours only, which are measured in all.
        """
        expect(tab.page.get_by_test_id("stApp")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )
        tab.page.evaluate((PINNED if PINNED.exists() else AXE_FILE_PATH).read_text())
        narrow = {"width": 375, "height": 740}
        for size, scheme, look in [
            (LAPTOP, "light", [(AXE, STREAMLITS_OWN), (FAINT, None)]),
            (LAPTOP, "dark", [(FAINT, None)]),
            (narrow, "light", [(FAINT, None)]),
            (narrow, "dark", [(AXE, STREAMLITS_OWN), (FAINT, None)]),
        ]:
            tab.resize(size, scheme)
            expect(tab.page.get_by_test_id("stApp")).to_have_css("background-color", GROUND[scheme])
            tab.page.evaluate(SETTLED)
            # Diagrams are drawn anew in another theme.
            expect(tab.page.locator(BUSY)).to_have_count(0)
            tab.draw_as_svg()
            tab.await_drawn(lambda: tab.page.evaluate(FAINT), [].__eq__)
            for script, known in look:
                assert tab.page.evaluate(script, known) == [], (size, scheme)

    def test_rules_are_the_pinned_ones_in_ci(self):
        pinned = json.loads((ROOT / "tests" / "package.json").read_text())["devDependencies"]
        if not PINNED.exists():
            assert not os.environ.get("CI"), "CI runs npm ci in tests/ before"
            pytest.skip("axe-core is not installed from npm")
        assert PINNED.read_text().startswith(f"/*! axe v{pinned['axe-core']}\n")

    @pytest.mark.parametrize("path", PAGES)
    def test_page_has_no_serious_violation_and_no_faint_text(self, tab, path):
        tab.resize(LAPTOP)
        tab.open(path)
        self.check(tab)

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_open_sections_at_the_end_have_none(self, tab, path):
        (lesson,) = (each for each in SERVED if each.url_path == path)
        names = sections_of(lesson)
        tab.resize(LAPTOP)
        opened = "&".join(f"{prefix(path)}_{name}=true" for name in names)
        tab.page.goto(f"{tab.url}/{path}?{prefix(path)}_iter=500&{opened}")
        expect(tab.page.locator("details[open]")).to_have_count(len(names))
        expect(tab.page.get_by_role("heading", name="Often believed")).to_be_visible()
        self.check(tab)

    def test_first_stop_of_the_keyboard_leads_to_the_player(self, tab):
        tab.open(PUBLISHED)
        tab.page.keyboard.press("Tab")
        skip = tab.page.get_by_role("link", name="Skip to the player")
        expect(skip).to_be_focused()
        expect(skip).to_be_in_viewport()
        tab.page.keyboard.press("Enter")
        expect(tab.button("play")).to_be_focused()
        tab.page.keyboard.press("End")
        tab.expect_frame(10, 10)
        tab.go_to("Home", "")
        expect(skip).to_have_count(0)

    def test_keys_are_written_where_there_is_room(self, tab):
        tab.resize(LAPTOP)
        tab.open(PUBLISHED)
        expect(tab.page.locator(".keys")).to_have_text("Keys: Space ← → Home End")
        tab.resize(PHONE)
        expect(tab.page.locator(".keys")).to_be_hidden()

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_charts_say_where_the_player_stands(self, tab, path):
        tab.open(path)
        driven = tab.charts.filter(has=tab.page.locator(".vega-bindings input[name=place]"))
        count = PAGES[path][1]
        expect(driven).to_have_count(count)
        alts = [chart.get_attribute("aria-label") for chart in driven.all()]
        for words in ("Iteration 1.", "Iteration 2."):
            tab.button("forward").click()
            items = zip(tab.page.locator(".numbers dt").all_inner_texts(), tab.readout, strict=True)
            numbers = ", ".join(" ".join(item) for item in items)
            for chart, first in zip(driven.all(), alts, strict=True):
                alt, _, _ = first.partition(" Initial guess. ")
                expect(chart).to_have_attribute("aria-label", f"{alt} {words} {numbers}.")

    @pytest.mark.parametrize("path", PAGES)
    def test_headings_are_in_order(self, tab, path):
        tab.open(path)
        # The sidebar's come first: as high as the page's own sections.
        found = tab.page.locator("body").evaluate(HEADINGS)
        levels = [level for level, _ in found]
        assert levels.count(1) == 1
        assert set(levels[: levels.index(1)]) <= {2}
        assert [pair for pair in pairwise(levels) if pair[1] > pair[0] + 1] == [], found
        titles = {title for _, title in found}
        if path in EXAMPLES:
            (lesson,) = (each for each in SERVED if each.url_path == path)
            assert {section.label for section in sections_of(lesson).values()} <= titles
            # A chart's title is part of its picture. Its name says what it shows.
            named = re.compile("^(Log-likelihood|Inertia) at each iteration played so far")
            expect(tab.page.get_by_label(named)).to_be_attached()

    def test_sections_look_as_if_they_open(self, tab):
        tab.open("two-coins")
        section = tab.page.locator("summary").filter(has_text="Many starts")

        def sign(place: str, value: str) -> str:
            return section.evaluate(
                "(s, [place, value]) => getComputedStyle(s, place)[value]", [place, value]
            )

        assert sign("::after", "content").startswith('"Show"')
        assert sign("::before", "rotate") == "none"
        section.click()
        expect(tab.page.get_by_text("lead to").first).to_be_visible()
        assert sign("::after", "content").startswith('"Hide"')
        turned = tab.await_drawn(lambda: sign("::before", "rotate"), "90deg".__eq__)
        assert turned == "90deg"

    def test_row_of_many_starts_opens_with_the_keyboard(self, tab):
        tab.open("two-coins?tc_many_starts=true&tc_guess=Random", charts=6)
        expect(tab.page.get_by_text("Shift with Space opens it")).to_be_visible()
        rows = tab.page.locator(".st-key-tc_start_rows canvas").first
        rows.scroll_into_view_if_needed()
        rows.focus()
        for key in ("ArrowDown", "ArrowDown", "Shift+Space"):
            tab.page.keyboard.press(key)
        tab.page.wait_for_url(re.compile(r"tc_start=[1-9]"))

    @pytest.mark.parametrize("width", [320, 360, 375])
    @pytest.mark.parametrize("path", EXAMPLES)
    def test_formulas_of_a_step_by_hand_fit_a_phone(self, tab, path, width):
        tab.resize({"width": width, "height": 740})
        tab.open(f"{path}?{prefix(path)}_by_hand=true")
        formulas = tab.page.locator("details[open] .katex-display")
        expect(formulas.first).to_be_visible()
        for scrolled, seen in formulas.evaluate_all(
            "all => all.map(f => [f.scrollWidth, f.clientWidth])"
        ):
            assert scrolled <= seen + 4  # of the struts, which nobody sees

    def test_labels_of_metrics_are_whole_on_a_small_laptop(self, tab):
        tab.resize({"width": 1024, "height": 768})
        tab.open("maximum-likelihood")
        for label in tab.page.locator("[data-testid=stMetricLabel] p").all():
            assert label.evaluate("p => p.scrollWidth <= p.clientWidth + 1")


def place(iteration: int, assigned: int) -> int:
    """Return what the charts' input holds at this iteration, coloured by that assignment."""
    return PLACES * (assigned - BEFORE) + iteration


# What is seen of a picture, how many values of its pixels differ where all of it is drawn anew, and
# whether less than all was drawn.
PAINTED = """(view) => {
    const canvas = view._renderer.canvas();
    const { width, height } = canvas;
    const pixels = () => {
        const how = { willReadFrequently: true };
        const copy = new OffscreenCanvas(width, height).getContext("2d", how);
        copy.drawImage(canvas, 0, 0);
        return copy.getImageData(0, 0, width, height).data;
    };
    const seen = pixels();
    const less = Object.hasOwn(view._renderer, "draw");
    view._renderer._redraw = true;
    view._renderer.render(view.scenegraph().root);
    const plain = pixels();
    return [less, seen.filter((v, i) => Math.abs(v - plain[i]) > 8).length];
}"""


class TestCost:
    """What makes a step of the player cheap is there, and changes nothing that is seen."""

    @pytest.mark.parametrize("motion", ["reduce", "no-preference"])
    @pytest.mark.parametrize("path", EXAMPLES)
    def test_picture_drawn_in_parts_is_the_one_drawn_whole(self, tab, path, motion):
        tab.page.emulate_media(reduced_motion=motion)
        tab.open(path)
        canvas = "canvas.marks"
        charts = [chart for chart in tab.charts.all()[:3] if chart.locator(canvas).count()]
        for t in (1, 2, 3, 2):
            tab.button("forward" if t > int(tab.slider.input_value()) else "back").click()
            for chart in charts:
                there = f"view.signal('iter') === {t}"
                assert tab.await_drawn(lambda c=chart, ask=there: tab.view(c, ask), bool)
        for chart in charts:
            less, differ = tab.view(chart, f"({PAINTED})(view)")
            assert less
            assert differ < 100  # on edges; a point that stands elsewhere would be as many

    def test_step_sets_one_input_a_chart(self, tab):
        tab.page.emulate_media(reduced_motion="reduce")
        tab.open("k-means")
        tab.button("forward").click()
        tab.expect_frame(1, 0)
        fields = tab.page.locator(".vega-bindings input")
        count = (
            "fields => { for (const f of fields) f.oninput = () => (f.heard = f.heard + 1 || 1) }"
        )
        fields.evaluate_all(count)
        tab.button("forward").click()
        tab.expect_frame(2, 0)
        heard = fields.evaluate_all("fields => fields.map(({heard}) => heard ?? 0)")
        assert max(heard) == 1

    def test_charts_are_interpreted_where_a_page_may_not_compile(self, tab):
        # As with a policy without 'unsafe-eval'.
        tab.page.add_init_script(
            """const forbid = () => { throw new EvalError("forbidden") };
            window.Function = new Proxy(Function, { apply: forbid, construct: forbid });"""
        )
        tab.page.emulate_media(reduced_motion="reduce")
        tab.open("k-means")
        before = tab.pictures()
        tab.button("forward").click()
        tab.expect_frame(1, 0)
        tab.await_drawn(tab.pictures, lambda now: now != before)


class TestMotion:
    def gliding(self, tab: Tab) -> None:
        tab.open(PUBLISHED)
        tab.page.evaluate(CHART)
        # Before the first E-step, nothing has a colour.
        field = tab.page.locator("#gliding input[name=place]")
        expect(field).to_have_value(str(place(0, BEFORE)))
        tab.expect_frame(0, 10)

    def test_parameters_glide_and_colours_follow(self, tab):
        self.gliding(tab)
        seen = tab.button("forward").evaluate(GLIDE)
        iterations, colours = np.array(seen).T
        assert len(iterations) == 3
        assert (np.diff(iterations) > 0).all()
        assert 0 < iterations[0] < iterations[-2] < 1 == iterations[-1]
        assert list(colours) == [BEFORE] * (len(colours) - 1) + [1]
        expect(tab.page.locator(".readout .label")).to_have_text("Iteration 1")
        back = [iteration for iteration, _ in tab.button("back").evaluate(GLIDE)]
        assert back[-1] == 0 < back[-2] < back[0] < 1
        # Leaps do not.
        assert [t for t, _ in tab.button("last").evaluate(GLIDE)] == [10]

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_what_has_glided_looks_as_after_a_leap(self, tab, path):
        tab.page.emulate_media(reduced_motion="reduce")  # so that the test alone draws frames
        tab.open(path)

        def drawn() -> list[object]:
            return [tab.view(tab.charts.nth(i), MARKS) for i in range(3)]

        at = {}
        for t in (3, 2):
            tab.slider.fill(str(t))
            tab.expect_frame(t, 0)
            at[t] = tab.await_drawn(drawn, lambda now: now != at.get(3))
        assert all(one != other for one, other in zip(at[2], at[3], strict=True))
        for position in (2.3, 2.6, 2.9, 3):
            tab.page.evaluate(SLID, position)
            tab.await_drawn(drawn, lambda now: now != at[2])
        assert tab.await_drawn(drawn, at[3].__eq__) == at[3]

    def test_nothing_glides_where_motion_is_not_wanted(self, tab):
        tab.page.emulate_media(reduced_motion="reduce")
        self.gliding(tab)
        assert [t for t, _ in tab.button("forward").evaluate(GLIDE)] == [1]

    def test_charts_out_of_sight_are_left_alone_until_they_are_seen_or_printed(self, tab):
        tab.resize({"width": 375, "height": 740})
        tab.open(PUBLISHED)
        tab.expect_frame(0, 10)
        field = tab.charts.last.locator(".vega-bindings input[name=place]")
        tab.button("forward").click()
        tab.expect_frame(1, 10)
        expect(field).to_have_value(str(place(0, BEFORE)))
        tab.page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
        expect(field).to_have_value(str(place(1, 1)))
        tab.button("forward").click()
        tab.expect_frame(2, 10)
        expect(field).to_have_value(str(place(1, 1)))
        tab.charts.last.scroll_into_view_if_needed()
        expect(field).to_have_value(str(place(2, 2)))


class TestWhatComesLater:
    """Nothing tells how a run ends before the player has been there."""

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_lines_end_where_the_player_stands(self, tab, path):
        tab.open(path)
        last = int(tab.slider.get_attribute("max"))
        ticks = tab.names_of_ticks()
        for frame in (2, last, 3):
            tab.slider.fill(str(frame))
            tab.expect_frame(frame, last)
            if frame == last:  # what the server then sends draws the charts anew
                expect(tab.page.get_by_role("heading", name="Iteration table")).to_be_visible()
            wanted = {frame}
            assert tab.await_drawn(lambda: set(tab.played()), wanted.__eq__) == wanted
        tab.button("first").click()
        tab.expect_frame(0, last)
        # Axes are those of the whole run.
        assert tab.await_drawn(tab.names_of_ticks, ticks.__eq__)[: len(ticks)] == ticks

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_page_does_not_tell_the_end(self, tab, path):
        tab.open(path)
        last = int(tab.slider.get_attribute("max"))
        tab.button("forward").click()
        tab.expect_frame(1, last)
        shown = tab.page.get_by_test_id("stMain").inner_text()
        seen = tab.page.locator("[data-testid=stVegaLiteChart][aria-label]:visible")
        alts = seen.evaluate_all("charts => charts.map(c => c.getAttribute('aria-label'))")
        assert len(alts) == PAGES[path][1]
        # A section asks whether it has converged, and does not say so.
        title = re.escape(sections_of(BY_NAME["two_coins"])["convergence"].label)
        for text in (re.sub(title, "", shown), *alts):
            assert not re.search(
                rf"(after|over|in|limit of) {last}\b|of {last}\b|onverged", text
            ), text
        expect(tab.status_line).to_have_text(re.compile(r"^Iteration 1\. .* -?[\d,.]+\.$"))
        expect(tab.page.locator(".readout .label")).to_have_text("Iteration 1")

    def test_status_line_follows_the_player_without_the_server(self, tab):
        tab.open(PUBLISHED)
        sent = tab.sent
        line = tab.page.locator(".status")
        start = BinomialParams([0.6, 0.5], [0.5, 0.5])
        trace = fit(BinomialMixture(10), published_trials().data, start, tol=0, max_iter=10)
        for step in trace.steps[:-1]:
            place = f"Iteration {step.iteration}" if step.iteration else "Initial guess"
            text = f"{place}. Log-likelihood {step.objective:,.4f}."
            expect(tab.status_line).to_have_text(text)
            expect(line).to_have_class(re.compile(r"^status\s*$"))
            assert tab.sent == sent
            tab.button("forward").click()
        expect(tab.status_line).to_contain_text("Not converged yet: stopped at the limit of 10")
        expect(tab.status_line).to_contain_text(f"{trace.objectives[-1]:,.4f}")
        expect(line).to_have_class("status info")
        tab.button("back").click()
        expect(tab.status_line).to_contain_text("Iteration 9 of 10. Log-likelihood")
        assert tab.sent == sent + 1  # that the end was reached

    def test_status_line_is_not_read_out_while_it_plays(self, tab):
        tab.open(PUBLISHED)
        heard = tab.page.locator(".heard[role=status]")
        expect(heard).to_have_text(re.compile(r"^Initial guess\. Log-likelihood -[\d.]+\.$"))
        tab.page.locator("select[name=speed]").select_option("slow")
        tab.button("play").click()
        expect(heard).to_have_text("")
        expect(tab.status_line).to_contain_text("Iteration 1.")
        expect(heard).to_have_text("")
        tab.button("play").click()
        expect(heard).to_have_text(re.compile(r"^Paused\. Iteration \d\. Log-likelihood "))

    @pytest.mark.parametrize("path", EXAMPLES)
    def test_what_tells_the_end_appears_there_and_stays(self, tab, path):
        tab.open(path)
        hint = tab.page.get_by_text("once you have played to the end")
        table = tab.page.get_by_role("heading", name="Iteration table")
        expect(hint).to_be_visible()
        expect(table).to_have_count(0)
        tab.button("last").click()
        expect(table).to_be_visible()
        expect(hint).to_be_hidden()
        tab.await_charts(AT_THE_END.get(path, 3))
        inside = tab.page.locator(
            ":is([data-testid=stVegaLiteChart] .marks, [data-testid=stDataFrame])"
        )
        for box in inside.all():
            size = box.bounding_box()
            assert size["width"] > 250
            assert size["height"] > 100
        assert tab.page.evaluate(OVERFLOWING) == []
        tab.button("first").click()
        expect(table).to_be_visible()
        # It stays for this page, over a change and a switch of pages, and is each page's own.
        tab.type_into(f"{prefix(path)}_max_iter", "5")
        expect(tab.slider).to_have_attribute("max", re.compile("^[345]$"))
        expect(table).to_be_visible()
        other = EXAMPLES[EXAMPLES.index(path) - 1]
        tab.go_to(PAGES[other][0], other)
        expect(hint).to_be_visible()
        expect(table).to_be_hidden()
        tab.page.get_by_role("link", name=PAGES[path][0], exact=True).click()
        expect(table).to_be_visible()
        expect(hint).to_be_hidden()

    def test_it_is_forgotten_with_a_situation_a_reset_and_a_new_load(self, tab):
        tab.open("two-coins")
        table = tab.page.get_by_role("heading", name="Iteration table")
        tab.press_end()
        tab.situation.click()
        tab.page.get_by_role("option", name="Do and Batzoglou").click()
        tab.expect_frame(0, 10)
        expect(table).to_be_hidden()
        tab.press_end()
        tab.page.get_by_role("button", name="Reset this page").click()
        tab.expect_frame(0, 11)
        expect(table).to_be_hidden()
        tab.press_end()
        tab.button("first").click()
        tab.page.wait_for_url(lambda url: "tc_iter" not in url)
        tab.page.reload()
        tab.await_page("two-coins")
        expect(table).to_be_hidden()
        # A link that names the end opens there.
        tab.press_end()
        tab.page.wait_for_url("**tc_iter=11")
        tab.page.reload()
        tab.await_page("two-coins")
        expect(table).to_be_visible()

    def test_advice_waits_for_the_end_too(self, tab):
        tab.open("k-means?km_k=8&km_find=2")
        advice = tab.page.get_by_test_id("stAlert").filter(has_text="lightbulb")
        expect(tab.page.get_by_text("once you have played to the end")).to_be_visible()
        expect(advice).to_have_count(0)
        tab.button("last").click()
        expect(advice.first).to_be_visible()

    def test_run_without_an_iteration_is_at_its_end_at_once(self, tab):
        tab.open("two-coins?tc_start_a=0&tc_start_b=1", charts=2)
        expect(tab.slider).to_have_attribute("max", "0")
        expect(tab.page.get_by_role("heading", name="Iteration table")).to_be_visible()
        expect(tab.status_line).not_to_contain_text("Initial guess")

    def test_marks_on_the_hill_appear_at_the_end(self, tab):
        # A run that arrives: before, nothing is known of tops.
        arrives = PUBLISHED.replace("tc_max_iter=10", "tc_max_iter=500")
        tab.open(f"{arrives}&tc_hill=true", charts=5)
        last = int(tab.slider.get_attribute("max"))
        hill = tab.page.locator(".st-key-tc_hill canvas.marks")
        hill.scroll_into_view_if_needed()  # off the screen, the player does not drive it

        def pink() -> int:
            """Return how many pixels have the colour of the marks."""
            return hill.evaluate(
                """canvas => {
                    const copy = document.createElement("canvas");
                    const {width, height} = Object.assign(copy, {
                        width: canvas.width,
                        height: canvas.height,
                    });
                    const context = copy.getContext("2d", {willReadFrequently: true});
                    context.drawImage(canvas, 0, 0);
                    const {data} = context.getImageData(0, 0, width, height);
                    let found = 0;
                    for (let i = 0; i < data.length; i += 4) {
                        found += data[i] === 224 && data[i + 1] === 33 && data[i + 2] === 138;
                    }
                    return found;
                }"""
            )

        tab.slider.fill(str(last - 1))
        tab.expect_frame(last - 1, last)
        before = tab.await_drawn(pink, lambda found: found > 0)  # where the player stands
        tab.button("last").click()
        tab.expect_frame(last, last)
        # Another mark for the mirror image, and one for the saddle.
        assert tab.await_drawn(pink, lambda found: found > 2 * before) > 2 * before


PLANE = "mixture-in-the-plane"
OVERLAPPING = {"data": "Simulated", "k": 8, "guess": "Random data points", "max_iter": 20}


class TestGaussiansInThePlane:
    @staticmethod
    def points(tab: Tab) -> pd.DataFrame:
        """Return the points that the picture draws: look, and what the browser has computed."""
        names = ("observation", "component", "fill", "shape", "shares")
        rows = tab.view(
            tab.charts.first,
            """(() => {
                const found = [];
                const walk = (mark) => (mark.items ?? []).forEach((item) => {
                    if (item.datum?.shares) {
                        const {observation, component, shares, all} = item.datum;
                        found.push([observation, component, String(item.fill), item.shape,
                            shares.map((share) => share / all)]);
                    }
                    walk(item);
                });
                walk(view.scenegraph().root);
                return found;
            })()""",
        )
        return pd.DataFrame(rows, columns=names).sort_values("observation", ignore_index=True)

    @staticmethod
    def at(tab: Tab, iteration: int) -> pd.DataFrame:
        tab.slider.fill(str(iteration))
        tab.expect_frame(iteration, int(tab.slider.get_attribute("max")))
        drawn = "view.signal('assign')"
        assert tab.view(tab.charts.first, drawn) == (iteration or -1)
        return TestGaussiansInThePlane.points(tab)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize(
        "settings",
        [{}, OVERLAPPING, {**OVERLAPPING, "k": 3, "hard": True}],
        ids=["Old Faithful", "eight overlapping", "hard"],
    )
    def test_points_blend_colours_by_the_responsibilities_of_the_e_step(
        self, tab, scheme, settings
    ):
        tab.page.emulate_media(reduced_motion="reduce", color_scheme=scheme)
        query = {
            f"gp_{name}": str(value).lower() if isinstance(value, bool) else value
            for name, value in settings.items()
        }
        tab.open(f"{PLANE}?{urllib.parse.urlencode(query)}")
        run = run_at("mixture_in_the_plane", **settings)
        theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())["theme"]
        palette = np.array(
            [
                [int(color[i : i + 2], 16) for i in (1, 3, 5)]
                for color in theme[scheme]["chartCategoricalColors"]
            ]
        )
        before = self.at(tab, 0)
        assert set(before["fill"]) == {{"light": "#8A96A3", "dark": "#77838F"}[scheme]}
        assert set(before["shape"]) == {"circle"}
        for t in (1, 3, run.frames.last):
            points = self.at(tab, t)
            data = run.problem.sample.data[points["observation"] - 1]
            wanted = run.problem.responsibilities(data, run.steps[t].params)
            if not run.problem.hard:
                shares = np.array(points["shares"].to_list())[:, : len(run.names)]
                np.testing.assert_allclose(shares, wanted, atol=1e-9)
            blend = wanted @ palette[: len(run.names)]
            drawn = [
                [int(c[i : i + 2], 16) for i in (1, 3, 5)]
                if c.startswith("#")
                else [int(part) for part in re.findall(r"\d+", c)]
                for c in points["fill"]
            ]
            np.testing.assert_allclose(drawn, blend, atol=0.51)
            # Colour is not alone: the shape is that of the likeliest component.
            likeliest = wanted.argmax(axis=1)
            assert list(points["component"]) == [run.names[k] for k in likeliest]
            assert list(points["shape"]) == [charts._SHAPES[k] for k in likeliest]

    def test_ellipses_lie_one_and_two_deviations_from_the_means(self, tab):
        tab.page.emulate_media(reduced_motion="reduce")
        tab.open(PLANE)
        run = run_at("mixture_in_the_plane")
        for t in (0, 2):
            self.at(tab, t)
            rows = tab.view(
                tab.charts.first,
                """(() => {
                    const found = [];
                    const walk = (mark) => (mark.items ?? []).forEach((item) => {
                        const {component, sd, right, upward} = item.datum ?? {};
                        if (right !== undefined && mark.marktype === "line") {
                            found.push([component, sd, right, upward]);
                        }
                        walk(item);
                    });
                    walk(view.scenegraph().root);
                    return found;
                })()""",
            )
            ellipses = pd.DataFrame(rows, columns=["component", "sd", "x", "y"])
            assert ellipses.groupby(["component", "sd"]).ngroups == 4
            for (component, sd), rim in ellipses.groupby(["component", "sd"]):
                k = run.names.index(component)
                params = run.steps[t].params
                away = rim[["x", "y"]].to_numpy() - params.means[k]
                inverse = np.linalg.inv(params.covariances[k])
                squared = ((away @ inverse) * away).sum(axis=1)
                np.testing.assert_allclose(squared, sd**2, rtol=1e-9)

    def test_collapse_does_not_break_the_picture(self, tab):
        tab.page.emulate_media(reduced_motion="reduce")
        situation = BY_NAME["mixture_in_the_plane"].module("situations").SITUATIONS
        (name,) = (name for name in situation if "collapse" in name.lower())
        settings = dict(situation[name].values)
        query = {
            f"gp_{n}": str(v).lower() if isinstance(v, bool) else v for n, v in settings.items()
        }
        tab.open(f"{PLANE}?{urllib.parse.urlencode(query)}")
        run = run_at("mixture_in_the_plane", **settings)
        points = self.at(tab, run.frames.last)
        data = run.problem.sample.data[points["observation"] - 1]
        wanted = run.problem.responsibilities(data, run.steps[-1].params)
        shares = np.array(points["shares"].to_list())[:, : len(run.names)]
        np.testing.assert_allclose(shares, wanted, atol=1e-3)

    def test_a_click_on_a_point_chooses_it(self, tab):
        tab.open(f"{PLANE}?gp_by_hand=true")
        place = tab.view(
            tab.charts.first,
            """(() => {
                const [x, y] = ["x", "y"].map((name) => view.scale(name));
                const [right, down] = view.origin(), {left, top} = view.padding();
                const {x: across, y: up} = view.data("points")[9];
                return {x: left + right + x(across), y: top + down + y(up)};
            })()""",
        )
        tab.charts.first.locator("canvas.marks").click(position=place)
        expect(tab.control("gp_observation")).not_to_have_value("1")
        data = run_at("mixture_in_the_plane").problem.sample.data
        chosen = int(tab.control("gp_observation").input_value()) - 1
        np.testing.assert_allclose(data[chosen], data[9], atol=0.15)


def prefix(path: str) -> str:
    return next(PREFIXES[each.name] for each in SERVED if each.url_path == path)


class TestTableOfNumbers:
    """The parameters of all components, in one table of the sidebar."""

    def settle(self, tab, wanted):
        tab.page.wait_for_url(re.compile(wanted))
        expect(tab.page.get_by_test_id("stApp")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )

    def entries(self, tab):
        return tab.page.evaluate("() => history.length")

    def test_typing_moves_the_run_and_the_address_and_back_restores(self, tab):
        tab.open("gaussian-mixture")
        start, before = tab.readout, self.entries(tab)
        mean, size = tab.control("gm_mean1"), tab.control("gm_size2")
        tab.type_into("gm_mean1", "12.5")
        self.settle(tab, r"gm_mean1=12\.5")
        expect(tab.page.locator(".readout dd").last).not_to_have_text(start[-1])
        expect(tab.situation).to_have_value("Based on “Wang’s article”")
        moved = tab.readout
        tab.type_into("gm_size2", "77")
        self.settle(tab, r"gm_mean1=12\.5.*gm_size2=77")
        assert self.entries(tab) == before + 2
        tab.page.go_back()
        expect(size).to_have_value("1000")
        expect(mean).to_have_value("12.5")
        assert tab.await_drawn(lambda: tab.readout, moved.__eq__) == moved
        tab.page.go_back()
        expect(mean).to_have_value("-10")
        assert tab.await_drawn(lambda: tab.readout, start.__eq__) == start
        tab.page.go_forward()
        expect(mean).to_have_value("12.5")
        # What is typed anew after that is taken as ever, and a default leaves the address.
        tab.type_into("gm_mean1", "-10")
        self.settle(tab, "gaussian-mixture$")

    def test_keyboard_alone(self, tab):
        tab.open("gaussian-mixture")
        mean, keyboard = tab.page.get_by_label("Mean 1", exact=True), tab.page.keyboard
        mean.focus()
        before = tab.sent
        for _ in range(3):
            keyboard.press("ArrowUp")
        expect(mean).to_have_value("-7")
        self.settle(tab, "gm_mean1=-7")
        assert tab.sent == before + 1  # three steps are one change
        expect(mean).to_be_focused()
        keyboard.press("ArrowDown")
        keyboard.press("Tab")  # which does not wait
        self.settle(tab, "gm_mean1=-8")
        expect(tab.page.get_by_label("SD 1", exact=True)).to_be_focused()
        keyboard.press("ArrowUp")
        self.settle(tab, r"gm_sd1=3\.5")
        # While the page is computed anew one goes on typing.
        keyboard.press("Tab")
        tab.page.get_by_label("Size 1", exact=True).fill("20")
        keyboard.press("Tab")
        keyboard.type("4")
        self.settle(tab, "gm_size1=20")
        expect(tab.page.get_by_label("Mean 2", exact=True)).to_be_focused()
        expect(tab.page.get_by_label("Mean 2", exact=True)).to_have_value("4")
        assert "gm_mean2" not in tab.page.url
        keyboard.press("Enter")
        self.settle(tab, "gm_mean2=4")

    def test_what_is_not_allowed_is_refused_beside_its_field(self, tab):
        tab.open("gaussian-mixture")
        entries = self.entries(tab)
        size, note = tab.control("gm_size2"), tab.page.locator("td [role=alert]")
        for text in ("12501", "0.5", ""):
            tab.type_into("gm_size2", text)
            expect(note).to_have_text(
                "“Size 2” has to be a whole number from 1 to 12,500. It is still 1000."
            )
            expect(size).to_have_attribute("aria-invalid", "true")
            expect(size).to_have_accessible_description(re.compile("^“Size 2” has to be"))
            expect(size).to_have_value(text)
            field, words = size.bounding_box(), note.bounding_box()
            assert 0 <= words["y"] - field["y"] - field["height"] < 16
        # Another number is taken, and the wrong one stays wrong.
        tab.type_into("gm_mean1", "5")
        self.settle(tab, "gm_mean1=5")
        expect(size).to_have_attribute("aria-invalid", "true")
        size.press("Escape")
        expect(note).to_have_count(0)
        expect(size).to_have_value("1000")
        expect(size).to_have_attribute("aria-invalid", "false")
        assert "gm_size2" not in tab.page.url
        assert self.entries(tab) == entries + 1

    def test_changes_that_come_before_the_answer_are_all_taken(self, tab):
        tab.open("gaussian-mixture")
        tab.page.evaluate(
            """() => {
                const type = (name, text) => {
                    const all = [...document.querySelectorAll("*")];
                    const field = all
                        .map(({shadowRoot}) => shadowRoot?.querySelector(`[name=${name}]`))
                        .find(Boolean);
                    field.value = text;
                    field.dispatchEvent(new Event("change"));
                };
                type("gm_mean1", "1.5");
                type("gm_sd1", "2.5");
                document.querySelector(".st-key-gm_hard input").click();
                type("gm_mean1", "4.5");
                type("gm_size3", "30");
            }"""
        )
        for part in (r"gm_mean1=4\.5", r"gm_sd1=2\.5", "gm_size3=30", "gm_hard=true"):
            self.settle(tab, part)
        for name, text in (("mean1", "4.5"), ("sd1", "2.5"), ("size3", "30")):
            expect(tab.control(f"gm_{name}")).to_have_value(text)
        expect(tab.control("gm_hard")).to_be_checked()

    def test_page_that_was_left_comes_back_with_it(self, tab):
        tab.open("gaussian-mixture")
        tab.type_into("gm_mean1", "12.5")
        self.settle(tab, r"gm_mean1=12\.5")
        tab.go_to("K-Means", "k-means")
        assert "gm_mean1" not in tab.page.url
        tab.page.go_back()
        tab.await_page("gaussian-mixture")
        expect(tab.control("gm_mean1")).to_have_value("12.5")
        tab.page.wait_for_url(re.compile(r"gm_mean1=12\.5"))

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_fits_the_sidebar_of_a_phone(self, new_tab, scheme):
        tab = new_tab(viewport=PHONE, color_scheme=scheme)
        query = "gp_data=Simulated&gp_guess=k-means%2B%2B&gp_size1=12500&gp_max_iter=1"
        tab.page.goto(f"{tab.url}/mixture-in-the-plane?{query}")
        tab.page.get_by_test_id("stExpandSidebarButton").click()
        fields = tab.page.locator("td input")
        expect(fields).to_have_count(18)
        fields.first.scroll_into_view_if_needed()
        shown = tab.page.get_by_test_id("stSidebar").bounding_box()
        for each in fields.all():
            box = each.bounding_box()
            assert box["x"] >= shown["x"]
            assert box["x"] + box["width"] <= shown["x"] + shown["width"]
            assert box["height"] >= 36
        longest = tab.control("gp_size1")
        assert longest.evaluate("field => field.scrollWidth <= field.clientWidth")
        tab.type_into("gp_size1", "0")
        expect(tab.page.locator("td [role=alert]")).to_be_visible()
        tab.page.evaluate((PINNED if PINNED.exists() else AXE_FILE_PATH).read_text())
        assert tab.page.evaluate(AXE, STREAMLITS_OWN) == []
        assert tab.page.evaluate(FAINT) == []


class TestLinks:
    @pytest.mark.parametrize(
        ("path", "changes"),
        [
            ("two-coins", {"tc_tosses": "20", "tc_trials": "77"}),
            ("k-means", {"km_k": "5", "km_guess_seed": "3"}),
            ("gaussian-mixture", {"gm_mean2": "25.125", "gm_data_seed": "12"}),
        ],
    )
    def test_copied_link_shows_the_same_numbers(self, new_tab, path, changes):
        tab = new_tab(permissions=["clipboard-read", "clipboard-write"])
        tab.open(path)
        tab.press_end()
        before = tab.status
        for key, value in changes.items():
            tab.type_into(key, value)
        for key, value in changes.items():
            tab.page.wait_for_url(lambda url, key=key, value=value: f"{key}={value}" in url)
        expect(tab.status_line).not_to_have_text(before)
        expect(tab.page.get_by_test_id("stApp")).to_have_attribute(
            "data-test-script-state", "notRunning"
        )
        tab.page.get_by_role("button", name="Copy link to these settings").click()
        expect(tab.page.get_by_text("Copied.")).to_be_visible()
        link = tab.page.evaluate("() => navigator.clipboard.readText()")
        assert link == tab.page.get_by_label("Link to these settings").input_value()

        copy = new_tab()
        copy.open(link.removeprefix(f"{tab.url}/"), charts=AT_THE_END.get(path, 3))
        expect(copy.status_line).to_have_text(tab.status)
        assert copy.download() == tab.download()
        expect(copy.page.get_by_text("Changed in this link")).to_have_count(0)
        for key, value in changes.items():
            expect(copy.control(key)).to_have_value(value)
        # Every control is in the link, the defaults too.
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)
        keys = tab.page.evaluate(
            """() => [...document.querySelectorAll(
                "[data-testid=stNumberInput], [data-testid=stSlider], " +
                "[data-testid=stSelectbox], [data-testid=stCheckbox]",
            )].map(widget => [...widget.closest("[class*=st-key-]").classList]
                .find(name => name.startsWith("st-key-")).slice("st-key-".length))"""
        )
        keys += tab.page.locator("td input").evaluate_all("all => all.map(({name}) => name)")
        assert len(keys) > 5
        situation = {key for key in keys if "_situation-" in key}
        assert len(situation) == 1
        prefix = next(iter(situation)).split("_")[0]
        assert query.pop(f"{prefix}_based") == ["Wang’s article"]
        # The sections and what is in them, and where the player stands.
        (lesson,) = (each for each in SERVED if PREFIXES[each.name] == prefix)
        sections = sections_of(lesson)
        shared = {**VIEW, **how_many.VIEW, **starts.VIEW}
        view = {f"{prefix}_{name}" for name in (*shared, *sections, "across", "up")}
        assert set(query) - view == set(keys) - situation - view
        assert {f"{prefix}_{name}" for name in sections} <= set(query)

    def test_download_is_the_table_in_full_precision(self, tab):
        tab.open(PUBLISHED)
        tab.press_end()
        table = pd.read_csv(io.StringIO(tab.download()))
        start = BinomialParams([0.6, 0.5], [0.5, 0.5])
        trace = fit(BinomialMixture(10), published_trials().data, start, tol=0, max_iter=10)
        np.testing.assert_array_equal(table["log-likelihood"], trace.objectives)
        np.testing.assert_array_equal(
            table["heads_prob A"], [step.params.heads_prob[0] for step in trace.steps]
        )

    def test_link_field_helps_where_the_clipboard_is_out_of_reach(self, tab):
        tab.open("two-coins")
        tab.page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
        tab.page.get_by_role("button", name="Copy link to these settings").click()
        expect(tab.page.get_by_text("to copy it.")).to_be_visible()
        field = tab.page.get_by_label("Link to these settings")
        expect(field).to_be_visible()
        assert "tc_tosses=10" in field.input_value()

    def test_mended_link_changes_the_address(self, tab):
        tab.open("two-coins?tc_tosses=999&tc_trials=abc&tc_true_a=0.3")
        tab.page.wait_for_url(f"{tab.url}/two-coins?tc_tosses=200&tc_true_a=0.3")
        expect(tab.page.get_by_text("Changed in this link")).to_be_visible()
        expect(tab.control("tc_tosses")).to_have_value("200")
        tab.page.reload()
        tab.await_page("two-coins")
        expect(tab.control("tc_tosses")).to_have_value("200")
        expect(tab.page.get_by_text("Changed in this link")).to_have_count(0)

    def test_hostile_link_is_inert(self, tab):
        text = '<img src=x onerror="document.title=1">**b** [l](http://example.com) $x$ :red[r]'
        tab.open("two-coins?" + urllib.parse.urlencode({"tc_data": text}))
        notice = tab.page.get_by_test_id("stAlert").filter(has_text="Changed in this link")
        expect(notice.locator("code")).to_have_text(f"{text[:30]}…")
        expect(notice.locator("li").locator("img, a, strong, span, .katex")).to_have_count(0)

    def test_back_brings_the_settings_of_the_page_before_back(self, tab):
        tab.open("two-coins")
        tab.type_into("tc_tosses", "20")
        tab.page.wait_for_url("**/two-coins?tc_tosses=20&tc_based=*")
        expect(tab.page.locator(".readout")).to_be_visible()
        tab.go_to("K-Means", "k-means")
        tab.page.go_back()
        tab.await_page("two-coins")
        expect(tab.control("tc_tosses")).to_have_value("20")
        tab.page.wait_for_url("**/two-coins?tc_tosses=20&tc_based=*")

    def test_slow_browser_does_not_undo_changes(self, tab):
        # It sends the second change, and with it the situation that it still shows, before it has
        # heard what came of the first.
        tab.open("two-coins")
        tab.page.evaluate(
            """() => {
                const toggle = (key) => document.querySelector(`.st-key-${key} input`).click();
                toggle("tc_hard");
                const end = performance.now() + 500;
                while (performance.now() < end);
                toggle("tc_weights");
            }"""
        )
        expect(tab.page.get_by_label(re.compile("^Mixing weight of each coin"))).to_be_attached()
        expect(tab.situation).to_have_value("Based on “Wang’s article”")
        expect(tab.control("tc_hard")).to_be_checked()
        expect(tab.control("tc_weights")).to_be_checked()

    def test_reload_shows_the_situation_again(self, tab):
        tab.open("k-means?km_k=1")
        tab.press_end()
        before = tab.status
        tab.situation.click()
        tab.page.get_by_role("option", name="Unequal sizes and spreads").click()
        # These two were not on the page before.
        for control, value in (("rest_size", "0.1"), ("rest_spread", "0.2")):
            expect(tab.page.locator(f".st-key-km_{control}")).to_contain_text(value)
            tab.page.wait_for_url(f"**km_{control}={value}**")
        expect(tab.status_line).not_to_have_text(before)
        tab.press_end()
        tab.page.wait_for_url("**km_iter=**")
        status = tab.status
        tab.page.reload()
        expect(tab.status_line).to_have_text(status)
        expect(tab.situation).to_have_value("Unequal sizes and spreads")

    def test_situation_and_reset_move_the_controls(self, tab):
        tab.open("two-coins")
        tab.situation.click()
        tab.page.get_by_role("option", name="Do and Batzoglou").click()
        expect(tab.slider).to_have_attribute("max", "10")
        expect(tab.situation).to_have_value("Do and Batzoglou")
        expect(tab.control("tc_tosses")).to_have_count(0)
        tab.page.get_by_role("button", name="Reset this page").click()
        expect(tab.control("tc_tosses")).to_have_value("10")
        tab.page.wait_for_url(f"{tab.url}/two-coins")

    def test_quick_steps_back_and_forth_lose_nothing(self, tab):
        tab.open("two-coins")
        page, app = tab.page, tab.page.get_by_test_id("stApp")
        for tosses in range(11, 18):
            tab.type_into("tc_tosses", str(tosses))
            page.wait_for_url(re.compile(f"tc_tosses={tosses}"))
            expect(app).to_have_attribute("data-test-script-state", "notRunning")
        for step in [-1, -1, -1, 1, -1, 1, 1, -1, 1, 1] * 5:
            page.evaluate(  # which does not wait for the run
                """step => new Promise(arrived => {
                    addEventListener("popstate", arrived, {once: true});
                    history.go(step);
                })""",
                step,
            )
        expect(app).to_have_attribute("data-test-script-state", "notRunning", timeout=PATIENCE_MS)
        expect(tab.control("tc_tosses")).to_have_value(re.compile("1[0-7]"))

    def test_one_change_is_one_step_of_back(self, tab):
        tab.open("two-coins")
        page, start = tab.page, f"{tab.url}/two-coins"
        entries = [start]

        def settle(wanted: str) -> None:
            page.wait_for_url(re.compile(wanted))
            expect(page.get_by_test_id("stApp")).to_have_attribute(
                "data-test-script-state", "notRunning"
            )
            page.wait_for_function("length => history.length === length", arg=before + len(entries))
            entries.append(page.url)

        before = page.evaluate("() => history.length")
        tab.type_into("tc_tosses", "20")
        settle("tc_tosses=20.*tc_based=")
        tab.control("tc_true_a").press("ArrowRight")
        settle("tc_true_a=0.61")
        tab.situation.click()
        page.get_by_role("option", name="Stopping too early").click()
        settle("tc_tol=1e-3")
        assert "tc_tosses" not in page.url
        page.get_by_role("button", name="Reset this page").click()
        settle("two-coins$")
        shown = ["Stopping too early", "Based on “Wang’s article”", "Based on “Wang’s article”"]
        for url, situation in zip(entries[-2::-1], [*shown, "Wang’s article"], strict=True):
            page.go_back()
            page.wait_for_url(url)
            expect(tab.situation).to_have_value(situation)
        expect(tab.control("tc_tosses")).to_have_value("10")

    def test_controls_that_go_and_come_back_make_no_further_step(self, tab):
        tab.open("gaussian-mixture?gm_mean3=5.5")
        page, lengths = tab.page, []
        for k, wanted in (("2", r"gm_k=2(?!.*gm_mean3)"), ("3", r"gm_mean3=5\.5(?!.*gm_k)")):
            lengths.append(page.evaluate("() => history.length"))
            tab.type_into("gm_k", k)
            page.wait_for_url(re.compile(wanted))
            expect(tab.control("gm_mean3")).to_have_count(int(k) - 2)
            page.wait_for_function("length => history.length > length", arg=lengths[-1])
        lengths.append(page.evaluate("() => history.length"))
        assert np.diff(lengths).tolist() == [1, 1]
        for k in ("2", "3"):
            page.go_back()
            expect(tab.control("gm_k")).to_have_value(k)
        expect(tab.control("gm_mean3")).to_have_value("5.5")

    def test_next_answer_is_closed(self, tab):
        tab.open("two-coins")
        box = tab.page.get_by_test_id("stExpander").filter(has_text="what happened, and why")
        for title in ("Swapped names", "Do and Batzoglou"):
            box.locator("summary").click()
            expect(box.locator("details")).to_have_attribute("open", "")
            tab.situation.click()
            tab.page.get_by_role("option", name=title).click()
            expect(tab.situation).to_have_value(title)
            expect(box.locator("details")).not_to_have_attribute("open", "")

    def test_students_link_from_the_teacher_to_the_score(self, new_tab):
        tab = new_tab(permissions=["clipboard-read", "clipboard-write"])
        tab.open("two-coins?tc_true_a=0.63&tc_data_seed=5&tc_teacher=true")
        tab.page.get_by_role("button", name="Copy link for students").click()
        expect(tab.page.get_by_text("Copied.")).to_be_visible()
        link = tab.page.evaluate("() => navigator.clipboard.readText()")
        assert not {"tc_true_a", "tc_data_seed", "tc_teacher"} & set(
            urllib.parse.parse_qs(urllib.parse.urlsplit(link).query)
        )
        student = new_tab()
        student.open(link.removeprefix(f"{tab.url}/"))
        expect(student.control("tc_true_a")).to_have_count(0)
        student.press_end()
        for coin, guess in (("A", "0.63"), ("B", "0.2")):
            student.page.get_by_label(f"Heads probability {coin}").fill(guess)
        student.page.get_by_role("button", name="Score my guess").click()
        expect(student.page.get_by_text("100 of 100.")).to_be_visible()
        student.page.get_by_role("button", name="Reset this page").click()
        expect(student.page.get_by_role("heading", name="Iteration table")).to_have_count(0)
        assert "tc_quiz=" in student.page.url
        expect(student.control("tc_true_a")).to_have_count(0)

    @pytest.mark.parametrize(
        ("path", "query"),
        [
            *((path, {}) for path in EXAMPLES),
            # As much as a sheet may have to say.
            (
                "gaussian-mixture",
                {"gm_k": 8, "gm_data_seed": 9, "gm_max_iter": 50, "gm_floor": 0.1}
                | {f"gm_mean{k}": 11.5 * k for k in range(1, 9)}
                | {f"gm_sd{k}": 1.5 + 0.5 * k for k in range(1, 9)}
                | {f"gm_size{k}": 200 + k for k in range(1, 9)},
            ),
            ("k-means", {"km_k": 8, "km_data_seed": 9}),
        ],
        ids=str,
    )
    def test_sheet_prints_on_one_page(self, tab, new_tab, path, query):
        query = {f"{prefix(path)}_teacher": "true", **query}
        tab.open(f"{path}?{urllib.parse.urlencode(query)}")
        for label in ("Sheet to print, with answers", "Sheet to print, questions only"):
            with tab.page.expect_download() as download:
                tab.page.get_by_role("button", name=label).click()
            paper = new_tab().page
            paper.set_content(Path(download.value.path()).read_text())
            assert len(re.findall(rb"/Type\s*/Page\b", paper.pdf(prefer_css_page_size=True))) == 1


class TestOwnNumbers:
    """Numbers that a visitor brings, as a new visitor brings them."""

    OWN = "Your own"

    def arrive(self, tab, lesson):
        prefix = PREFIXES[lesson]
        path = BY_NAME[lesson].url_path
        query = urllib.parse.urlencode({f"{prefix}_data": self.OWN})
        tab.page.goto(f"{tab.url}/{path}?{query}")
        expect(tab.page.get_by_text("There are no numbers yet.")).to_be_visible()

    def paste(self, tab, text):
        area = tab.page.get_by_role("textbox", name="Paste numbers")
        area.fill(text)
        area.press("Control+Enter")

    def bring(self, tab, name, content):
        place = tab.page.locator("[data-testid=stSidebar] input[type=file]")
        place.set_input_files({"name": name, "mimeType": "text/csv", "buffer": content})

    def test_pasted_ones_run_and_travel_in_the_link(self, new_tab):
        tab = new_tab()
        self.arrive(tab, "gaussian_mixture")
        self.paste(tab, "49 -67 8 16 6 23 28 41 14 29 56 24 75 60 -48")
        expect(tab.page.get_by_text("Used: 15 rows")).to_be_visible()
        tab.await_charts(CHARTS["gaussian-mixture"])
        tab.press_end()
        readout, status = tab.readout, tab.status
        other = new_tab()
        other.page.goto(tab.page.url)
        other.await_page("gaussian-mixture", AT_THE_END["gaussian-mixture"])
        expect(other.status_line).to_have_text(status)
        assert other.readout == readout

    def test_back_takes_them_away_and_forward_brings_them_back(self, new_tab):
        tab = new_tab()
        self.arrive(tab, "gaussian_mixture")
        self.paste(tab, "1 2 4 5 1.5")
        tab.await_charts(CHARTS["gaussian-mixture"])
        readout = tab.readout
        tab.page.go_back()
        expect(tab.page.get_by_text("There are no numbers yet.")).to_be_visible()
        tab.page.go_forward()
        tab.await_charts(CHARTS["gaussian-mixture"])
        assert tab.readout == readout

    def test_a_file_of_another_locale_is_read(self, new_tab):
        iris = load_iris(as_frame=True).frame
        content = iris.to_csv(index=False, sep=";", decimal=",").encode("utf-8-sig")
        tab = new_tab()
        self.arrive(tab, "k_means")
        self.bring(tab, "iris.csv", content)
        expect(tab.page.get_by_text("Used: 150 rows of “iris.csv”.")).to_be_visible()
        tab.await_charts(3)
        # The server lets go of the file once it is read, and the place for it is free again.
        expect(tab.page.get_by_test_id("stFileUploaderFile")).to_have_count(0)

    def test_a_photograph_is_named_as_what_it_is(self, new_tab):
        tab = new_tab()
        self.arrive(tab, "gaussian_mixture")
        self.bring(tab, "photo.csv", (ROOT / "docs" / "home.png").read_bytes())
        expect(tab.page.get_by_text("Your numbers cannot be used.")).to_be_visible()
        expect(tab.page.get_by_test_id("stException")).to_have_count(0)

    def test_names_in_a_file_set_nothing_on_the_page(self, new_tab):
        tab = new_tab()
        self.arrive(tab, "gaussian_mixture")
        self.paste(tab, '"<img src=x onerror=alert(1)>**b**"\n1\n2\n4\n5\n')
        tab.await_charts(CHARTS["gaussian-mixture"])
        expect(tab.page.locator("img[src=x]")).to_have_count(0)

    def test_another_visitor_sees_nothing_of_them(self, new_tab):
        tab = new_tab()
        self.arrive(tab, "gaussian_mixture")
        self.paste(tab, "1 2 4 5 1.5")
        tab.await_charts(CHARTS["gaussian-mixture"])
        other = new_tab()
        self.arrive(other, "gaussian_mixture")
        expect(other.page.get_by_role("button", name="again")).to_have_count(0)
