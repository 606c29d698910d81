"""What one step of the player costs the browser, of CPU time, by Chromium's own counters.

Steps go to and fro by the player's buttons, each until two frames are painted. Run it from the
project's folder, with nothing else running; to compare two states of the code, run both in turn::

    python -m benchmarks.frames
    python -m benchmarks.frames --steps 40
"""

import argparse
import shutil
import statistics

from playwright.sync_api import Page, sync_playwright

from benchmarks.servers import OURS, serve

PAGES = {
    "K-Means": "k-means",
    "K-Means, 2,000 points": "k-means?km_k=4&km_size=500",
    "Gaussian mixture": "gaussian-mixture",
    "Gaussian mixture, 8 components": "gaussian-mixture?gm_k=8",
    "Two coins": "two-coins",
}
WARM_UP = 4
ROUNDS = 3
DRAWN = "[data-testid=stVegaLiteChart] :is(svg, canvas).marks"
PAINTED = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def steps(page: Page, n: int) -> None:
    """Take so many steps, the first two forward, the next two back, and so on."""
    for i in range(n):
        page.locator(f"button[name={'forward' if i % 4 < 2 else 'back'}]").evaluate(
            "b => b.click()"
        )
        page.evaluate(PAINTED)


def measure(page: Page, n: int) -> tuple[float, float]:
    """Return milliseconds of CPU and of script for a step: the median of a few rounds."""
    counters = page.context.new_cdp_session(page)
    counters.send("Performance.enable")

    def read() -> tuple[float, float]:
        metrics = counters.send("Performance.getMetrics")["metrics"]
        values = {metric["name"]: metric["value"] for metric in metrics}
        return values["TaskDuration"], values["ScriptDuration"]

    steps(page, WARM_UP)
    costs = []
    for _ in range(ROUNDS):
        before = read()
        steps(page, n)
        costs.append([1e3 * (b - a) / n for a, b in zip(before, read(), strict=True)])
    task, script = (statistics.median(cost) for cost in zip(*costs, strict=True))
    return task, script


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=20, help="of each round (default 20)")
    options = parser.parse_args()
    print(f"{'ms of CPU in the browser, a step':34}{'all':>8}{'script':>8}")
    with serve(OURS) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--headless", "--no-sandbox", "--disable-gpu"],
        )
        for title, path in PAGES.items():
            context = browser.new_context(
                viewport={"width": 1300, "height": 800}, reduced_motion="reduce"
            )
            page = context.new_page()
            page.goto(f"http://{server.address}/{path}")
            page.locator(DRAWN).nth(2).wait_for()
            task, script = measure(page, options.steps)
            print(f"{title:34}{task:8.1f}{script:8.1f}")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
