"""Servers behind stores of kind nbd: real ones that are killed, stopped and swapped, and a wire that breaks or is slow."""
import os
import queue
import random
import signal
import socket
import subprocess
import threading
import time

from support import MiB, die_with_parent, eventually, free_port, need


class Server:
    """A server with one export on a unix socket or on TCP, that can be ended and started again."""

    def __init__(self, case, kind="file", size=256 * MiB, tcp=False, export="", words=(), parameters=()):
        self.case, self.kind, self.export, self.words = case, kind, export, list(words)
        self.parameters = list(parameters)  # of nbdkit's filters, which come last
        self.number = getattr(case, "servers_made", 0)
        case.servers_made = self.number + 1
        self.image = case.path(f"server{self.number}.img")
        self.socket = case.path(f"server{self.number}.sock")
        self.port = free_port() if tcp else None
        self.log_path = case.path(f"server{self.number}.log")
        self.process = None
        self.size = size
        with open(self.image, "wb") as file:
            file.truncate(size)
        case.cleanups.append(self.kill)
        self.start()

    def uri(self):
        if self.port:
            return f"nbd://127.0.0.1:{self.port}/{self.export}"
        return f"nbd+unix:///{self.export}?socket={self.socket}"

    def address(self):
        return ("127.0.0.1", self.port) if self.port else self.socket

    def command(self):
        if self.kind == "qemu-nbd":
            need("qemu-nbd")
            place = ["-b", "127.0.0.1", "-p", str(self.port)] if self.port else ["-k", self.socket]
            # One client at a time: qemu-nbd's default, and all that a store may need.
            return ["qemu-nbd", *place, "-x", self.export, "-f", "raw", "-t", "--discard=unmap", *self.words,
                    self.image]
        need("nbdkit")
        place = ["-i", "127.0.0.1", "-p", str(self.port)] if self.port else ["-U", self.socket]
        body = {
            "file": ["file", self.image],
            "memory": ["memory", str(self.size)],
            # Keeps what is written to itself until it is told to flush: killed, it loses the rest.
            "lossy": ["--filter=cache", "file", self.image],
            "read-only": ["-r", "file", self.image],
        }[self.kind]
        # Settings of filters come after the plugin and its own.
        settings = [word for word in self.words if "=" in word and not word.startswith("-")]
        options = [word for word in self.words if word not in settings]
        return ["nbdkit", "-f", *place, *options, *body, *settings, *self.parameters]

    def start(self):
        if not self.port and os.path.exists(self.socket):
            os.unlink(self.socket)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            preexec_fn=die_with_parent)

        def listens():
            if self.process.poll() is not None:
                with open(self.log_path, encoding="utf-8", errors="replace") as file:
                    raise AssertionError(f"the server ended with {self.process.returncode}: {file.read()[-500:]}")
            with open("/proc/net/unix" if not self.port else "/proc/net/tcp", encoding="ascii") as file:
                text = file.read()
            # Looked up, not connected to: a server may take one client only.
            return self.socket in text if not self.port else f":{self.port:04X} 00000000:0000 0A" in text
        eventually(listens, 10, "the server's socket")

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self):
        self.kill()
        self.start()

    def revive(self):
        """Starts it again if it has ended by itself, as a service manager would."""
        if self.process.poll() is not None:
            self.process = None
            self.start()

    def pause(self):
        """Stops it, and waits until every thread of it stands."""
        self.process.send_signal(signal.SIGSTOP)

        def stands():
            for thread in os.listdir(f"/proc/{self.process.pid}/task"):
                with open(f"/proc/{self.process.pid}/task/{thread}/stat", encoding="ascii") as file:
                    if file.read().rpartition(")")[2].split()[0] != "T":
                        return False
            return True
        eventually(stands, 5, "the stop of the server")

    def resume(self):
        """Lets it go on. nbdkit 1.32 can fail an assertion when it answers two requests over a connection that was
        closed meanwhile: then it is started again."""
        self.process.send_signal(signal.SIGCONT)
        time.sleep(0.3)
        self.revive()


class Wire:
    """A wire between a daemon and a server that can be cut, blocked, garbled and made slow."""

    def __init__(self, case, server):
        self.server = server
        self.path = case.path(f"wire{server.number}.sock")
        self.lock = threading.Lock()
        self.pairs = []
        self.gates = {}       # by client: what it says passes only while this is set
        self.held = 0         # bytes of clients that wait at a gate
        self.garble = None    # a function of bytes from the server, or None
        self.delay = 0.0      # seconds that whatever the server says takes longer
        self.is_open = True   # takes connections
        self.connections = 0
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self._accept, daemon=True).start()

    def uri(self):
        return f"nbd+unix:///{self.server.export}?socket={self.path}"

    def _accept(self):
        while True:
            client, _ = self.listener.accept()
            far = socket.socket(socket.AF_UNIX)
            try:
                if not self.is_open:
                    raise OSError
                far.connect(self.server.socket)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.append((client, far))
                self.connections += 1
                gate = self.gates[client] = threading.Event()
                gate.set()
            threading.Thread(target=self._pump, args=(client, far, gate), daemon=True).start()
            held = queue.SimpleQueue()
            threading.Thread(target=self._hold, args=(far, held), daemon=True).start()
            threading.Thread(target=self._release, args=(held, far, client), daemon=True).start()

    def _pump(self, source, target, gate):
        is_late = False
        try:
            while data := source.recv(1 << 16):
                if not gate.is_set():
                    self.held += len(data)
                    is_late = True
                    gate.wait()
                target.sendall(data)
        except OSError:
            pass
        # Who was held up may have gone meanwhile; the server still does what it was asked for.
        if not is_late:
            self._close(source, target)

    def _hold(self, source, held):
        """Takes what the server says, and notes when it is due: all of it is late, but as much as before is under way."""
        data = b"x"
        while data:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            held.put((time.monotonic() + self.delay, data))

    def _release(self, held, source, target):
        try:
            while (piece := held.get())[1]:
                due, data = piece
                if due > time.monotonic():
                    time.sleep(due - time.monotonic())
                garble = self.garble
                target.sendall(garble(data) if garble else data)
        except OSError:
            pass
        self._close(source, target)

    @staticmethod
    def _close(*sockets):
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Breaks every connection; new ones are taken."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            self._close(*pair)

    def hold(self):
        """What clients say over the connections of now does not reach the server until `let_go`."""
        with self.lock:
            for gate in self.gates.values():
                gate.clear()

    def let_go(self):
        with self.lock:
            for gate in self.gates.values():
                gate.set()

    def lose_clients(self):
        """Clients see their connections end; what is held reaches the server all the same."""
        with self.lock:
            clients, self.pairs = [client for client, _ in self.pairs], []
        self._close(*clients)

    def garbage(self, seed):
        """From now on the server seems to say other things than it does, now and then."""
        chance = random.Random(seed)

        def garbled(data):
            if chance.random() < 0.7:
                return data
            place = chance.randrange(len(data))
            what = chance.choice(("flip", "drop", "repeat", "insert"))
            if what == "flip":
                return data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1:]
            if what == "drop":
                return data[:place]
            if what == "repeat":
                return data[:place] + data[place:] + data[place:]
            return data[:place] + chance.randbytes(40) + data[place:]
        self.garble = garbled

