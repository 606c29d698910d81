"""What one change in the sidebar costs the server, ours against the ordinary way.

Both apps run side by side on this machine, each with one session on the same page and the same
settings. The session changes the data seed again and again, the two apps in turn, so that noise
hits both:

* cold: each time to a new value, so that the fit is computed;
* warm: among values that are cached, but were not seen in the last few runs, so that the browser
  keeps nothing of them;
* unchanged: a section is opened and closed, which leaves the run as it is. The ordinary page has
  no sections; its data seed is set to the value that it has;
* slider: one step of the iteration. Ours scrubs in the browser and sends nothing.

The CPU time is that of the whole server process, user and system, until it is at rest again: the
garbage collection that a stock server does after each rerun is in it.

Run it from the project's folder, with nothing else running::

    python -m benchmarks.reruns
    python -m benchmarks.reruns --reruns 10 --at-least 3   # fails below a ratio of 3
    python -m benchmarks.reruns --pages                    # all our pages, and what they send
    python -m benchmarks.reruns --pages --messages         # one by one
    python -m benchmarks.reruns --pages --against ../before    # beside another state of the code
"""

import argparse
import asyncio
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from benchmarks.client import Rerun, Session, Value, kind_of
from benchmarks.servers import ORDINARY, OURS, PATHS, ROOT, TITLES, Server, serve
from em_ui.later import LATER

CACHED_SEEDS = 5
# Controls that make another run, and the first of their values. A page without them has no run.
CHANGED = {"Data seed": 1, "Iteration limit": 20}
SECTION = "Has it really converged?"
WARM_UP = 5
LOG_LIKELIHOOD = r"iterations?\. Log-likelihood (\S+)"  # in the status line
REST = 0.05  # seconds without CPU time after which a server is at rest
PATIENCE = 60.0  # seconds within which it must come to rest

Values = Callable[[int], Value]


@dataclass
class Cost:
    """What the reruns of one kind cost in one app."""

    cpu: list[float] = field(default_factory=list)
    reruns: list[Rerun] = field(default_factory=list)

    @property
    def milliseconds(self) -> float:
        """CPU time per rerun. The mean: the clock of /proc is too coarse for a single one."""
        return 1e3 * statistics.mean(self.cpu)

    @property
    def latency(self) -> float:
        """Median time from the request to the finished script, in milliseconds."""
        return 1e3 * statistics.median(rerun.seconds for rerun in self.reruns)

    @property
    def kilobytes(self) -> float:
        """What is sent per rerun."""
        return statistics.mean(rerun.n_bytes for rerun in self.reruns) / 1e3

    @property
    def messages(self) -> float:
        """In how many messages."""
        return statistics.mean(rerun.n_messages for rerun in self.reruns)


async def settled_cpu(server: Server) -> float:
    """Return the CPU seconds of a server once it is at rest.

    Raises
    ------
    RuntimeError
        If it keeps working.
    """
    end = time.monotonic() + PATIENCE
    before = server.cpu_seconds()
    while time.monotonic() < end:
        await asyncio.sleep(REST)
        now = server.cpu_seconds()
        if now == before:
            return now
        before = now
    raise RuntimeError(f"{server.name} is not at rest after {PATIENCE:g} s")


async def measure(
    sessions: list[tuple[Server, Session]],
    label: str,
    values: Values,
    n: int,
    *,
    warm_up: int,
    ours: tuple[str, Values] | None = None,
) -> dict[str, Cost]:
    """Move one control in each app in turn, ``n`` times after a warm-up.

    With ``ours`` our app moves another than the ordinary one: its label and values.

    Raises
    ------
    RuntimeError
        If a page shows an error or no chart, or the apps do not show the same log-likelihood.
    """
    costs = {server.name: Cost() for server, _ in sessions}
    for i in range(warm_up + n):
        shown = set()
        for server, session in sessions if i % 2 else reversed(sessions):
            before = await settled_cpu(server)
            name, to = ours if ours and server.name == OURS else (label, values)
            rerun = await session.move(session.widget(name), to(i))
            after = await settled_cpu(server)
            if rerun.errors or not rerun.charts:
                raise RuntimeError(f"{server.name}: {rerun.errors or 'no charts'}")
            shown.add(re.search(LOG_LIKELIHOOD, " ".join(session.texts))[1])
            if i >= warm_up:
                costs[server.name].cpu.append(after - before)
                costs[server.name].reruns.append(rerun)
        if len(shown) > 1:
            raise RuntimeError(f"the apps show different log-likelihoods: {shown}")
    return costs


async def run(n: int) -> dict[tuple[str, str], dict[str, Cost]]:
    """Return the costs of both apps for each page and kind of rerun."""
    results = {}
    with serve(OURS) as ours, serve(ORDINARY) as ordinary:
        for page in PATHS[ORDINARY]:
            title = TITLES[page]
            async with AsyncExitStack() as stack:
                sessions = []
                for server in (ours, ordinary):
                    session = await stack.enter_async_context(Session(server.address))
                    await session.open(PATHS[server.name][page])
                    sessions.append((server, session))
                seeds = count(1_000)
                new = [next(seeds) for _ in range(WARM_UP + n)]
                results[title, "cold"] = await measure(
                    sessions, "Data seed", new.__getitem__, n, warm_up=WARM_UP
                )
                results[title, "warm"] = await measure(
                    sessions,
                    "Data seed",
                    lambda i: i % CACHED_SEEDS + 1,
                    n,
                    warm_up=CACHED_SEEDS,
                )
                seed = sessions[1][1].widget("Data seed").value
                results[title, "unchanged"] = await measure(
                    sessions,
                    "Data seed",
                    lambda _, seed=seed: seed,
                    n,
                    warm_up=WARM_UP,
                    ours=(SECTION, lambda i: i % 2 == 0),
                )
                last = int(sessions[1][1].widget("Iteration").high)
                results[title, "slider"] = await measure(
                    sessions[1:],
                    "Iteration",
                    lambda i, last=last: (i + 1) % (last + 1),
                    n,
                    warm_up=WARM_UP,
                )
    return results


def report(results: dict[tuple[str, str], dict[str, Cost]]) -> float:
    """Print the table, and return the smallest ratio in it."""
    print(f"{'':28}{'CPU per rerun, ms':^28}", end="")
    print(f"{'messages':^18}{'sent, kB':^18}{'median wait, ms':^18}")
    print(f"{'page':18}{'rerun':10}" + f"{'ours':>9}{'ordinary':>9}{'ratio':>8}  ", end="")
    print(f"{'ours':>9}{'ordinary':>9}" * 3)
    ratios = []
    for (title, kind), costs in results.items():
        ordinary, ours = costs[ORDINARY], costs.get(OURS)
        pairs = [
            (f"{ours.milliseconds:.1f}" if ours else "0", f"{ordinary.milliseconds:.1f}"),
            (f"{ours.messages:.0f}" if ours else "0", f"{ordinary.messages:.0f}"),
            (f"{ours.kilobytes:.0f}" if ours else "0", f"{ordinary.kilobytes:.0f}"),
            (f"{ours.latency:.0f}" if ours else "0", f"{ordinary.latency:.0f}"),
        ]
        ratio = ordinary.milliseconds / ours.milliseconds if ours else float("inf")
        if ours:
            ratios.append(ratio)
        cpu, *rest = [f"{left:>9}{right:>9}" for left, right in pairs]
        print(f"{title:18}{kind:10}{cpu}{ratio:8.2f}  " + "".join(rest))
    return min(ratios)


async def change(session: Session, number: int) -> Rerun:
    """Move the first control that there is of those that make another run, or run as it is."""
    labels = {widget.label for widget in session.widgets.values()}
    for label, first in CHANGED.items():
        if label in labels:
            return await session.move(session.widget(label), first + number)
    return await session.rerun()


async def all_pages(n: int, folders: Sequence[Path]) -> dict[str, dict[Path, dict[str, Cost]]]:
    """Return what reruns cost on each of our pages, in each state of the code, in turn."""
    results: dict[str, dict[Path, dict[str, Cost]]] = {}
    with ExitStack() as stack:
        servers = {folder: stack.enter_context(serve(OURS, folder)) for folder in folders}
        for server in servers.values():  # which goes on importing after its first page
            async with Session(server.address) as session:
                await session.open()
        await asyncio.sleep(LATER)
        for path in ("", *PATHS[OURS].values()):
            costs = results[path or "home"] = {
                folder: {"warm": Cost(), "cold": Cost()} for folder in folders
            }
            async with AsyncExitStack() as visits:
                sessions = {}
                for folder, server in servers.items():
                    sessions[folder] = await visits.enter_async_context(Session(server.address))
                    await sessions[folder].open(path)
                for kind in ("warm", "cold"):
                    for i in range(-CACHED_SEEDS - WARM_UP, n):
                        for folder, session in sessions.items():
                            before = await settled_cpu(servers[folder])
                            number = i % CACHED_SEEDS if kind == "warm" else n + i
                            rerun = await change(session, number + CACHED_SEEDS * (kind == "cold"))
                            after = await settled_cpu(servers[folder])
                            if rerun.errors:
                                raise RuntimeError(f"{path or 'home'}: {rerun.errors}")
                            if i >= 0:
                                costs[folder][kind].cpu.append(after - before)
                                costs[folder][kind].reruns.append(rerun)
    return results


def report_pages(results: Mapping[str, Mapping[Path, Mapping[str, Cost]]]) -> None:
    """Print a line for each page and state of the code."""
    print(f"{'page':22}{'messages':>9}{'sent, kB':>10}{'CPU warm, ms':>14}{'cold, ms':>10}  code")
    for page, costs in results.items():
        for folder, cost in costs.items():
            warm, cold = cost["warm"], cost["cold"]
            print(
                f"{page:22}{warm.messages:9.0f}{warm.kilobytes:10.0f}{warm.milliseconds:14.1f}"
                f"{cold.milliseconds:10.1f}  {folder.name}"
            )


def list_messages(results: Mapping[str, Mapping[Path, Mapping[str, Cost]]]) -> None:
    """Print what a warm rerun of each of our pages sends: where, how many bytes, and what."""
    for page, costs in results.items():
        rerun = costs[ROOT]["warm"].reruns[-1]
        print(f"\n{page}: {rerun.n_messages} messages, {rerun.n_bytes / 1e3:.0f} kB")
        for message in rerun.messages:
            place = ".".join(map(str, message.metadata.delta_path))
            print(f"  {place:10}{message.ByteSize():>8}  {kind_of(message)}")


def main() -> None:
    """Measure and print; end with an error if a ratio is too low."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--reruns", type=int, default=30, help="of each kind (default 30)")
    parser.add_argument("--at-least", type=float, default=0.0, help="ratio that must be reached")
    parser.add_argument("--pages", action="store_true", help="all our pages, by themselves")
    parser.add_argument("--messages", action="store_true", help="list what each of them sends")
    parser.add_argument("--against", type=Path, help="folder of another state of the code")
    options = parser.parse_args()
    if options.pages or options.messages or options.against:
        folders = [ROOT] if options.against is None else [options.against.resolve(), ROOT]
        results = asyncio.run(all_pages(options.reruns, folders))
        report_pages(results)
        if options.messages:
            list_messages(results)
        return
    lowest = report(asyncio.run(run(options.reruns)))
    if lowest < options.at_least:
        sys.exit(f"ratio {lowest:.2f} is below {options.at_least:g}")


if __name__ == "__main__":
    main()
