"""What the cases share: a scratch folder, a daemon on a pool of its own, and checks when a case ends.

A case is a function `name(case)` in a file of `cases/`. It raises to fail, `Skip` to be skipped.
`GNOMON` names the binary under test (default .build/release/gnomon), `GNOMON_DEBUG` the one with
failpoints (default .build/debug/gnomon). `STAND_IN=nbdkit` or
`STAND_IN=qemu-nbd` runs the cases that are not Gnomon's own against another server: a way to
tell a wrong case from a wrong daemon. `STAND_IN=nbdkit-lossy` loses what it was told to flush: the
cases about durability must fail on it. `SANITIZER=address` or `SANITIZER=thread` takes the binary that
`make asan` or `make tsan` has built; a report of the sanitizer, in whatever process, fails the case.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import nbdraw

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SANITIZER = os.environ.get("SANITIZER", "")
BUILD = {"": ".build", "address": ".build/asan", "thread": ".build/tsan"}[SANITIZER]
BINARY = os.path.realpath(os.environ.get("GNOMON", os.path.join(ROOT, BUILD, "release/gnomon")))
# Cases about failpoints and deliberate bugs run this one: such things are compiled into debug builds only.
DEBUG_BINARY = os.path.realpath(os.environ.get("GNOMON_DEBUG", os.path.join(ROOT, BUILD, "debug/gnomon")))
RIGS = os.path.realpath(os.environ.get("RIGS", os.path.join(ROOT, "../shared/rigs")))
STAND_IN = os.environ.get("STAND_IN", "")
PYTHON = "/usr/bin/python3"  # Debian's: the one that python3-libnbd is installed for

# For work on the daemon only: leaves out `gnomon check` after every case. CI does not listen to it.
NO_CHECK = os.environ.get("NO_CHECK") == "1" and os.environ.get("CI") != "true"

KiB, MiB, GiB, TiB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
EXTENT = MiB  # the extent size of pools that do not say otherwise
CRASH = re.compile(r"Fatal error|Precondition failed|Assertion failed|Thread \d+ crashed|Simultaneous access|"
                   r"ThreadSanitizer|AddressSanitizer|malloc\(\)|free\(\)|corrupted", re.I)


class Skip(Exception):
    """The case cannot run here. In CI a skip is a failure unless it is `allowed`."""

    def __init__(self, reason, allowed=False):
        super().__init__(reason)
        self.allowed = allowed


def limit(seconds):
    """Gives a case a time limit other than the runner's."""
    def mark(function):
        function.limit = seconds
        return function
    return mark


def each(*values):
    """Runs a case once for every value; the value is its second argument."""
    def mark(function):
        function.values = values
        return function
    return mark


def slow(function):
    """Leaves a case to `Tests/e2e/run --slow`, which runs nothing else."""
    function.slow = True
    return function


def alone(function):
    """Runs a case while no other is running: it says how long something takes, or keeps all processors busy."""
    function.alone = True
    return function


def die_with_parent():
    """Between fork and exec: the child is killed when the case's process goes."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def need(*tools):
    for tool in tools:
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            raise Skip(f"{tool} is not installed (make install-deps)")


def slowed(seconds):
    """A bound on the time that the daemon computes, wide enough for a sanitizer."""
    return seconds * 8 if SANITIZER else seconds


def need_gnomon(*but):
    """The case asks for what the stand-ins cannot do, `but` for those that are named."""
    if STAND_IN and STAND_IN.removesuffix("-lossy") not in but:
        raise Skip(f"only for Gnomon, not for {STAND_IN}", allowed=True)


def need_debug_binary():
    need_gnomon()
    if not os.path.exists(DEBUG_BINARY):
        raise AssertionError(f"no {DEBUG_BINARY}: run swift build")


def rig(name):
    path = os.path.join(RIGS, name)
    if not os.path.exists(path):
        raise Skip(f"no {name} in {RIGS}", allowed=True)
    return path


def eventually(check, seconds=10.0, what="condition"):
    """Polls until `check` returns something true; returns it."""
    end = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true within {seconds} s")
        time.sleep(0.02)


def pattern(seed, length):
    """Reproducible bytes without a long run of anything."""
    import random
    return random.Random(seed).randbytes(length)


def sanitizer_environment(scratch):
    """Has every sanitized process below a scratch folder write its reports there."""
    variable = {"address": "ASAN_OPTIONS", "thread": "TSAN_OPTIONS"}[SANITIZER]
    options = [os.environ.get(variable), f"log_path={os.path.join(scratch, 'sanitizer')}"]
    return {variable: ":".join(option for option in options if option)}


def sanitizer_reports(scratch):
    """What the sanitizer found in the processes of a case."""
    reports = []
    for name in sorted(os.listdir(scratch)):
        if name.startswith("sanitizer."):
            with open(os.path.join(scratch, name), encoding="utf-8", errors="replace") as file:
                reports.append(file.read())
    return "\n".join(reports)


def summary(reports):
    """The first line that names a finding."""
    return next((line for line in reports.splitlines() if "SUMMARY" in line), reports.strip().splitlines()[0])


class Case:
    """One running case: its scratch folder and everything that must be put away afterwards."""

    def __init__(self, name, scratch, seed):
        self.name, self.scratch, self.seed = name, scratch, seed
        self.daemons, self.clients, self.cleanups = [], [], []

    def path(self, *parts):
        return os.path.join(self.scratch, *parts)

    def note(self, text):
        print(text, flush=True)

    def run(self, *command, timeout=120, status=0, env=None, cwd=None):
        """Runs a tool to its end and returns what it printed; checks its exit status unless None."""
        words = [str(word) for word in command]
        self.note("$ " + " ".join(words))
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, errors="replace", timeout=timeout, cwd=cwd,
                              env={**os.environ, **(env or {})}, preexec_fn=die_with_parent)
        if done.stdout or done.stderr:
            self.note((done.stdout + done.stderr)[-4000:])
        if status is not None and done.returncode != status:
            raise AssertionError(f"{words[0]} ended with {done.returncode}, not {status}: "
                                 f"{(done.stderr or done.stdout).strip()[-400:]}")
        return done if status is None else done.stdout

    def daemon(self, **options):
        """A pool of its own with a daemon that serves it."""
        daemon = Daemon(self, **options)
        self.daemons.append(daemon)
        daemon.create()
        daemon.start()
        return daemon

    def finish(self):
        """After a case that passed: every daemon must be well, leak nothing and stop cleanly."""
        for client in self.clients:
            client.close()
        for daemon in self.daemons:
            daemon.finish()

    def cleanup(self):
        for client in self.clients:
            client.close()
        for daemon in self.daemons:
            daemon.kill()
        for action in reversed(self.cleanups):
            action()


class Daemon:
    """A pool in the case's scratch folder and the process that serves it."""

    def __init__(self, case, volumes=None, stores=None, extent=EXTENT, cache="direct", serve=(), listen=None,
                 config=None, limits=None, env=None, binary=BINARY):
        self.case, self.cache, self.limits, self.env = case, cache, limits, env or {}
        self.binary = binary
        self.number = len(case.daemons)
        self.folder = case.path(f"d{self.number}")
        self.pool = os.path.join(self.folder, "pool")
        self.volumes = {"v": 64 * MiB} if volumes is None else volumes
        self.stores = [("fast", 256 * MiB, 0)] if stores is None else stores
        self.extent, self.serve_arguments, self.config = extent, list(serve), config
        self.socket = os.path.join(self.folder, "nbd.sock")
        self.port = free_port()
        self.listen = listen
        self.process = None
        self.log_path = os.path.join(self.folder, "log")
        self.fd_baseline = None
        self.was_managed = False
        self.check_when_finished = True

    # --- making

    def store_path(self, name):
        return os.path.join(self.folder, name + ".store")

    def create_command(self):
        words = [self.binary, "pool", "create", self.pool]
        for name, size, tier in self.stores:
            # A string is a place that is no file of ours, an NBD export for example, with the size it has.
            words += ["--store", f"{name}={size},tier={tier}" if isinstance(size, str) else
                      f"{name}={self.store_path(name)},size={size},tier={tier},cache={self.cache}"]
        for name, size in self.volumes.items():
            words += ["--volume", f"{name}={size},extent={self.extent}"]
        return words

    def create(self):
        os.makedirs(self.folder, exist_ok=True)
        if STAND_IN:
            for name, size in self.volumes.items():
                with open(os.path.join(self.folder, name + ".img"), "wb") as image:
                    image.truncate(size)
            return
        if not os.path.exists(self.binary):
            raise AssertionError(f"no {self.binary}: run make build")
        self.case.run(*self.create_command())

    def serve_command(self):
        if STAND_IN:
            return self.stand_in_command()
        words = [self.binary, "serve", "--pool", self.pool]
        if self.config is not None:
            path = os.path.join(self.folder, "config.json5")
            with open(path, "w", encoding="utf-8") as file:
                file.write(self.config)
            words += ["--config", path]
        listen = self.listen
        if listen is None:
            listen = [f"nbd://127.0.0.1:{self.port}", f"nbd+unix:///?socket={self.socket}"]
        for uri in listen:
            words += ["--listen", uri]
        return words + self.serve_arguments

    def stand_in_command(self):
        if len(self.volumes) != 1:
            raise Skip("the stand-in has one export", allowed=True)
        name = next(iter(self.volumes))
        image = os.path.join(self.folder, name + ".img")
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        if STAND_IN == "nbdkit":
            return ["nbdkit", "-f", "-U", self.socket, "file", image]
        if STAND_IN == "nbdkit-lossy":  # forgets what it acknowledged: the durability cases must fail
            return ["nbdkit", "-f", "-U", self.socket, "--filter=cache", "file", image, "cache=unsafe"]
        if STAND_IN == "qemu-nbd":
            return ["qemu-nbd", "-k", self.socket, "-x", name, "-f", "raw", "-t", "-e", "100", "-A",
                    "--discard=unmap", image]
        raise AssertionError(f"unknown STAND_IN {STAND_IN}")

    # --- running

    def start(self, wait=True):
        assert self.process is None
        self.fd_baseline, self.was_managed = None, False

        def prepare():
            die_with_parent()
            for name, value in (self.limits or {}).items():
                import resource
                resource.setrlimit(getattr(resource, name), (value, value))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.serve_command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.env}, preexec_fn=prepare)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30.0):
        def answers():
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.process.returncode}:\n{self.log_tail()}")
            try:
                with nbdraw.Client(self.address, timeout=5) as client:
                    client.verdict(nbdraw.Option.ABORT)
                    return True
            except (OSError, nbdraw.Gone):
                return False
        eventually(answers, seconds, "the daemon's answer")
        if not STAND_IN:  # it comes up after the listeners, and its descriptors are no leak
            eventually(lambda: os.path.exists(os.path.join(self.pool, "api.sock")), seconds, "the control API")
        time.sleep(0.05)
        if self.fd_baseline is None:
            self.fd_baseline = self.fds()

    @property
    def address(self):
        return self.socket if self.listens_on_unix() else ("127.0.0.1", self.port)

    def listens_on_unix(self):
        return self.listen is None or any(uri.startswith("nbd+unix") for uri in self.listen)

    @property
    def tcp_address(self):
        if STAND_IN:
            return self.socket
        return ("127.0.0.1", self.port)

    def uri(self, export=None):
        export = self.export if export is None else export
        return f"nbd+unix:///{export}?socket={self.socket}"

    def tcp_uri(self, export=None):
        if STAND_IN:
            return self.uri(export)
        return f"nbd://127.0.0.1:{self.port}/{self.export if export is None else export}"

    @property
    def export(self):
        return next(iter(self.volumes))

    def client(self, export=None, tcp=False, **options):
        client = nbdraw.connect(self.tcp_address if tcp else self.address,
                                self.export if export is None else export, **options)
        self.case.clients.append(client)
        return client

    def raw(self, tcp=False, **options):
        """A client that has done no more than exchange greetings."""
        client = nbdraw.Client(self.tcp_address if tcp else self.address, **options)
        self.case.clients.append(client)
        return client

    # --- ending

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, without a check."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self, seconds=30.0):
        """SIGTERM, which must end it with status 0."""
        self.process.terminate()
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running {seconds} s after SIGTERM:\n{self.log_tail()}") from None
        self.process = None
        if status != 0 and not (STAND_IN and status == -signal.SIGTERM):
            raise AssertionError(f"status {status} on SIGTERM:\n{self.log_tail()}")

    def restart(self):
        self.stop()
        return self.start()

    def crash(self):
        """SIGKILL and start again."""
        self.kill()
        return self.start()

    def finish(self):
        if self.process is None:
            return
        if not self.alive():
            raise AssertionError(f"the daemon died with {self.process.returncode}:\n{self.log_tail()}")
        slack = 2
        try:
            eventually(lambda: self.fds() <= self.fd_baseline + slack, 10, "release of descriptors")
        except AssertionError:
            raise AssertionError(f"{self.fds()} descriptors open, {self.fd_baseline} at the start:\n"
                                 + "\n".join(self.fd_names())) from None
        self.stop()
        text = self.log()
        if CRASH.search(text) and not self.allowed_log(text):
            raise AssertionError(f"the log tells of a crash:\n{self.log_tail()}")
        if self.check_when_finished and not STAND_IN and not NO_CHECK:
            self.check()

    @staticmethod
    def allowed_log(text):
        return all("corrupt" in line.lower() and not re.search("Fatal|crashed", line)
                   for line in text.splitlines() if CRASH.search(line))

    # --- looking

    def log(self):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def log_tail(self, lines=25):
        return "\n".join(self.log().splitlines()[-lines:])

    def fds(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def fd_names(self):
        folder = f"/proc/{self.process.pid}/fd"
        return sorted(os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder))

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return int(re.search(r"VmRSS:\s+(\d+) kB", file.read()).group(1)) * KiB

    def cpu_seconds(self):
        """Processor time that the process has used."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # --- managing

    def gnomon(self, *words, status=0, timeout=60):
        """A management verb against this pool; returns its output (or the process when status is None)."""
        need_gnomon()
        if self.process is not None and not self.was_managed:
            # What the first call of the API opens for good is no leak.
            before = self.fds()
            self.case.run(self.binary, "status", "--pool", self.pool)
            time.sleep(0.1)
            self.fd_baseline += max(0, self.fds() - before)
            self.was_managed = True
        return self.case.run(self.binary, *words, "--pool", self.pool, status=status, timeout=timeout)

    def json(self, *words):
        return json.loads(self.gnomon(*words, "--json"))

    def check(self, status=0):
        """The offline check of the pool; the daemon must not run."""
        need_gnomon()
        assert self.process is None
        if NO_CHECK:
            return ""
        return self.case.run(self.binary, "check", "--pool", self.pool, status=status, timeout=300)


def tail(text, lines=40):
    return "\n".join(text.rstrip().splitlines()[-lines:])


def die(text):
    print(text, file=sys.stderr)
    sys.exit(2)
