"""How long a launch takes, and the first student's first page after it.

Run it from the project's folder::

    python -m benchmarks.start
"""

import asyncio
import time

from benchmarks.client import Session
from benchmarks.servers import ORDINARY, OURS, PATHS, serve

LAUNCHES = 3


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
    """Launch each app several times for each page, and print the shortest times."""
    print(f"{'seconds':28}{'until it answers':>18}{'first page':>12}{'the next':>10}")
    for name in (OURS, ORDINARY):
        for page, path in PATHS[name].items():
            found = []
            for _ in range(LAUNCHES):
                start = time.perf_counter()
                with serve(name) as server:
                    ready = time.perf_counter() - start
                    found.append((ready, *asyncio.run(pages(server.address, path))))
            ready, first, following = map(min, zip(*found, strict=True))
            print(f"{name:10}{page:18}{ready:18.2f}{first:12.2f}{following:10.2f}", flush=True)


if __name__ == "__main__":
    main()
