"""What bench/failover works with: pools, servers behind stores that can be made slow, stopped and killed, and timed
loads."""
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

import servers

HERE = os.path.dirname(os.path.realpath(__file__))
ROOT = os.path.dirname(HERE)
GNOMON = os.path.realpath(os.environ.get("GNOMON", f"{ROOT}/.build/release/gnomon"))
KiB, MiB = 1 << 10, 1 << 20
REQUEST_BYTES = 28  # of a read on the wire
WINDOW = 0.5        # seconds


def compiled(name):
    """A tool of bench/, compiled when it is newer than its binary."""
    source, binary = f"{HERE}/{name}.c", f"{HERE}/.cache/{name}"
    if not os.path.exists(binary) or os.path.getmtime(binary) < os.path.getmtime(source):
        os.makedirs(os.path.dirname(binary), exist_ok=True)
        subprocess.run(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", binary, source], check=True)
    return binary


def eventually(check, seconds, what):
    end = time.monotonic() + seconds
    while not (value := check()):
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.02)
    return value


def is_listened_to(path):
    with open("/proc/net/unix", encoding="ascii") as file:
        return any(line.rstrip().endswith(path) for line in file)


class Rig:
    """A scratch folder, and everything that was started in it; ends all of it."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = tempfile.mkdtemp(prefix="failover.", dir=folder)
        self.endings, self.names = [], 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for ending in reversed(self.endings):
            ending()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, kind):
        self.names += 1
        return f"{self.folder}/{self.names}.{kind}"

    def spawn(self, words, listens=None, **options):
        with open(f"{self.folder}/log", "ab") as log:
            process = subprocess.Popen(words, stderr=log, **{"stdin": subprocess.DEVNULL, "stdout": log, **options})
        self.endings.append(lambda: (process.kill(), process.wait()))
        if listens:
            eventually(lambda: process.poll() is not None or is_listened_to(listens), 20, listens)
            if process.poll() is not None:
                with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
                    raise RuntimeError(f"{words[0]} ended: {file.read()[-500:]}")
        return process


class Server:
    """nbdkit with one export in memory or in a file."""

    def __init__(self, rig, mebibytes, in_memory=False):
        self.rig, self.socket = rig, rig.path("sock")
        self.body = ["memory", f"{mebibytes}M"] if in_memory else ["file", rig.path("img")]
        if not in_memory:
            with open(self.body[1], "wb") as file:
                file.truncate(mebibytes * MiB)
        self.start()

    def start(self):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        self.process = self.rig.spawn(["nbdkit", "-f", "-U", self.socket, *self.body], self.socket)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)


class SlowWire:
    """bench/slowwire.c before a server."""

    def __init__(self, rig, server):
        self.socket = rig.path("sock")
        self.process = rig.spawn([compiled("slowwire"), self.socket, server.socket], self.socket,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def tell(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def delay(self, milliseconds):
        self.tell(f"delay {milliseconds}")

    def reads(self):
        """How many reads have been asked for through it."""
        self.tell("asked")
        return int(self.process.stdout.readline()) / REQUEST_BYTES


# What is measured is how single requests are redirected; a store that fails again and again would be left alone
# for longer each time.
REQUESTS_ONLY = "{ health: { act: false } }"


class Pool:
    """A pool and its daemon. Stores are (name, place with options)."""

    def __init__(self, rig, stores, volumes, extent="1M", config=REQUESTS_ONLY):
        self.rig, self.folder, self.socket = rig, rig.path("pool"), rig.path("sock")
        words = [GNOMON, "pool", "create", self.folder]
        for name, place in stores:
            words += ["--store", f"{name}={place}"]
        for name, size in volumes.items():
            words += ["--volume", f"{name}={size},extent={extent}"]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
        with open(f"{self.folder}/gnomon.json5", "w", encoding="utf-8") as file:
            file.write(config)
        self.process = rig.spawn(
            [GNOMON, "serve", "--pool", self.folder, "--listen", f"nbd+unix:///?socket={self.socket}"], self.socket)
        eventually(lambda: os.path.exists(f"{self.folder}/api.sock"), 10, "the control API")

    def uri(self, volume="v"):
        return f"nbd+unix:///{volume}?socket={self.socket}"

    def gnomon(self, *words):
        done = subprocess.run([GNOMON, *words, "--pool", self.folder], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"gnomon {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def json(self, *words):
        return json.loads(self.gnomon(*words, "--json"))

    def protect(self, volume="v", copies=2):
        self.gnomon("volume", "set", volume, "--copies", str(copies))
        self.wait_protected(volume)

    def wait_protected(self, volume="v", seconds=60):
        eventually(lambda: self.json("volume", "show", volume)["lackingExtents"] == 0, seconds, f"the copies of {volume}")

    def copied_bytes(self):
        """What the protection of volumes has copied since the start of the daemon."""
        return self.json("jobs")["protection"]["movedBytes"]

    def cpu_seconds(self):
        return servers.cpu_seconds(self.process.pid)


def image(rig, mebibytes):
    """A file for a store, as (place, options) wants it, without holes below it."""
    path = rig.path("img")
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, mebibytes * MiB)
    return f"{path},size={mebibytes}M"


def fill(uri, mebibytes):
    """Writes all of a volume, so that every extent is mapped and every block on disk."""
    fio(uri, mebibytes, "--rw=write", "--bs=1m", "--iodepth=4", "--end_fsync=1", "--refill_buffers")


def fio(uri, mebibytes, *words, log=None, is_mapped=False, timeout=300):
    """Runs fio to its end; -> its one job. `log` is where each request is noted; with `is_mapped` each block is used
    once."""
    more = [] if log is None else [f"--write_lat_log={log}", "--log_avg_msec=0", "--log_unix_epoch=1",
                                   "--disable_clat=1", "--disable_slat=1"]
    words = [word for word in _fio_words(uri, mebibytes, *words, *more) if not is_mapped or word != "--norandommap"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout, cwd=os.path.dirname(log) if log else "/tmp")
    if done.returncode:
        raise RuntimeError(f"fio: {(done.stderr or done.stdout).strip()[:600]}")
    return json.loads(done.stdout[re.search(r"^\{", done.stdout, re.M).start():])["jobs"][0]


def _fio_words(uri, mebibytes, *words):
    return ["fio", "--name=x", "--ioengine=nbd", f"--uri={uri}", f"--size={mebibytes}m", "--thread",
            "--randrepeat=0", "--norandommap", "--output-format=json", *words]


class Load:
    """fio beside something that happens; every request of it is noted with its time."""

    def __init__(self, rig, uri, mebibytes, seconds, *words):
        self.log = rig.path("fio")
        self.began = time.time()
        self.process = rig.spawn(
            _fio_words(uri, mebibytes, "--time_based", f"--runtime={seconds}", f"--write_lat_log={self.log}",
                       "--log_avg_msec=0", "--log_unix_epoch=1", "--disable_clat=1", "--disable_slat=1", *words),
            stdout=subprocess.PIPE, cwd=rig.folder)

    def wait(self, timeout):
        """-> [(when it was answered, how many microseconds it took)], whatever fio's status."""
        try:
            self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        return requests(self.log)

    @property
    def failed(self):
        return self.process.returncode != 0


def requests(log, writes=None):
    """-> [(when it was answered, in seconds, how many microseconds it took)], of writes only or reads only if said."""
    path = f"{log}_lat.1.log"
    if not os.path.exists(path):
        return []
    out = []
    with open(path, encoding="ascii") as file:
        for line in file:
            when, took, direction, _ = line.split(",", 3)
            if writes is None or int(direction) == writes:
                out.append((int(when) / 1000, int(took) / 1000))
    return out


def percentile(values, share):
    """The value below which a share of them lies; None of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else None


def windows(found, begin, end, width=WINDOW):
    """-> [{at, count, p50, p99, max}], times in seconds from `begin` and microseconds."""
    buckets = [[] for _ in range(max(1, round((end - begin) / width)))]
    for when, took in found:
        if begin <= when < begin + width * len(buckets):
            buckets[int((when - begin) / width)].append(took)
    return [{"at": number * width, "count": len(bucket), "p50": percentile(bucket, 0.5),
             "p99": percentile(bucket, 0.99), "max": max(bucket, default=None)}
            for number, bucket in enumerate(buckets)]


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None

