"""How long a launch takes, and the first student's first page after it.

Run it from the project's folder::

    python -m benchmarks.start
    python -m benchmarks.start --launches 1 --at-least 0.7

The second is short, and ends with an error if the first page of the ordinary app does not take at
least 0.7 times as long as ours.
"""

import argparse
import asyncio
import sys
import time

from benchmarks.client import Session
from benchmarks.servers import ORDINARY, OURS, PATHS, serve


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


def main() -> None:
    """Launch each app several times for each page, and print the shortest times.

    End with an error if a ratio is too low.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--launches", type=int, default=3, help="for each page (default 3)")
    parser.add_argument(
        "--at-least", type=float, default=0.0, help="ratio of first pages that must be reached"
    )
    options = parser.parse_args()
    waits = {}
    print(f"{'seconds':28}{'until it answers':>18}{'first page':>12}{'the next':>10}")
    for name in (OURS, ORDINARY):
        for page, path in PATHS[name].items():
            found = []
            for _ in range(options.launches):
                start = time.perf_counter()
                with serve(name) as server:
                    ready = time.perf_counter() - start
                    found.append((ready, *asyncio.run(pages(server.address, path))))
            ready, first, following = map(min, zip(*found, strict=True))
            print(f"{name:10}{page:18}{ready:18.2f}{first:12.2f}{following:10.2f}", flush=True)
            waits[name, page] = first
    lowest = min(waits[ORDINARY, page] / waits[OURS, page] for page in PATHS[ORDINARY])
    print(f"lowest ratio of first pages {lowest:.2f}")
    if lowest < options.at_least:
        sys.exit(f"the ratio is below {options.at_least:g}")


if __name__ == "__main__":
    main()
