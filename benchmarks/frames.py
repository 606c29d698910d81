"""What one step of the player costs the browser, of CPU time, by Chromium's own counters.

Steps go to and fro by the player's buttons. Each is given time to come to rest, with what slides
from one iteration to the next, and once more where the visitor wants no motion. What as long a wait
costs without a step is taken off. Time is that of the processor, not of the clock: of the page's
process with all its threads and the process that paints, of the page's main thread, and there of
scripts, of styles and of layout (scripts that Vega runs after an input count among the rest of the
thread). Run it from the project's folder. Another state of the code, in a folder of its own or
started on this machine, is measured in turn::

    python -m benchmarks.frames
    python -m benchmarks.frames --steps 24 --against ../before --only 2,000

What both cost of all processes, and the ratio, is printed once more at the end, as a table.
"""

import argparse
import shutil
import statistics
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from benchmarks.servers import OURS, ROOT, serve

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
COUNTERS = {
    "thread": "TaskDuration",
    "script": "ScriptDuration",
    "style": "RecalcStyleDuration",
    "layout": "LayoutDuration",
}
COLUMNS = ("all", *COUNTERS)
Counters = tuple[CDPSession, CDPSession]  # of the page, and of the browser


def steps(page: Page, n: int, act: str = "click") -> None:
    """Take so many steps, the first two forward, the next two back, and so on.

    With another ``act`` a button is only looked at.
    """
    for i in range(n):
        name = "forward" if i % 4 < 2 else "back"
        page.locator(f"button[name={name}]").evaluate(f"button => button.{act}()")
        page.wait_for_timeout(REST_MS)


def read(counters: Counters) -> list[float]:
    """Return seconds of CPU used so far, of :data:`COLUMNS`."""
    of_page, of_browser = counters
    metrics = of_page.send("Performance.getMetrics")["metrics"]
    values = {metric["name"]: metric["value"] for metric in metrics}
    processes = of_browser.send("SystemInfo.getProcessInfo")["processInfo"]
    painting = sum(process["cpuTime"] for process in processes if process["type"] == "GPU")
    return [values["ProcessTime"] + painting, *(values[name] for name in COUNTERS.values())]


def open_page(browser: Browser, url: str, motion: str) -> tuple[Page, Counters]:
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
    return page, (counters, browser.new_browser_cdp_session())


def measure(pages: list[tuple[Page, Counters]], n: int) -> list[list[float]]:
    """Return, for each page, milliseconds of CPU for a step: the medians of a few rounds."""
    for page, _ in pages:
        steps(page, WARM_UP)
    costs: list[list[list[float]]] = [[] for _ in pages]
    for _ in range(ROUNDS):
        for (page, counters), cost in zip(pages, costs, strict=True):
            readings = [read(counters)]
            for act in ("click", "getBoundingClientRect"):
                steps(page, n, act)
                readings.append(read(counters))
            cost.append([1e3 * (2 * b - a - c) / n for a, b, c in zip(*readings, strict=True)])
    return [[statistics.median(values) for values in zip(*cost, strict=True)] for cost in costs]


def address_of(state: str, stack: ExitStack) -> str:
    """Return where a state of the code answers: a folder, which is started, or an address."""
    if "://" in state:
        return state
    return f"http://{stack.enter_context(serve(OURS, Path(state))).address}"


def table(rows: list[tuple[str, float, float]]) -> str:
    """Return what a step costs before and now, for each page, as a table in Markdown."""
    lines = [
        "| a step, ms of CPU in all the browser's processes | before | now | ratio |",
        "| --- | --- | --- | --- |",
    ]
    lines += [f"| {name} | {a:.0f} | {b:.0f} | {b / a:.2f} |" for name, a, b in rows]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=12, help="of each round (default 12)")
    parser.add_argument("--against", help="another state of the code: its folder, or its address")
    parser.add_argument("--at", default=str(ROOT), help="this state's address, if it runs already")
    parser.add_argument("--only", default="", help="pages whose name contains this")
    options = parser.parse_args()
    with ExitStack() as stack:
        names = ("against", "ours") if options.against else ("ours",)
        states = (options.against, options.at)[-len(names) :]
        addresses = [address_of(state, stack) for state in states]
        playwright = stack.enter_context(sync_playwright())
        # A browser each: of two pages in one, only that in front is painted.
        browsers = [
            playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--headless", "--no-sandbox", "--disable-gpu"],
            )
            for _ in addresses
        ]
        heads = (f"{name:>9}" + "".join(f"{c:>7}" for c in COLUMNS) for name in names)
        ratio = f"{'ratio':>9}" if options.against else ""
        print(f"{'ms of CPU in the browser, a step':46}{''.join(heads)}{ratio}")
        rows = []
        for title, path in PAGES.items():
            for motion, words in (("no-preference", "sliding"), ("reduce", "no motion")):
                if options.only not in f"{title}, {words}":
                    continue
                pages = [
                    open_page(browser, f"{address}/{path}", motion)
                    for browser, address in zip(browsers, addresses, strict=True)
                ]
                costs = measure(pages, options.steps)
                figures = "".join(f"{'':9}" + "".join(f"{c:7.1f}" for c in cost) for cost in costs)
                if options.against:
                    figures += f"{costs[1][0] / costs[0][0]:9.2f}"
                    rows.append((f"{title}, {words}", costs[0][0], costs[1][0]))
                print(f"{title:35}{words:11}{figures}", flush=True)
                for page, _ in pages:
                    page.context.close()
        for browser in browsers:
            browser.close()
    if rows:
        print(f"\n{table(rows)}")


if __name__ == "__main__":
    main()
