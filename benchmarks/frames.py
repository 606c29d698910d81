"""What one step of the player costs the browser, of CPU time, by Chromium's own counters.

Steps go to and fro by the player's buttons. Each is given time to come to rest, with what slides
from one iteration to the next, and once more where the visitor wants no motion. Time is that of the
processor, not of the clock: of the page's process with all its threads, and of its main thread. Run
it from the project's folder. Another state of the code, started on this machine, is measured in
turn::

    python -m benchmarks.frames
    python -m benchmarks.frames --steps 24 --against http://127.0.0.1:8501
"""

import argparse
import shutil
import statistics
from contextlib import ExitStack

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.servers import OURS, serve

PLANE = "mixture-in-the-plane?gp_data=Simulated&gp_guess=Random+data+points"
PAGES = {
    "K-Means": "k-means",
    "K-Means, 2,000 points": "k-means?km_k=4&km_size=500",
    "Gaussian mixture": "gaussian-mixture",
    "Gaussian mixture, 8 components": "gaussian-mixture?gm_k=8",
    "In the plane, 3 components, 2,000": f"{PLANE}&gp_k=3&gp_size1=1600",
    "In the plane, 8 components, 2,000": f"{PLANE}&gp_k=8&gp_size1=600",
    "Two coins": "two-coins",
}
WARM_UP, ROUNDS = 4, 3
REST_MS = 400  # a step is over
TIMEOUT_MS = 120_000  # of a page on a busy machine
DRAWN = "[data-testid=stVegaLiteChart] :is(svg, canvas).marks"
COUNTERS = ("ProcessTime", "TaskDuration")


def steps(page: Page, n: int) -> None:
    """Take so many steps, the first two forward, the next two back, and so on."""
    for i in range(n):
        name = "forward" if i % 4 < 2 else "back"
        page.locator(f"button[name={name}]").evaluate("button => button.click()")
        page.wait_for_timeout(REST_MS)


def read(counters: CDPSession) -> list[float]:
    """Return seconds of CPU used so far: of the process, and of its main thread."""
    metrics = counters.send("Performance.getMetrics")["metrics"]
    values = {metric["name"]: metric["value"] for metric in metrics}
    return [values[name] for name in COUNTERS]


def open_page(browser: Browser, url: str, motion: str) -> tuple[Page, CDPSession]:
    """Return a page whose charts are drawn, and its counters."""
    context = browser.new_context(
        viewport={"width": 1300, "height": 800},
        reduced_motion=motion,  # type: ignore[arg-type]
    )
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.goto(url)
    page.locator("button[name=forward]").wait_for()
    page.locator(DRAWN).nth(2).wait_for()
    counters = context.new_cdp_session(page)
    counters.send("Performance.enable", {"timeDomain": "threadTicks"})
    return page, counters


def measure(pages: list[tuple[Page, CDPSession]], n: int) -> list[list[float]]:
    """Return, for each page, milliseconds of CPU for a step: the medians of a few rounds."""
    for page, _ in pages:
        steps(page, WARM_UP)
    costs: list[list[list[float]]] = [[] for _ in pages]
    for _ in range(ROUNDS):
        for (page, counters), cost in zip(pages, costs, strict=True):
            before = read(counters)
            steps(page, n)
            after = read(counters)
            cost.append([1e3 * (b - a) / n for a, b in zip(before, after, strict=True)])
    return [[statistics.median(values) for values in zip(*cost, strict=True)] for cost in costs]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=12, help="of each round (default 12)")
    parser.add_argument("--against", help="address of another state of the code that runs")
    parser.add_argument("--at", help="address of this state, if it runs already")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    options = parser.parse_args()
    with ExitStack() as stack:
        ours = options.at or f"http://{stack.enter_context(serve(OURS)).address}"
        addresses = [options.against, ours] if options.against else [ours]
        playwright = stack.enter_context(sync_playwright())
        # A browser each: of two pages in one, only that in front is painted.
        browsers = [
            playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--headless", "--no-sandbox", "--disable-gpu"],
            )
            for _ in addresses
        ]
        head = "".join(
            f"{name:>12}{'thread':>9}" for name in ("against", "ours")[-len(addresses) :]
        )
        print(f"{'ms of CPU in the browser, a step':49}{head}")
        for title, path in PAGES.items():
            for motion, words in (("no-preference", "sliding"), ("reduce", "no motion")):
                if options.only not in f"{title}, {words}":
                    continue
                pages = [
                    open_page(browser, f"{address}/{path}", motion)
                    for browser, address in zip(browsers, addresses, strict=True)
                ]
                figures = "".join(f"{a:12.1f}{b:9.1f}" for a, b in measure(pages, options.steps))
                print(f"{title:37}{words:12}{figures}", flush=True)
                for page, _ in pages:
                    page.context.close()
        for browser in browsers:
            browser.close()


if __name__ == "__main__":
    main()
