"""A class on one link: how long students wait when all of them play at once.

The script starts an app on this machine and opens many sessions on it. Each student opens a page,
moves a random control there at random times, and after a few moves goes on to the next page. All
of them together also run on this machine, beside the server, and take some of its CPU time; the
report says how much, and how much other programs took: with more than a few percent for these, the
waits mean nothing.

A number with a wide range (a seed, a sample size) is set to anything in it, small values as likely
as large ones; another number is moved by a few steps; a slider goes anywhere. The iteration slider
of the ordinary app is one control among the others. In ours the iteration never reaches the server,
and so is not in the load. With ``--sections`` the students also open and close the sections that
compute only while they are open, which the ordinary app does not have.

With ``--processes`` ours runs as it is deployed, in several processes behind nginx, and each
student has a cookie. With ``--kill`` one of the processes is killed in the middle. Its students
lose their connection and open the address that their browser shows; what they then see must be what
it says, or it counts as an error.

With ``--dearest`` one more student keeps asking for the most expensive run that the controls allow,
again and again with other data. That student's waits are reported apart.

Run it from the project's folder, with nothing else running::

    python -m benchmarks.load --students 100 --every 5 --seconds 60
    python -m benchmarks.load --students 12 --every 5 --seconds 60 --app ordinary
    python -m benchmarks.load --students 100 --processes 2 --kill
    python -m benchmarks.load --students 100 --pages A-PAGE ANOTHER --within 1
    python -m benchmarks.load --students 6 --every 2 --seconds 8 --at-least 1.5

It ends with an error if anything failed; with ``--within 1`` also if the 95th percentile of the
wait is above 1 s; with ``--at-least 1.5`` also if a rerun of the ordinary app, which then comes
under the same load after ours, does not take 1.5 times the CPU time of ours.
"""

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self
from urllib.parse import urlencode

import numpy as np
from websockets.exceptions import WebSocketException

from benchmarks.client import Rerun, Session, Value, Widget
from benchmarks.servers import (
    ORDINARY,
    OURS,
    PATHS,
    Farm,
    Server,
    machine_cpu_seconds,
    serve,
    serve_behind_nginx,
)
from pages import lesson

MOVES = 6  # on a page, before the student goes on to the next
STEPS = 5  # of a number with a narrow range, at the most
WIDE = 1_000  # a whole number with a wider range than this may become anything in it
TIMEOUT = 30.0  # seconds after which a student gives up
SAMPLES = 10  # of the memory, over the whole run

# Nowhere else, and with no other settings, does a change take longer.
_LARGEST = lesson("Gaussian mixture")
DEAREST = (_LARGEST.url_path, _LARGEST.link("the_largest"))

MAX_STUDENTS, MAX_SECONDS = 1_000, 3_600


class Cpu(NamedTuple):
    """CPU seconds used by the server, by the students, and by the rest of the machine."""

    server: float = 0.0
    students: float = 0.0
    others: float = 0.0

    @classmethod
    def now(cls, server: Server | Farm) -> Self:
        """Read the clocks."""
        used, own = server.cpu_seconds(), time.process_time()
        return cls(used, own, machine_cpu_seconds() - used - own)

    def since(self, before: "Cpu") -> "Cpu":
        """Return what was used in between."""
        return Cpu(*(now - then for now, then in zip(self, before, strict=True)))


@dataclass
class Tally:
    """What happened.

    Attributes
    ----------
    since : float
        Start of the time that counts; before it the students arrive.
    waits : list of float
        Seconds from a change, or a page switch, to the finished script.
    arrivals : list of float
        The same for each student's first page.
    n_bytes : int
        What the server sent in the time that counts.
    errors : Counter
        What failed, at any time.
    dearest : list of float
        Seconds that the student with the most expensive settings waited.
    returned : int
        Students who lost their connection to a killed process and came back by their address.
    memory : list of float
        Resident megabytes, at equal times.
    cpu : Cpu
        CPU time used in the time that counts.
    """

    since: float = 0.0
    waits: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    n_bytes: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    returned: int = 0
    dearest: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    cpu: Cpu = field(default_factory=Cpu)

    async def add(self, request: Awaitable[Rerun], *, arrival: bool = False) -> None:
        """Wait for a rerun and count it."""
        sent = time.monotonic()
        rerun = await request
        self.errors.update(rerun.errors)
        if arrival:
            self.arrivals.append(rerun.seconds)
        elif sent >= self.since:
            self.waits.append(rerun.seconds)
            self.n_bytes += rerun.n_bytes


def another_value(widget: Widget, rng: random.Random) -> Value:
    """Return a value that a student may move the control to."""
    if widget.kind in {"checkbox", "expandable"}:
        return not widget.value
    if widget.kind == "selectbox":
        return rng.choice([option for option in widget.options if option != widget.value])
    low, high, step = widget.low, widget.high, widget.step
    if widget.kind == "slider":
        value = low + step * rng.randint(0, round((high - low) / step))
    elif widget.whole and high - low > WIDE:
        value = round(max(low, 1) * (high / max(low, 1)) ** rng.random())
    else:
        value = widget.value + step * rng.choice([-1, 1]) * rng.randint(1, STEPS)
    value = round(min(max(value, low), high), 10)
    return int(value) if widget.whole else value


class Plan(NamedTuple):
    """What the students do.

    Attributes
    ----------
    pages : sequence of str
        Which they visit.
    every : float
        Seconds between two moves.
    sections : bool
        Whether they open and close sections too.
    kill : bool
        Whether one of several processes is killed in the middle.
    dearest : bool
        Whether there is one more, who keeps asking for the most expensive run.
    """

    pages: Sequence[str]
    every: float
    sections: bool = False
    kill: bool = False
    dearest: bool = False


async def student(number: int, server: Server | Farm, plan: Plan, end: float, tally: Tally) -> None:
    """Play until the end; after a failure, begin anew as one does with a page that hangs."""
    rng = random.Random(number)
    first = number % len(plan.pages)
    pages = [*plan.pages[first:], *plan.pages[:first]]
    paths = itertools.cycle([PATHS[server.name][page] for page in pages])
    await asyncio.sleep(rng.uniform(0, plan.every))
    cookie, place = "", (next(paths), {})
    while time.monotonic() < end:
        session = Session(server.address, timeout=TIMEOUT, cookie=cookie)
        try:
            if isinstance(server, Farm) and not cookie:
                session.cookie = cookie = await asyncio.to_thread(server.cookie, TIMEOUT)
            async with session:
                await _visit(session, place, paths, rng, plan, end, tally)
        except (OSError, TimeoutError, WebSocketException) as error:
            if plan.kill and isinstance(error, ConnectionError | WebSocketException):
                tally.returned += 1
                # A connection that is lost early has not said yet where the student is.
                if session.pages:
                    place = session.path, session.query
            else:
                tally.errors[f"{type(error).__name__}: {error}"] += 1
                place = next(paths), {}
            await asyncio.sleep(1)


async def _visit(
    session: Session,
    place: tuple[str, dict[str, str]],
    paths: itertools.cycle,
    rng: random.Random,
    plan: Plan,
    end: float,
    tally: Tally,
) -> None:
    next_move = time.monotonic()

    async def think() -> bool:
        nonlocal next_move
        next_move = max(next_move + rng.uniform(0, 2 * plan.every), time.monotonic())
        await asyncio.sleep(min(next_move, end) - time.monotonic())
        return next_move < end

    path, query = place
    await tally.add(session.open(path, urlencode(query)), arrival=True)
    for widget in session.widgets.values():
        said = query.get(widget.parameter, widget.text())
        if said.removesuffix(".0") != widget.text():  # 3 and 3.0 are one value
            tally.errors[f"{widget.parameter} is {widget.text()}, and the address says {said}"] += 1
    while True:
        for _ in range(MOVES):
            if not await think():
                return
            controls = [
                widget
                for widget in session.widgets.values()
                if widget.kind != "text_area" and (plan.sections or widget.kind != "expandable")
            ]
            if not controls:
                raise TimeoutError("the page has no controls")
            widget = rng.choice(controls)
            await tally.add(session.move(widget, another_value(widget, rng)))
        if not await think():
            return
        await tally.add(session.go(next(paths)))


async def dearest_student(server: Server | Farm, end: float, tally: Tally) -> None:
    """Ask for the most expensive run with ever new data, until the end."""
    path, query = DEAREST
    async with Session(server.address, timeout=TIMEOUT) as session:
        tally.errors.update((await session.open(path, urlencode(query))).errors)
        for seed in itertools.count(1_000):
            if time.monotonic() > end:
                return
            rerun = await session.move(session.widget("Data seed"), seed)
            tally.errors.update(rerun.errors)
            tally.dearest.append(rerun.seconds)


async def run(server: Server | Farm, n_students: int, plan: Plan, seconds: float) -> Tally:
    """Let the students play, and return what happened."""
    paths = [PATHS[server.name][page] for page in plan.pages]
    for process in server.servers if isinstance(server, Farm) else [server]:
        async with Session(process.address) as first:  # pays for the imports
            await first.open(paths[0])
            for path in paths[1:]:
                await first.go(path)
    tally = Tally(since=time.monotonic() + plan.every)
    end = tally.since + seconds
    tally.memory.append(server.resident_megabytes())
    async with asyncio.TaskGroup() as group:
        for number in range(n_students):
            group.create_task(student(number, server, plan, end, tally))
        if plan.dearest:
            group.create_task(dearest_student(server, end, tally))
        await asyncio.sleep(tally.since - time.monotonic())
        before = Cpu.now(server)
        for i in range(SAMPLES):
            if plan.kill and i == SAMPLES // 2:
                server.servers[0].process.kill()
            await asyncio.sleep(seconds / SAMPLES)
            tally.memory.append(server.resident_megabytes())
        tally.cpu = Cpu.now(server).since(before)
    if tracebacks := server.tracebacks():
        tally.errors["tracebacks in the server's log"] += tracebacks
    return tally


def report(tally: Tally, n_students: int, plan: Plan, seconds: float) -> None:
    """Print the figures."""

    def percentiles(waits: Sequence[float]) -> str:
        p50, p95, p99 = 1e3 * np.percentile(waits, [50, 95, 99])
        return f"p50 {p50:.0f}, p95 {p95:.0f}, p99 {p99:.0f}, longest {1e3 * max(waits):.0f} ms"

    n = len(tally.waits)
    start, *_, last = tally.memory
    print(f"reruns       {n} ({n / seconds:.1f} a second), {tally.n_bytes / n / 1e3:.0f} kB each")
    print(f"wait         {percentiles(tally.waits)}")
    print(f"first page   {percentiles(tally.arrivals)}")
    share = Cpu(*(100 * used / seconds for used in tally.cpu))
    print(
        f"CPU          {1e3 * tally.cpu.server / n:.1f} ms a rerun; of one core, the server took "
        f"{share.server:.0f}%, the students {share.students:.0f}%, the rest of the machine "
        f"{share.others:.0f}%"
    )
    print(
        f"memory       {start:.0f} MB before, {last:.0f} MB at the end"
        # With a process gone, what is left says nothing about a session.
        + ("" if plan.kill else f", {(last - start) / n_students:.2f} MB a session")
    )
    print(f"             over time {', '.join(f'{sample:.0f}' for sample in tally.memory)}")
    if tally.dearest:
        print(f"dearest      {percentiles(tally.dearest)}")
    if tally.returned:
        print(f"returned     {tally.returned} students, whose process was killed, by their address")
    print(f"errors       {tally.errors.total()}")
    for error, times in tally.errors.most_common():
        print(f"             {times} × {error}")


def _number(kind: type, high: float):
    def parse(text: str) -> float:
        value = kind(text)
        if not 0 < value <= high:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {high}")
        return value

    return parse


def main() -> None:
    """Run the load and print; end with an error if a limit is not kept or anything failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--students", type=_number(int, MAX_STUDENTS), default=100)
    parser.add_argument(
        "--every", type=_number(float, MAX_SECONDS), default=5.0, help="seconds between changes"
    )
    parser.add_argument("--seconds", type=_number(float, MAX_SECONDS), default=60.0)
    parser.add_argument("--app", choices=PATHS, default=OURS)
    parser.add_argument("--pages", nargs="+", help="default: all example pages of the app")
    parser.add_argument("--sections", action="store_true", help="open and close the sections too")
    parser.add_argument("--within", type=float, help="seconds that p95 may take")
    parser.add_argument(
        "--at-least", type=float, help="ratio of CPU per rerun that the ordinary app must reach"
    )
    parser.add_argument("--processes", type=_number(int, 16), help="so many, behind nginx")
    parser.add_argument("--kill", action="store_true", help="one of these, in the middle")
    parser.add_argument("--dearest", action="store_true", help="one student at the dearest run")
    options = parser.parse_args()
    if options.dearest and options.app != OURS:
        parser.error(f"--dearest is for {OURS}")
    if options.kill and (options.processes or 1) < 2:
        parser.error("--kill needs --processes 2 or more")
    if options.processes and options.app != OURS:
        parser.error(f"--processes is for {OURS}")
    apps = [options.app]
    if options.at_least:
        if options.app != OURS or options.processes or options.dearest or options.sections:
            parser.error(f"--at-least is for one process of {OURS}, as the ordinary app has it")
        apps.append(ORDINARY)
    # Pages that all of them have.
    pages = options.pages or list(PATHS[apps[-1]])
    if unknown := set(pages) - set(PATHS[apps[-1]]):
        parser.error(f"{apps[-1]} has no page {', '.join(unknown)}")

    plan = Plan(pages, options.every, options.sections, options.kill, options.dearest)
    tallies = []
    for app in apps:
        print(
            f"{app}: {options.students} students, a change every {options.every:g} s, "
            f"{options.seconds:g} s, pages {', '.join(pages)}{', with sections' * options.sections}"
        )
        with serve_behind_nginx(options.processes) if options.processes else serve(app) as server:
            tally = asyncio.run(run(server, options.students, plan, options.seconds))
        if not tally.waits:
            sys.exit(f"nothing was measured: {dict(tally.errors)}")
        report(tally, options.students, plan, options.seconds)
        tallies.append(tally)
    failures = []
    if errors := sum(tally.errors.total() for tally in tallies):
        failures.append(f"{errors} errors")
    if options.within and (p95 := np.percentile(tallies[0].waits, 95)) > options.within:
        failures.append(f"p95 is {p95:.2f} s")
    if options.at_least:
        ours, ordinary = (tally.cpu.server / len(tally.waits) for tally in tallies)
        print(f"CPU ratio    {ordinary / ours:.2f}")
        if ordinary < options.at_least * ours:
            failures.append(f"the CPU ratio is {ordinary / ours:.2f}")
    if failures:
        sys.exit(", ".join(failures))


if __name__ == "__main__":
    main()
