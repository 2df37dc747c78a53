"""A siege: bent sessions against a real daemon, with a watch over what they do to it and to others."""
import errno
import os
import random
import select
import socket
import struct
import threading
import time

import nbdraw
from bent import FROZEN, STEADY, VOLUME, VOLUME_BYTES, make_case
from support import KiB, MiB

# Seconds: what an NBD connection takes at most to end when its client has ended its side, a negotiation to
# be given up, and half a request of the API to be given up.
END_SECONDS, DEADLINE_SECONDS, IDLE_SECONDS = 10.0, 14.0, 20.0
# Connections that wait for their deadline; the API has 64 in all.
WAITING_MAX = {"nbd": 100, "http": 32}


class Misbehaved(AssertionError):
    """The daemon did what no client may make it do."""


class Attacker:
    """Carries cases out against one daemon."""

    def __init__(self, daemon, kind):
        self.daemon, self.kind = daemon, kind
        self.waiting = []  # (socket, by when the server must have closed it)
        self.connections = 0

    def address(self, tcp):
        if self.kind == "http":
            return os.path.join(self.daemon.pool, "api.sock")
        return self.daemon.tcp_address if tcp else self.daemon.address

    def carry_out(self, case):
        plugs = [nbdraw.dial(self.address(connection["tcp"])) for connection in case["connections"]]
        self.connections += len(plugs)
        try:
            todo = [list(connection["steps"]) for connection in case["connections"]]
            for number in case["order"]:
                if todo[number]:
                    plugs[number] = self.step(plugs[number], todo[number].pop(0))
        finally:
            for plug in plugs:
                if plug is not None:
                    plug.close()
        self.look_after_waiting()

    def step(self, plug, step):
        """One step; returns the socket, or None when it is no longer ours."""
        if plug is None:
            return None
        name = step[0]
        try:
            if name == "send":
                self.send(plug, bytes.fromhex(step[1]))
            elif name == "read":
                plug.settimeout(0.002)
                plug.recv(step[1])
            elif name == "pause":
                time.sleep(step[1] / 1000)
            elif name == "finish":
                return self.finish(plug)
            elif name == "reset":
                self.reset(plug)
                return None
            elif name == "abandon":
                return self.wait_for_end(plug, DEADLINE_SECONDS)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
        except OSError as error:
            if error.errno != errno.ENOTCONN:  # closed by the server already
                raise
        return plug

    @staticmethod
    def send(plug, data):
        """Sends everything; takes replies meanwhile, so that back-pressure does not end in a standstill."""
        plug.setblocking(False)
        view, end = memoryview(data), time.monotonic() + END_SECONDS
        while view:
            readable, writable, _ = select.select([plug], [plug], [], max(0, end - time.monotonic()))
            if not readable and not writable:
                raise Misbehaved(f"the server takes nothing and says nothing for {END_SECONDS} s")
            if readable and not plug.recv(1 << 16):
                return
            if writable:
                view = view[plug.send(view):]

    def finish(self, plug):
        """The server must answer what it has and close; the API may take its time over half a request."""
        plug.shutdown(socket.SHUT_WR)
        seconds = END_SECONDS if self.kind == "nbd" else 0.05
        end = time.monotonic() + seconds
        while True:
            plug.settimeout(max(0.001, end - time.monotonic()))
            try:
                if not plug.recv(1 << 20):
                    return plug
            except TimeoutError:
                if self.kind == "http":
                    return self.wait_for_end(plug, IDLE_SECONDS)
                raise Misbehaved(f"still open {seconds} s after the client ended its side") from None

    def wait_for_end(self, plug, seconds):
        """Takes the socket over, if there is room for one more that waits."""
        if len(self.waiting) >= WAITING_MAX[self.kind]:
            return plug
        self.waiting.append((plug, time.monotonic() + seconds))
        return None

    @staticmethod
    def reset(plug):
        if plug.family == socket.AF_INET:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plug.close()

    def look_after_waiting(self, everyone=False):
        """Whoever never finished what it began must have been shown out at the deadline."""
        while self.waiting and (everyone or time.monotonic() > self.waiting[0][1]):
            plug, end = self.waiting.pop(0)
            plug.settimeout(max(0.001, end - time.monotonic()))
            try:
                while plug.recv(1 << 16):
                    pass
            except ConnectionResetError:
                pass
            except TimeoutError:
                raise Misbehaved("a connection is still open after its deadline") from None
            finally:
                plug.close()


class Bystander(threading.Thread):
    """A well-behaved client that goes on working, and checks every byte."""

    def __init__(self, daemon, seed):
        super().__init__(daemon=True)
        self.client = daemon.client(export=STEADY, timeout=END_SECONDS)
        self.chance = random.Random(seed)
        self.done = threading.Event()
        self.failure = None
        self.operations, self.slowest = 0, 0.0

    def run(self):
        model = bytearray(4 * MiB)
        try:
            while not self.done.wait(0.01):
                begun = time.monotonic()
                offset = self.chance.randrange(0, len(model) - 64 * KiB, 512)
                length = self.chance.choice((512, 4096, 64 * KiB))
                if self.chance.random() < 0.5:
                    data = self.chance.randbytes(length)
                    self.client.write(offset, data, self.chance.choice((0, 0, 0, nbdraw.FUA)))
                    model[offset:offset + length] = data
                elif self.client.read(offset, length) != model[offset:offset + length]:
                    raise Misbehaved(f"{length} bytes at {offset} are not what was written")
                self.operations += 1
                self.slowest = max(self.slowest, time.monotonic() - begun)
            if self.client.read(0, len(model)) != model:
                raise Misbehaved("the volume is not what was written")
        except BaseException as error:  # whatever it is, the main thread must hear of it
            self.failure = error

    def stop(self):
        self.done.set()
        self.join(2 * END_SECONDS)
        self.check()

    def check(self):
        if self.failure is not None:
            raise Misbehaved(f"the well-behaved client: {type(self.failure).__name__}: {self.failure}")


def daemon_options():
    """The pool that hostile clients meet."""
    return {"volumes": {VOLUME: VOLUME_BYTES, FROZEN: MiB, STEADY: 16 * MiB}, "extent": 64 * KiB,
            "serve": ["--read-only", FROZEN]}


# Bytes that the daemon may have grown by: buffers for what is in flight, which it keeps.
MEMORY_BYTES_MAX = 320 * MiB


class Siege:
    """Cases one after the other against one daemon, and a watch over it."""

    def __init__(self, case, kind, seed):
        self.kind, self.seed = kind, seed
        self.daemon = case.daemon(**daemon_options())
        self.daemon.gnomon("status")  # what the first call of the API opens for good is no leak
        self.memory = self.daemon.memory()
        self.bystander = Bystander(self.daemon, seed)
        time.sleep(0.05)
        self.descriptors = self.daemon.fds()
        self.bystander.start()
        self.attacker = Attacker(self.daemon, kind)
        self.cases = 0

    def take(self, case):
        """One case; raises if the daemon does not bear it."""
        self.attacker.carry_out(case)
        self.cases += 1
        self.bystander.check()
        if not self.daemon.alive():
            raise Misbehaved(f"the daemon ended with {self.daemon.process.returncode}")
        if self.cases % 64 == 0:
            self.check_resources()

    def check_resources(self):
        grown = self.daemon.memory() - self.memory
        if grown > MEMORY_BYTES_MAX:
            raise Misbehaved(f"{grown // MiB} MiB more than at the start")
        open_max = self.descriptors + len(self.attacker.waiting) + 2
        end = time.monotonic() + END_SECONDS
        while self.daemon.fds() > open_max:
            if time.monotonic() > end:
                raise Misbehaved(f"{self.daemon.fds()} descriptors open, {open_max} at most are in use")
            time.sleep(0.02)

    def lift(self):
        """The end: everything is closed, and the daemon is as well as before."""
        self.attacker.look_after_waiting(everyone=True)
        self.check_resources()
        self.bystander.stop()
        self.bystander.client.disconnect()

    def figures(self):
        return (f"{self.cases} cases, {self.attacker.connections} connections, {self.bystander.operations} "
                f"operations beside them (slowest {self.bystander.slowest:.3f} s), "
                f"{(self.daemon.memory() - self.memory) // KiB} KiB more memory")


def run(case, kind, seed, seconds=None, count=None):
    """Attacks until the time is up or enough cases are done; returns the siege, which stands no more."""
    siege = Siege(case, kind, seed)
    begun = time.monotonic()
    number = 0
    while (count is None or number < count) and (seconds is None or time.monotonic() - begun < seconds):
        attack = make_case(kind, seed * 1_000_003 + number)
        try:
            siege.take(attack)
        except Misbehaved as failure:
            failure.case = attack
            raise
        number += 1
    siege.lift()
    return siege
