"""The dearest pages that the controls allow, section by section, and what others wait meanwhile.

Each lesson runs as large, as long and as exactly as it can be set to (its ``link_to_the_largest``),
played to the end; where it may, with hard assignment too, and on a reader's own numbers. A visitor
changes the data again and again, so that everything is computed anew:

* closed: with all sections closed;
* each section: opened by itself, where the run is known already;
* open: with all sections open.

Beside the seconds that the visitor waits stand those of CPU time that the server took, which other
programs on the machine change less.

What can be asked of a section (so many starts, so many students) is as the page comes. With
``--most`` it is as much as there may be; that takes long, can be stopped, and says how far it is.

With ``--students`` so many others play on all pages meanwhile, as in :mod:`benchmarks.load`, a
change every five seconds each, while one visitor asks for the dearest page without a pause. Their
waits are printed beside those without that visitor.

Run it from the project's folder, with nothing else running::

    python -m benchmarks.dearest
    python -m benchmarks.dearest --cases "K-Means" "Two coins" --times 5 --most
    python -m benchmarks.dearest --students 20 --within 3 --others-within 0.5
    python -m benchmarks.dearest --times 1 --within 15     # as CI does

It ends with an error if anything failed; with ``--within`` also if a page with all sections open
takes more seconds than that; with ``--others-within`` also if others wait longer than that at the
95th percentile.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import urlencode

import numpy as np

from benchmarks.client import Rerun, Session
from benchmarks.load import Plan, Tally, student
from benchmarks.servers import OURS, PATHS, Server, serve
from em_ui.data import OWN
from pages import LESSONS, Lesson

TIMEOUT = 600.0  # seconds
ROWS = 100_000  # of a reader's own numbers
EVERY = 5.0  # seconds between two changes of another student
MOST = {"Number of starts": 200, "Starts for each": 50, "Students in the class": 200}


@dataclass(frozen=True)
class Case:
    """A page, the query of its dearest run, and whether the visitor brings the numbers."""

    name: str
    path: str
    query: Mapping[str, str]
    own: bool = False


class Took(NamedTuple):
    """The seconds that one thing took: those that the visitor waited, and of CPU time."""

    wait: float = float("inf")
    cpu: float = float("inf")

    def __str__(self) -> str:
        return f"{self.wait:6.2f} s, CPU {self.cpu:6.2f} s"


@dataclass
class Found:
    """What one page took, and how long others waited beside it."""

    closed: Took = field(default_factory=Took)
    sections: dict[str, Took] = field(default_factory=dict)
    opened: Took = field(default_factory=Took)
    others: list[float] = field(default_factory=list)


def cases() -> list[Case]:
    """Return all cases, in the order of the lessons."""
    found = []
    for lesson in LESSONS:
        if not hasattr(lesson.module("situations"), "link_to_the_largest"):
            continue
        link, specs = lesson.link("the_largest"), lesson.module("problem").SPECS
        name, path = lesson.title, lesson.url_path
        prefix = next(iter(link)).partition("_")[0]
        link |= {f"{prefix}_iter": "500"}
        found.append(Case(name, path, link))
        if "hard" in specs:
            found.append(Case(f"{name}, hard", path, link | {f"{prefix}_hard": "true"}))
        if "own" in specs:
            given = _own(lesson, prefix, specs)
            found.append(Case(f"{name}, own numbers", path, link | given, own=True))
    return found


def _own(lesson: Lesson, prefix: str, specs: Mapping[str, Any]) -> dict[str, str]:
    query = {f"{prefix}_data": OWN}
    if "find" in specs:
        query[f"{prefix}_find"] = f"{specs['find'].high:g}"
    return query


def own_numbers(case: Case, seed: int) -> str:
    """Return a table of as many rows as are read, which differ with the seed."""
    rng = np.random.default_rng(seed)
    if case.path == "two-coins":
        tosses = rng.integers(20, 99, ROWS)
        heads = rng.binomial(tosses, rng.choice([0.5, 0.52], ROWS))
        return "heads tosses\n" + "\n".join(f"{h} {m}" for h, m in zip(heads, tosses, strict=True))
    columns = 1 if case.path == "gaussian-mixture" else 2
    values = rng.normal(rng.integers(8, size=(ROWS, 1)), 3.0, (ROWS, columns))
    lines = "\n".join(" ".join(f"{x:.1f}" for x in row) for row in values.tolist())
    return " ".join("xy"[:columns]) + "\n" + lines


async def change(session: Session, case: Case, seed: int) -> Rerun:
    """Change the data."""
    if case.own:
        paste = session.widget("Paste numbers")
        return _checked(await session.move(paste, own_numbers(case, seed)))
    label = "Data seed" if any(w.label == "Data seed" for w in session.widgets.values()) else "Seed"
    return _checked(await session.move(session.widget(label), seed))


def _checked(rerun: Rerun) -> Rerun:
    if rerun.errors or not rerun.charts:
        raise RuntimeError(f"{rerun.errors or 'no charts'}")
    return rerun


async def visit(
    server: Server, session: Session, case: Case, seeds: Iterator[int], times: int, most: bool
) -> Found:
    """Go through one case; keep the least of several times, since noise only adds."""
    found = Found()

    async def took(what: Awaitable[Rerun], before: Took) -> Took:
        start = server.cpu_seconds()
        rerun = _checked(await what)
        return Took(*map(min, before, (rerun.seconds, server.cpu_seconds() - start)))

    await session.open(case.path, urlencode(case.query))
    await change(session, case, next(seeds))
    boxes = [widget.id for widget in session.widgets.values() if widget.kind == "expandable"]
    for _ in range(times):
        found.closed = await took(change(session, case, next(seeds)), found.closed)
        for box in boxes:
            name = session.widgets[box].label
            before = found.sections.get(name, Took())
            found.sections[name] = await took(session.move(session.widgets[box], True), before)
            for widget in list(session.widgets.values()) if most else ():
                if widget.label in MOST and widget.value != MOST[widget.label]:
                    name = f"  {widget.label}: {MOST[widget.label]}"
                    before = found.sections.get(name, Took())
                    asked = session.move(widget, MOST[widget.label])
                    found.sections[name] = await took(asked, before)
            _checked(await session.move(session.widgets[box], False))
    for box in boxes:
        _checked(await session.move(session.widgets[box], True))
    for _ in range(times):
        found.opened = await took(change(session, case, next(seeds)), found.opened)
    return found


async def others(
    server: Server, case: Case | None, seeds: Iterator[int], n: int, seconds: float
) -> Tally:
    """Let ``n`` students play, beside one with the dearest page if there is a case."""
    tally = Tally(since=time.monotonic() + EVERY)
    end = tally.since + seconds

    async def dear() -> None:
        assert case is not None
        async with Session(server.address, timeout=TIMEOUT) as session:
            await session.open(case.path, urlencode(case.query))
            await change(session, case, next(seeds))
            for widget in [w for w in session.widgets.values() if w.kind == "expandable"]:
                await session.move(session.widgets[widget.id], True)
            while time.monotonic() < end:
                tally.dearest.append((await change(session, case, next(seeds))).seconds)

    plan = Plan(list(PATHS[OURS]), EVERY, sections=False)
    async with asyncio.TaskGroup() as group:
        for number in range(n):
            group.create_task(student(number, server, plan, end, tally))
        if case is not None:
            group.create_task(dear())
    if tally.errors:
        raise RuntimeError(f"errors of others: {dict(tally.errors)}")
    return tally


async def run(chosen: Sequence[Case], options: argparse.Namespace) -> dict[str, Found]:
    """Return what each case took, and print it as soon as it is known."""
    results, seeds = {}, count(1_000)
    with serve(OURS) as server:
        async with Session(server.address) as first:  # pays for the imports
            await first.open(chosen[0].path)
        if options.students:
            alone = await others(server, None, seeds, options.students, options.seconds)
            print(f"{options.students} others by themselves wait {_percentiles(alone.waits)}")
        for case in chosen:
            async with Session(server.address, timeout=TIMEOUT) as session:
                found = await visit(server, session, case, seeds, options.times, options.most)
            results[case.name] = found
            print(case.name)
            lines = {
                "All sections closed": found.closed,
                **found.sections,
                "All open": found.opened,
            }
            for name, seconds in lines.items():
                print(f"    {name:42}{seconds}", flush=True)
            if options.students:
                beside = await others(server, case, seeds, options.students, options.seconds)
                found.others = beside.waits
                print(f"    others wait {_percentiles(beside.waits)}", flush=True)
        if tracebacks := server.tracebacks():
            raise RuntimeError(f"{tracebacks} tracebacks in the server's log")
    return results


def _percentiles(waits: Sequence[float]) -> str:
    p50, p95 = 1e3 * np.percentile(waits, [50, 95])
    return f"p50 {p50:.0f}, p95 {p95:.0f}, longest {1e3 * max(waits):.0f} ms"


def main() -> None:
    """Measure and print; end with an error if a limit is not kept."""
    every = cases()
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", nargs="+", metavar="NAME", choices=[c.name for c in every])
    parser.add_argument("--times", type=int, default=3, help="of each; the least counts")
    parser.add_argument("--most", action="store_true", help="as many starts, students, and so on")
    parser.add_argument("--students", type=int, default=0, help="who play meanwhile")
    parser.add_argument("--seconds", type=float, default=20.0, help="that they play beside a page")
    parser.add_argument("--within", type=float, help="seconds for a page with all sections open")
    parser.add_argument("--others-within", type=float, help="seconds that others wait, at p95")
    options = parser.parse_args()
    if options.others_within and not options.students:
        parser.error("--others-within needs --students")
    chosen = [case for case in every if not options.cases or case.name in options.cases]
    results = asyncio.run(run(chosen, options))
    failures = [
        f"{name} takes {found.opened.wait:.1f} s"
        for name, found in results.items()
        if options.within and found.opened.wait > options.within
    ]
    failures += [
        f"others wait {p95:.2f} s beside {name}"
        for name, found in results.items()
        if options.others_within
        and (p95 := np.percentile(found.others, 95)) > options.others_within
    ]
    if failures:
        sys.exit(", ".join(failures))


if __name__ == "__main__":
    main()
