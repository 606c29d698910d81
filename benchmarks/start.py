"""How long a launch takes, and the first student's first page after it.

Run it from the project's folder. Another state of the code, in a folder of its own, is launched in
turn with this one::

    python -m benchmarks.start
    python -m benchmarks.start --against ../before --only k-means
    python -m benchmarks.start --launches 1 --at-least 0.7

Against another state, both are printed once more at the end, as a table.

The last is short, and ends with an error if the first page of the ordinary app does not take at
least 0.7 times as long as ours.
"""

import argparse
import asyncio
import sys
import time
from pathlib import Path

from benchmarks.client import Session
from benchmarks.servers import ORDINARY, OURS, PATHS, serve

AGAINST = "against"
COLUMNS = ("until it answers", "first page", "both", "next page", "CPU in all")


async def pages(address: str, path: str) -> tuple[float, float]:
    """Return the seconds that the first student of all waits for a page, and the next one."""
    waits = []
    for _ in range(2):
        async with Session(address) as session:
            rerun = await session.open(path)
            if rerun.errors:
                raise RuntimeError(f"{path}: {rerun.errors}")
            waits.append(rerun.seconds)
    return waits[0], waits[1]


def launch(name: str, folder: Path | None, path: str) -> list[float]:
    """Launch an app, open a page, and return the seconds of :data:`COLUMNS`."""
    start = time.perf_counter()
    with serve(name, folder) as server:
        ready = time.perf_counter() - start
        first, following = asyncio.run(pages(server.address, path))
        return [ready, first, ready + first, following, server.cpu_seconds()]


def table(before: dict[str, list[float]], now: dict[str, list[float]]) -> str:
    """Return the seconds of :data:`COLUMNS` before and now, for each page, as a table in Markdown.

    The last column is the ratio of what a launch takes with the first page.
    """
    both = COLUMNS.index("both")
    lines = [
        f"| seconds, before / now | {' | '.join(COLUMNS)} | ratio |",
        "| --- " * (len(COLUMNS) + 2) + "|",
    ]
    for page, times in now.items():
        cells = [f"{a:.2f} / {b:.2f}" for a, b in zip(before[page], times, strict=True)]
        ratio = f"{times[both] / before[page][both]:.2f}"
        lines.append(f"| {' | '.join([page, *cells, ratio])} |")
    return "\n".join(lines)


def main() -> None:
    """Launch each app several times for each page, and print the shortest times.

    End with an error if a ratio is too low.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--launches", type=int, default=3, help="for each page (default 3)")
    parser.add_argument("--against", type=Path, help="folder of another state of the code")
    parser.add_argument("--only", default="", help="pages whose path contains this")
    parser.add_argument(
        "--at-least", type=float, default=0.0, help="ratio of first pages that must be reached"
    )
    options = parser.parse_args()
    apps: list[tuple[str, str, Path | None]] = [(OURS, OURS, None), (ORDINARY, ORDINARY, None)]
    if options.against:
        apps.insert(0, (AGAINST, OURS, options.against))
    shortest = {}
    print(f"{'seconds':32}" + "".join(f"{column:>18}" for column in COLUMNS))
    for page in PATHS[OURS]:
        there = [app for app in apps if options.only in page and page in PATHS[app[1]]]
        found: dict[str, list[list[float]]] = {title: [] for title, *_ in there}
        for _ in range(options.launches):
            for title, name, folder in there:
                found[title].append(launch(name, folder, PATHS[name][page]))
        for title, times in found.items():
            shortest[title, page] = [min(column) for column in zip(*times, strict=True)]
            figures = "".join(f"{seconds:18.2f}" for seconds in shortest[title, page])
            print(f"{title:10}{page:22}{figures}", flush=True)
    if options.against:
        states = ({p: t for (s, p), t in shortest.items() if s == name} for name in (AGAINST, OURS))
        print(f"\n{table(*states)}\n")
    for other in {title for title, *_ in apps} - {OURS}:
        ratios = [
            [a / b for a, b in zip(times, shortest[OURS, page], strict=True)]
            for (title, page), times in shortest.items()
            if title == other
        ]
        if ratios:
            figures = "".join(f"{min(column):18.2f}" for column in zip(*ratios, strict=True))
            print(f"lowest ratio of {other:16}{figures}")
            if other == ORDINARY and min(ratio[1] for ratio in ratios) < options.at_least:
                sys.exit(f"the ratio of first pages is below {options.at_least:g}")


if __name__ == "__main__":
    main()
