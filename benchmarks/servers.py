"""Start the two apps that are compared, and read what they use from ``/proc`` (Linux only).

Ours can also be started as it is deployed: several processes behind nginx.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pages import LESSONS

ROOT = Path(__file__).parent.parent
START_TIMEOUT = 60.0  # seconds

OURS, ORDINARY = "ours", "ordinary"
# Each app is started in its own folder, where Streamlit looks for its configuration.
_FOLDERS = {OURS: ROOT, ORDINARY: ROOT / "benchmarks" / "ordinary"}
# The pages of each app, by name, and where they answer. The ordinary app has some of ours, and its
# first is where it starts.
_WRITTEN = [lesson for lesson in LESSONS if (_FOLDERS[ORDINARY] / f"{lesson.name}.py").exists()]
PATHS = {
    OURS: {lesson.url_path: lesson.url_path for lesson in LESSONS},
    ORDINARY: {lesson.url_path: lesson.url_path if i else "" for i, lesson in enumerate(_WRITTEN)},
}
TITLES = {lesson.url_path: lesson.title for lesson in LESSONS}

# Ours as ``deploy/em@.service`` has it; the other as it comes, but it connects to nowhere.
_ENVIRONMENT = {
    OURS: {"MALLOC_ARENA_MAX": "2"},
    ORDINARY: {"PYTHONPATH": str(ROOT), "STREAMLIT_BROWSER_GATHER_USAGE_STATS": "false"},
}

# What nginx is told where ours is deployed.
SITE = ROOT / "deploy" / "nginx.conf"

# Never through a proxy: the apps are on this machine.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# Debian keeps it where only root looks for programs. None if it is not installed.
NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")


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


@dataclass(frozen=True)
class Farm:
    """Several processes of one app behind nginx, which looks like one :class:`Server`.

    Attributes
    ----------
    name, address
        As of a server; the address is nginx's.
    servers : sequence of Server
        The processes.
    log : Path
        A line for each request that nginx has finished: the student's cookie, the path, and the
        processes that were asked. A request is finished a little after its answer has arrived.
    """

    name: str
    address: str
    servers: Sequence[Server]
    log: Path

    @property
    def alive(self) -> list[Server]:
        """Those that still run."""
        return [server for server in self.servers if server.process.poll() is None]

    def cpu_seconds(self) -> float:
        """Return the CPU time used so far, in which a process that has ended keeps its part.

        So does all else that this script has started and that has ended.
        """
        running = sum(server.cpu_seconds() for server in self.alive)
        ended = os.times()
        return running + ended.children_user + ended.children_system

    def tracebacks(self) -> int:
        """Return how many errors all of them have written so far."""
        return sum(server.tracebacks() for server in self.servers)

    def resident_megabytes(self) -> float:
        """Return the memory that those which run use."""
        return sum(server.resident_megabytes() for server in self.alive)

    def cookie(self, timeout: float) -> str:
        """Return the cookie that nginx gives a new student."""
        with OPENER.open(f"http://{self.address}/", timeout=timeout) as response:
            return response.headers["Set-Cookie"].partition(";")[0]


@contextmanager
def serve_behind_nginx(n_processes: int, platform: str | None = None) -> Iterator[Farm]:
    """Start our app in several processes behind nginx, with the configuration in ``deploy/``.

    A learning platform at the address ``platform``, if it is given, may show it in a frame.

    Raises
    ------
    RuntimeError
        If nginx is not installed, or something ends or does not answer in time.
    """
    if NGINX is None:
        raise RuntimeError("nginx is not installed")
    with ExitStack() as stack:
        servers = [stack.enter_context(serve(OURS)) for _ in range(n_processes)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        site = _between(servers, SITE.read_text())
        if platform:
            site = site.replace("https://lms.example.org", platform)
        (folder / "nginx.conf").write_text(on_loopback(site, port, folder))
        command = [NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]
        log = stack.enter_context((folder / "log").open("wb"))
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(stop, process)
        address = f"127.0.0.1:{port}"
        _wait("nginx", f"http://{address}/_stcore/health", process, folder / "log")
        yield Farm(OURS, address, servers, folder / "access")


def _between(servers: Sequence[Server], site: str) -> str:
    """Return what a site's configuration says, for these processes."""
    line = re.compile(r"^    server 127\.0\.0\.1:\d+(.*\n)", re.MULTILINE)
    how = line.search(site)[1]
    ours = ["".join(f"    server {server.address}{how}" for server in servers)]
    return line.sub(lambda _: ours.pop() if ours else "", site)


def on_loopback(site: str, port: int, folder: Path) -> str:
    """Return a whole configuration around a site's, which keeps to this port and this folder."""
    site = re.sub(r"listen +80;", f"listen 127.0.0.1:{port};", site)
    site = re.sub(r"listen +\[::\]:80;", "", site)  # not every machine has it
    site = site.replace("/var/lib/nginx/em", str(folder / "cache"))
    # Beside the site's own log there is one that says which process was asked.
    site = site.replace(
        "access_log /var/log/nginx/em.log",
        f"access_log {folder}/access em;\n    access_log {folder}/em.log",
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    # Workers of root's nginx would be nobody, who may not write into the folder.
    user = "user root; " if os.geteuid() == 0 else ""
    return (
        f"{user}daemon off; pid {folder}/pid; worker_processes 1; worker_rlimit_nofile 8192;\n"
        f"events {{ worker_connections 4096; }}\n"
        "http { include /etc/nginx/mime.types;\n"
        "log_format em '$cookie_em_student $uri $upstream_addr';\n"
        f"{paths}{site}}}\n"
    )


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serve(name: str, folder: Path | None = None) -> Iterator[Server]:
    """Start an app on a free port of this machine, wait until it answers, and stop it at the end.

    It finds a fresh machine: no configuration and no files but the project's. ``folder`` is where
    another state of the code lies, if it is not to be this one.

    Raises
    ------
    RuntimeError
        If it ends, or does not answer in time.
    """
    with tempfile.TemporaryDirectory() as home:
        try:
            server = _start(name, folder or _FOLDERS[name], Path(home))
        except RuntimeError as error:
            # Somebody else may take a free port before the app does.
            if "is not available" not in str(error):
                raise
            server = _start(name, folder or _FOLDERS[name], Path(home))
        try:
            yield server
        finally:
            stop(server.process)


def _start(name: str, folder: Path, home: Path) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "app.py"]
    command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
    command += ["--server.headless", "true"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("STREAMLIT_")}
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**environment, "HOME": str(home), **_ENVIRONMENT[name]},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    server = Server(name, f"127.0.0.1:{port}", process, log)
    try:
        _wait(name, f"http://{server.address}/_stcore/health", process, log)
    except BaseException:
        stop(process)
        raise
    return server


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process, and wait until it has ended."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait(name: str, url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_TIMEOUT
    while time.monotonic() < end:
        try:
            with OPENER.open(url, timeout=5):
                answered = True
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            answered = False
        # After the answer, which may be another program's that has the port.
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended:\n{log.read_text()}")
        if answered:
            return
        time.sleep(0.1)
    raise RuntimeError(f"{name} did not answer within {START_TIMEOUT:g} s")
