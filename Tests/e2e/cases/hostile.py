"""Clients that mean harm: bent sessions with a fixed seed, found cases, and attacks that need a plan."""
import array
import json
import os
import re
import socket
import threading
import time

import hostile
import nbdraw
from nbdraw import Command, Option
from support import HERE, KiB, MiB, TiB, alone, each, eventually, limit, need, need_gnomon

# One letter and accents of two kinds: to tell such names apart as Unicode does they have to be sorted.
ACCENTS = ("a" + "\u0301" * 1023 + "\u0323" * 1023).encode()


def _latency(client, seconds):
    """The slowest of many small reads, one after the other."""
    slowest, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        client.read(0, 512)
        slowest = max(slowest, time.monotonic() - begun)
    return slowest


@limit(90)
@each("nbd", "http")
def bent_sessions_do_no_harm(case, kind):
    need_gnomon()
    siege = hostile.run(case, kind, seed=20261121, seconds=10)
    case.note(siege.figures())
    assert siege.cases > 50, "hardly anything was tried"


def found_cases_do_no_harm(case):
    """What a siege has found before."""
    need_gnomon()
    folder = os.path.join(HERE, "found")
    names = sorted(os.listdir(folder))
    assert names
    sieges = {}
    for name in names:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            attack = json.load(file)
        kind = attack["kind"]
        if kind not in sieges:
            sieges[kind] = hostile.Siege(case, kind, seed=1)
        sieges[kind].take(attack)
    for siege in sieges.values():
        siege.lift()


@alone
@each("names", "contexts")
def names_that_are_slow_to_compare_do_not_hold_up_others(case, what):
    need_gnomon()
    daemon = case.daemon(serve=["--reactors", "1"])
    other = daemon.client()
    queries = [b"b" + ACCENTS[1:]] * 7
    option = (nbdraw.option_bytes(Option.INFO, nbdraw.go_payload(ACCENTS)) if what == "names"
              else nbdraw.option_bytes(Option.LIST_META_CONTEXT, nbdraw.meta_payload("v", queries)))
    # Close to all that one negotiation may say.
    flood = option * ((1000 * KiB) // len(option))

    def attack():
        client = nbdraw.Client(daemon.address, timeout=30).negotiate("structured")
        client.send(flood)
        client.verdict(Option.ABORT)
        client.close()
    attackers = [threading.Thread(target=attack) for _ in range(3)]
    for attacker in attackers:
        attacker.start()
    slowest = _latency(other, 2)
    for attacker in attackers:
        attacker.join()
    case.note(f"slowest read {slowest:.3f} s")
    assert slowest < 0.25, f"a read took {slowest:.2f} s while somebody asked for long names"


@each("nbd", "http")
def descriptors_that_are_passed_are_not_kept(case, kind):
    need_gnomon()
    daemon = case.daemon()
    daemon.gnomon("status")
    before = daemon.fds()
    path = daemon.socket if kind == "nbd" else os.path.join(daemon.pool, "api.sock")
    plugs = []
    for _ in range(8):
        plug = nbdraw.dial(path)
        rights = array.array("i", [1] * 200).tobytes()
        for byte in b"\0\0\0\3IHAVEOPT":
            plug.sendmsg([bytes([byte])], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        plugs.append(plug)
    time.sleep(0.3)
    assert daemon.fds() <= before + len(plugs), "passed descriptors are open in the daemon"
    # In transmission too, where payloads are received in another way.
    client = daemon.client()
    client.send(client.header(Command.WRITE, 0, 65536, 0, 1))
    for _ in range(16):
        client.plug.sendmsg([bytes(4096)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    client.requests[1] = nbdraw.Request(Command.WRITE, 0, 65536, 0)
    assert client.wait(1).ok
    assert daemon.fds() <= before + len(plugs) + 1, "passed descriptors are open in the daemon"
    for plug in plugs:
        plug.close()


def requests_that_are_never_finished_do_not_lock_out_others(case):
    need_gnomon()
    daemon = case.daemon()
    path = os.path.join(daemon.pool, "api.sock")
    slow = []
    for _ in range(80):
        plug = nbdraw.dial(path)
        plug.sendall(b"GET /v1/status HTTP/1.1\r\nHost: loc")
        slow.append(plug)
    begun = time.monotonic()
    daemon.gnomon("status")
    assert time.monotonic() - begun < 5, "the API had no room for a command"
    for plug in slow:
        plug.close()


@limit(90)
def writes_that_trickle_in_do_not_keep_all_memory(case):
    need_gnomon()
    config = "{reactors: 1, limits: {bytesPerReactor: '33M', bytesPerConnection: '33M'}}"
    daemon = case.daemon(config=config)
    slow = daemon.client()
    slow.send(slow.header(Command.WRITE, 0, 32 * MiB, 0, 1))
    # Simple replies carry all data, so that the read needs memory.
    other = daemon.client(style="simple", timeout=40)
    cookie = other.submit(Command.READ, 0, 16 * MiB)
    done = threading.Event()

    def trickle():
        try:
            while not done.wait(0.5):
                slow.send(b"x")
        except nbdraw.Gone:
            pass
    trickler = threading.Thread(target=trickle)
    trickler.start()
    begun = time.monotonic()
    try:
        assert other.wait(cookie).ok
    finally:
        done.set()
        trickler.join()
    assert time.monotonic() - begun < 20


@alone
@limit(60)
def status_of_much_space_does_not_hold_up_others(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": MiB, "large": 2 * TiB}, serve=["--reactors", "1"])
    other = daemon.client()
    undisturbed = _latency(other, 1)
    client = daemon.client(export="large", style="extended",
                           contexts=("base:allocation", "x-gnomon:tier", "x-gnomon:store"), timeout=30)
    done = threading.Event()

    def attack():
        while not done.is_set():
            cookies = [client.submit(Command.BLOCK_STATUS, 0, 2 * TiB) for _ in range(200)]
            for cookie in cookies:
                client.wait(cookie)
    attacker = threading.Thread(target=attack)
    attacker.start()
    slowest = _latency(other, 4)
    done.set()
    attacker.join()
    case.note(f"slowest read {slowest:.3f} s, {undisturbed:.3f} s undisturbed")
    assert slowest < 0.25 + undisturbed, f"a read took {slowest:.2f} s while somebody asked for the status"


@limit(60)
def clients_that_rush_in_do_not_hold_up_the_end(case):
    need_gnomon()
    daemon = case.daemon()
    done = threading.Event()
    arrived = [0]

    def rush(tcp):
        plugs = []
        while not done.is_set():
            try:
                plugs.append(nbdraw.dial(daemon.tcp_address if tcp else daemon.address, timeout=1))
                arrived[0] += 1
            except OSError:
                time.sleep(0.001)
            if len(plugs) > 100:
                plugs.pop(0).close()
        for plug in plugs:
            plug.close()
    crowd = [threading.Thread(target=rush, args=(number % 2 == 0,)) for number in range(4)]
    for member in crowd:
        member.start()
    eventually(lambda: arrived[0] > 1000, 20, "a thousand clients")
    begun = time.monotonic()
    try:
        daemon.stop(20)
    finally:
        done.set()
        for member in crowd:
            member.join()
    case.note(f"{arrived[0]} clients came, the end took {time.monotonic() - begun:.1f} s")
    assert time.monotonic() - begun < 10


@limit(60)
def clients_that_take_all_descriptors_leave_enough_for_the_daemon(case):
    need_gnomon()
    daemon = case.daemon(limits={"RLIMIT_NOFILE": 600})
    steady = daemon.client()
    crowd = []
    for _ in range(700):
        try:
            crowd.append(nbdraw.Client(daemon.address, timeout=1))
        except (nbdraw.Gone, nbdraw.Quiet, OSError):
            break
    assert len(crowd) > 100, f"only {len(crowd)} clients were let in"
    daemon.gnomon("status")
    store = os.path.join(daemon.folder, "more.store")
    daemon.gnomon("store", "add", f"more={store},size=64M,tier=1")
    steady.write(0, b"still here")
    steady.flush()
    for client in crowd:
        client.close()
    eventually(lambda: daemon.fds() < 100, 15, "release of the crowd's descriptors")
    assert daemon.client().read(0, 10) == b"still here"


def clients_whose_machine_vanished_are_given_up(case):
    need_gnomon()
    need("ss")
    daemon = case.daemon()
    client = daemon.client(tcp=True)
    client.read(0, 512)

    def timer():
        shown = case.run("ss", "--no-header", "-tno", "state", "established", "sport", "=", f":{daemon.port}")
        return re.search(r"timer:\(keepalive,(\S+),", shown)
    left = eventually(timer, 5, "a keep-alive timer").group(1)
    assert re.fullmatch(r"[1-5]?\d(\.\d+)?sec|1min", left), f"the client is asked in {left} only"
