"""The servers under comparison: how each is prepared, started, watched and stopped."""
import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import cells

TICK = os.sysconf("SC_CLK_TCK")

# name: (kind of image, command). {img} {sock} {conf} {pid} {pool} {gnomon} are filled in.
SERVERS = {
    "raw": ("direct", None),
    "gnomon-direct": ("pool-direct", "{gnomon} serve --pool {pool} --listen nbd+unix:///?socket={sock}"),
    "qemu-direct": ("direct", "qemu-nbd -k {sock} -f raw --aio=io_uring --cache=none -t -e 8 {img}"),
    "gnomon-page": ("pool-page", "{gnomon} serve --pool {pool} --listen nbd+unix:///?socket={sock}"),
    "nbdkit-file": ("cached", "nbdkit -f -U {sock} file file={img}"),
    "nbd-server": ("cached", "nbd-server -C {conf} -p {pid}"),
    # Clients made with libnbd need two system calls less for a simple reply, and are the limit at depth 32.
    "gnomon-page-simple": ("pool-page", "{gnomon} serve --pool {pool} --config {simple} "
                           "--listen nbd+unix:///?socket={sock}"),
    "nbdkit-file-simple": ("cached", "nbdkit -f --no-sr -U {sock} file file={img}"),
    "gnomon-direct-polling": ("pool-direct", "{gnomon} serve --pool {pool} --config {polling} "
                              "--listen nbd+unix:///?socket={sock}"),
    "qemu-writeback": ("cached", "qemu-nbd -k {sock} -f raw --cache=writeback -t -e 8 {img}"),
}
# name: configuration of a gnomon server, as {name} in its command
CONFIGURATIONS = {
    "simple": "{ nbd: { structuredReplies: false } }",
    "polling": "{ nbd: { busyPollMicroseconds: 200 } }",
}
EXPORTS = {"nbd-server": "default"}


def drop_cache(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def warm_cache(path):
    """The whole file into the page cache, 4 KiB at a time and without read-ahead: large folios would make
    small overwrites dearer for whoever meets them."""
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_RANDOM)
    buffer = bytearray(1 << 20)
    offset = 0
    while True:
        try:  # only what is mapped: holes would fill the cache with zeroes
            offset = os.lseek(fd, offset, os.SEEK_DATA)
        except OSError:
            break
        got = os.preadv(fd, [buffer], offset)
        if got <= 0:
            break
        offset += got
    os.close(fd)


def busy_seconds():
    """Core-seconds that the whole machine has worked since it started."""
    with open("/proc/stat", encoding="utf-8") as file:
        fields = [int(word) for word in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def wait_quiet(seconds, cores=0.3):
    """Waits until the machine does little else, at most so long; -> whether it did."""
    end = time.monotonic() + seconds
    while True:
        before = busy_seconds()
        time.sleep(0.25)
        if (busy_seconds() - before) / 0.25 <= cores:
            return True
        if time.monotonic() > end:
            return False


def process_tree(pid):
    todo, found = [pid], []
    while todo:
        one = todo.pop()
        found.append(one)
        try:
            for thread in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{thread}/children", encoding="utf-8") as file:
                    todo += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_memory(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


class Meter(threading.Thread):
    """CPU and peak memory of a process tree; it polls, so that children which end meanwhile count."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.cpu, self.memory = {}, {}
        self.look()
        self.begin = dict(self.cpu)
        self.start()

    def look(self):
        for pid in process_tree(self.pid):
            try:
                self.cpu[pid] = cpu_seconds(pid)
                self.memory[pid] = max(peak_memory(pid), self.memory.get(pid, 0))
            except OSError:
                pass

    def run(self):
        while not self.over.wait(0.1):
            self.look()

    def stop(self):
        self.over.set()
        self.join()
        self.look()
        used = sum(seconds - self.begin.get(pid, 0) for pid, seconds in self.cpu.items())
        return used, sum(self.memory.values())


class Running:
    """A started server and the way to end it."""

    def __init__(self, words, log_path, pid_file=None):
        with open(log_path, "ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        self.log_path = log_path
        self.pid = self.process.pid
        self.pid_file = pid_file
        if pid_file:  # nbd-server goes into the background by itself
            self.process.wait(10)
            self.pid = self.read_pid()

    def read_pid(self):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                with open(self.pid_file, encoding="utf-8") as file:
                    return int(file.read())
            except (OSError, ValueError):
                time.sleep(0.02)
        raise RuntimeError("no pid file")

    def wait_ready(self, path):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if not self.pid_file and self.process.poll() is not None:
                with open(self.log_path, encoding="utf-8", errors="replace") as file:
                    raise RuntimeError(f"the server ended with {self.process.returncode}: {file.read()[-300:]}")
            probe = socket.socket(socket.AF_UNIX)
            try:
                probe.settimeout(2)
                probe.connect(path)
                if probe.recv(8) == b"NBDMAGIC":
                    return
            except OSError:
                pass
            finally:
                probe.close()
            time.sleep(0.02)
        raise RuntimeError("the server does not answer")

    def stop(self):
        pids = process_tree(self.pid)
        for pid in pids:
            self.signal(pid, signal.SIGTERM)
        end = time.monotonic() + 20
        while time.monotonic() < end and any(self.alive(pid) for pid in pids):
            self.process.poll()
            time.sleep(0.01)
        for pid in pids:
            if self.alive(pid):
                self.signal(pid, signal.SIGKILL)
        self.process.wait()

    @staticmethod
    def signal(pid, number):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass

    @staticmethod
    def alive(pid):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                return file.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False


class Bench:
    def __init__(self, folder, size, gnomon, quiet):
        self.folder, self.size, self.gnomon, self.quiet = folder, size, os.path.realpath(gnomon), quiet
        self.socket = os.path.join(folder, "s.sock")

    def path(self, name):
        return os.path.join(self.folder, name)

    def can(self, name, cell):
        return SERVERS[name][1] is not None or cell != "flush-4k-q16"

    # --- images and pools

    def prepare(self, names):
        os.makedirs(self.folder, exist_ok=True)
        for kind in {SERVERS[name][0] for name in names}:
            if kind.startswith("pool-"):
                self.prepare_pool(kind)
            else:
                self.prepare_image(self.path(kind + ".img"))

    def fill_words(self):
        return ["fio", "--name=fill", "--rw=write", "--bs=1m", "--iodepth=8", f"--size={self.size}",
                "--refill_buffers", "--end_fsync=1", "--output-format=terse"]

    def prepare_image(self, path):
        """Written through O_DIRECT: no holes, no unwritten extents, nothing cached."""
        if os.path.exists(path) and os.stat(path).st_blocks * 512 >= self.size == os.path.getsize(path):
            return
        print(f"preparing {path}", flush=True)
        subprocess.run(self.fill_words() + [f"--filename={path}", "--direct=1", "--ioengine=io_uring"], check=True,
                       stdout=subprocess.DEVNULL, cwd=self.folder)

    def pool_store(self, kind):
        return self.path(kind + ".store")

    def prepare_pool(self, kind):
        """Filled through NBD, so that no cell writes into an unmapped extent."""
        pool, done = self.path(kind), self.path(kind + ".filled")
        if os.path.exists(done) and open(done, encoding="utf-8").read() == str(self.size):
            return
        print(f"preparing {pool}", flush=True)
        shutil.rmtree(pool, ignore_errors=True)
        for leftover in (self.pool_store(kind), done):
            if os.path.exists(leftover):
                os.unlink(leftover)
        cache = kind.removeprefix("pool-")
        room = self.size + (self.size >> 3) + (64 << 20)
        subprocess.run([self.gnomon, "pool", "create", pool, "--store",
                        f"fast={self.pool_store(kind)},size={room},tier=0,cache={cache}",
                        "--volume", f"v={self.size}"], check=True, stdout=subprocess.DEVNULL)
        server = self.start(next(name for name, (image, _) in SERVERS.items() if image == kind))
        try:
            subprocess.run(self.fill_words() + ["--ioengine=nbd", f"--uri=nbd+unix:///v?socket={self.socket}"],
                           check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        finally:
            server.stop()
        with open(done, "w", encoding="utf-8") as file:
            file.write(str(self.size))

    def remove_unless_kept(self, keep):
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- one cell

    def start(self, name):
        kind, command = SERVERS[name]
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        image, conf, pid = self.path(kind + ".img"), self.path("nbd-server.conf"), self.path("nbd-server.pid")
        if name == "nbd-server":
            if os.path.exists(pid):
                os.unlink(pid)
            with open(conf, "w", encoding="utf-8") as file:
                file.write(f"[generic]\n unixsock = {self.socket}\n allowlist = true\n max_threads = 4\n"
                           f"[default]\n exportname = {image}\n flush = true\n fua = true\n")
        fields = {"sock": self.socket, "img": image, "conf": conf, "pid": pid, "gnomon": self.gnomon,
                  "pool": self.path(kind)}
        for title, text in CONFIGURATIONS.items():
            fields[title] = self.path(title + ".json5")
            with open(fields[title], "w", encoding="utf-8") as file:
                file.write(text)
        words = [word.format(**fields) for word in command.split()]
        server = Running(words, self.path("server.log"), pid if name == "nbd-server" else None)
        try:
            server.wait_ready(self.socket)
        except BaseException:
            server.stop()
            raise
        return server

    def backing(self, name):
        kind = SERVERS[name][0]
        return self.pool_store(kind) if kind.startswith("pool-") else self.path(kind + ".img")

    def run(self, name, cell, runtime):
        kind, command = SERVERS[name]
        backing = self.backing(name)
        if kind in ("cached", "pool-page"):
            warm_cache(backing)
        else:
            drop_cache(backing)
        if command is None:
            noisy = not wait_quiet(self.quiet)
            result = cells.load_on_file(cell, backing, runtime, self.size)
            return {**result, "cpu": None, "memory": None, "noisy": noisy}
        server = self.start(name)
        try:
            noisy = not wait_quiet(self.quiet)
            export = EXPORTS.get(name, "v" if name.startswith("gnomon") else "")
            meter = Meter(server.pid)
            result = cells.load_over_nbd(cell, f"nbd+unix:///{export}?socket={self.socket}", self.socket, export, runtime,
                                         self.size)
            used, memory = meter.stop()
        finally:
            server.stop()
        self.settle(backing)
        return {**result, "cpu": used * 100_000 / max(1, result["operations"]), "memory": memory, "noisy": noisy}

    @staticmethod
    def settle(path):
        """No dirty pages are left for the next one to write."""
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)
