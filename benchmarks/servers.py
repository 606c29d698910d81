"""Start the two apps that are compared, and read what they use from ``/proc`` (Linux only)."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
START_TIMEOUT = 60.0  # seconds

OURS, ORDINARY = "ours", "ordinary"
# The example pages of each app, by name, and where they answer.
PATHS = {
    OURS: {
        name: name for name in ("maximum-likelihood", "k-means", "two-coins", "gaussian-mixture")
    },
    ORDINARY: {"two-coins": "", "gaussian-mixture": "gaussian-mixture"},
}
# Each app is started in its own folder, where Streamlit looks for its configuration.
_FOLDERS = {OURS: ROOT, ORDINARY: ROOT / "benchmarks" / "ordinary"}


def machine_cpu_seconds() -> float:
    """Return the CPU time that all processes of this machine have used since it started."""
    # user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
    user, nice, system, _, _, *more = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + sum(more)) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Server:
    """A running app.

    Attributes
    ----------
    name : str
        Which one.
    address : str
        Host and port.
    process : Popen
        Its process.
    log : Path
        What it writes.
    """

    name: str
    address: str
    process: subprocess.Popen[bytes]
    log: Path

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far: user and system, with the children that have ended."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        # The second field is the name in parentheses; the times are fields 14 to 17.
        times = stat.rpartition(")")[2].split()[11:15]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    def tracebacks(self) -> int:
        """Return how many errors it has written so far."""
        return self.log.read_text().count("Traceback (most recent call last)")

    def resident_megabytes(self) -> float:
        """Return the memory that is in use."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def serve(name: str) -> Iterator[Server]:
    """Start an app on a free port of this machine, wait until it answers, and stop it at the end.

    Raises
    ------
    RuntimeError
        If it ends, or does not answer in time.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
    command += ["--server.headless", "true", "--browser.gatherUsageStats", "false"]
    with tempfile.NamedTemporaryFile(suffix=".log") as log:
        process = subprocess.Popen(
            command,
            cwd=_FOLDERS[name],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        server = Server(name, f"127.0.0.1:{port}", process, Path(log.name))
        try:
            _wait(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(server: Server) -> None:
    end = time.monotonic() + START_TIMEOUT
    # Never through a proxy: the app is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end:
        if server.process.poll() is not None:
            raise RuntimeError(f"the app “{server.name}” ended:\n{server.log.read_text()}")
        try:
            with opener.open(f"http://{server.address}/_stcore/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise RuntimeError(f"the app “{server.name}” did not answer within {START_TIMEOUT:g} s")
