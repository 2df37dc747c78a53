"""The command line and the API behind it: looking, resizing, deleting, and good errors."""
import json
import os
import re
import signal
import stat
import threading

import nbdraw
from nbdraw import Command
from support import BINARY, CRASH, EXTENT, GiB, MiB, each, eventually, need_gnomon, pattern

VERBS = ("serve", "pool create", "pool show", "store add", "store list", "store show", "store drain", "store remove",
         "volume create", "volume list", "volume show", "volume set", "volume resize", "volume delete", "move",
         "shadow drop", "extents", "jobs", "jobs cancel", "check", "status")


def help_is_everywhere(case):
    need_gnomon()
    text = case.run(BINARY, "--help")
    for verb in VERBS:
        assert verb.split()[0] in text, f"{verb} is not in the help"
        page = case.run(BINARY, *verb.split(), "--help")
        assert verb.split()[-1] in page and re.search("example", page, re.I), f"{verb} --help has no example"


@each("frobnicate", "pool frobnicate", "volume", "serve", "serve --pool", "status --nonsense", "volume create --pool")
def wrong_usage_is_explained_with_status_2(case, words):
    need_gnomon()
    done = case.run(BINARY, *words.split(), status=None, timeout=10)
    assert done.returncode == 2 or 64 <= done.returncode <= 78, f"status {done.returncode}"
    assert done.stderr.strip() and not CRASH.search(done.stderr), done.stderr


def without_a_daemon_the_verbs_say_so(case):
    need_gnomon()
    daemon = case.daemon()
    daemon.stop()
    for words in (("status",), ("volume", "list"), ("store", "list"), ("volume", "create", "x=1GiB")):
        done = daemon.gnomon(*words, status=None)
        assert done.returncode > 0 and re.search("not running|no daemon|running", done.stderr, re.I), done.stderr


def the_api_socket_is_for_its_owner(case):
    need_gnomon()
    daemon = case.daemon()
    sockets = [os.path.join(daemon.pool, name) for name in os.listdir(daemon.pool)
               if stat.S_ISSOCK(os.stat(os.path.join(daemon.pool, name)).st_mode)]
    assert sockets, f"no API socket in {os.listdir(daemon.pool)}"
    for path in sockets:
        mode = stat.S_IMODE(os.stat(path).st_mode)
        assert mode & 0o007 == 0, f"{path} has mode {mode:o}"


def everything_can_be_shown(case):
    need_gnomon()
    daemon = case.daemon(volumes={"one": 8 * MiB, "two": 16 * MiB},
                         stores=[("fast", 64 * MiB, 0), ("bulk", 128 * MiB, 2)])
    client = daemon.client("one")
    client.write(0, b"d" * 3 * EXTENT)
    client.flush()
    for words, names in ((("status",), ()), (("pool", "show"), ()), (("store", "list"), ("fast", "bulk")),
                         (("store", "show", "fast"), ("fast",)), (("volume", "list"), ("one", "two")),
                         (("volume", "show", "one"), ("one",))):
        text = daemon.gnomon(*words)
        for name in names:
            assert name in text, f"{words}: {text}"
        answer = daemon.json(*words)
        dump = json.dumps(answer)
        assert all(name in dump for name in names), f"{words}: {dump}"
    assert str(16 * MiB) in json.dumps(daemon.json("volume", "show", "two")), "sizes are bytes in JSON"


def a_volume_is_created_served_and_deleted_online(case):
    need_gnomon()
    daemon = case.daemon()
    daemon.gnomon("volume", "create", "fresh=32MiB")
    with nbdraw.connect(daemon.address, "fresh") as client:
        assert client.size == 32 * MiB
        client.write(0, pattern(2, 4 * MiB))
        client.flush()
        refused = daemon.gnomon("volume", "delete", "fresh", status=None)
        assert refused.returncode > 0, "an attached volume was deleted"
        assert re.search("attached|in use|connect", refused.stderr, re.I), refused.stderr
        assert client.read(0, 4 * MiB) == pattern(2, 4 * MiB)
        client.disconnect()
    def deleted():
        return daemon.gnomon("volume", "delete", "fresh", status=None).returncode == 0
    eventually(deleted, 5, "deletion of a volume that is no longer attached")
    probe = daemon.raw()
    assert probe.go("fresh") == nbdraw.Reply.ERR_UNKNOWN
    daemon.crash()
    assert daemon.raw().go("fresh") == nbdraw.Reply.ERR_UNKNOWN, "a deleted volume is back"
    daemon.gnomon("volume", "create", "fresh=32MiB")
    assert daemon.client("fresh").read(0, 4 * MiB) == bytes(4 * MiB), "a new volume shows an old one's data"


def a_deleted_volume_gives_its_space_back(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 10 * EXTENT, 0)])
    for turn in range(4):
        daemon.gnomon("volume", "create", f"t{turn}=16MiB")
        with nbdraw.connect(daemon.address, f"t{turn}") as client:
            client.write(0, bytes([turn + 1]) * 7 * EXTENT)
            client.flush()
            client.disconnect()
        eventually(lambda: daemon.gnomon("volume", "delete", f"t{turn}", status=None).returncode == 0, 5, "deletion")


def a_volume_that_exists_is_not_created_again(case):
    need_gnomon()
    daemon = case.daemon()
    done = daemon.gnomon("volume", "create", "v=1GiB", status=None)
    assert done.returncode > 0 and "v" in done.stderr
    assert daemon.client().size == 64 * MiB


def growing_is_online_and_seen_after_reconnecting(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    client.write(64 * MiB - 4096, b"e" * 4096)
    daemon.gnomon("volume", "resize", "v", "96MiB")
    assert client.read(64 * MiB - 4096, 4096) == b"e" * 4096, "the old connection must go on"
    again = daemon.client()
    assert again.size == 96 * MiB
    again.write(96 * MiB - 512, b"n" * 512)
    assert again.read(64 * MiB, 4096) == bytes(4096)
    again.flush()
    daemon.crash()
    last = daemon.client()
    assert last.size == 96 * MiB and last.read(96 * MiB - 512, 512) == b"n" * 512


def shrinking_needs_force(case):
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    client.write(40 * MiB, b"beyond" * 100)
    client.flush()
    client.disconnect()
    refused = daemon.gnomon("volume", "resize", "v", "32MiB", status=None)
    assert refused.returncode > 0 and "force" in refused.stderr, refused.stderr
    assert daemon.client().size == 64 * MiB
    for open_client in case.clients:
        open_client.close()
    eventually(lambda: daemon.gnomon("volume", "resize", "v", "32MiB", "--force", status=None).returncode == 0, 5,
               "shrinking with --force")
    client = daemon.client()
    assert client.size == 32 * MiB
    assert client.call(Command.READ, 40 * MiB, 512).error == nbdraw.EINVAL
    client.disconnect()
    daemon.gnomon("volume", "resize", "v", "64MiB")
    assert daemon.client().read(40 * MiB, 600) == bytes(600), "what was cut off is back"


def a_store_that_comes_or_goes_fails_no_flush(case):
    need_gnomon()
    daemon = case.daemon(serve=("--reactors", "2"))
    stopping, failures = threading.Event(), []

    def write_and_flush(tcp):
        try:
            client = daemon.client(tcp=tcp)
            while not stopping.is_set():
                client.write(0, b"w" * 4096)
                client.flush()
        except BaseException as error:
            failures.append(error)
    writers = [threading.Thread(target=write_and_flush, args=(tcp,)) for tcp in (False, True)]
    for writer in writers:
        writer.start()
    try:
        for turn in range(10):
            daemon.gnomon("store", "add", f"s{turn}={daemon.store_path(f's{turn}')},size=8M,tier=9")
            daemon.gnomon("store", "remove", f"s{turn}")
    finally:
        stopping.set()
        for writer in writers:
            writer.join()
    assert not failures, failures[0]


def a_store_is_added_online_and_used(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 4 * EXTENT, 0)])
    client = daemon.client()
    answers = [client.call(Command.WRITE, extent * EXTENT, EXTENT, 0, b"s" * EXTENT).error for extent in range(6)]
    assert nbdraw.ENOSPC in answers
    daemon.gnomon("store", "add", f"more={daemon.store_path('more')},size={32 * MiB},tier=1")
    assert "more" in daemon.gnomon("store", "list")
    for extent in range(10, 20):
        client.write(extent * EXTENT, pattern(extent, EXTENT))
    client.flush()
    daemon.crash()
    client = daemon.client()
    for extent in range(10, 20):
        assert client.read(extent * EXTENT, EXTENT) == pattern(extent, EXTENT)
    refused = daemon.gnomon("store", "remove", "more", status=None)
    assert refused.returncode > 0, "a store with data on it was removed"


def a_memory_store_takes_shadows_as_soon_as_it_is_added(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 8 * EXTENT})
    client = daemon.client()
    client.write(0, pattern(1, 8 * EXTENT))
    daemon.gnomon("store", "add", "ram=memory:,size=32M,tier=0")

    def ram():
        return next(store for store in daemon.json("store", "list")["stores"] if store["name"] == "ram")

    assert ram()["usedBytes"] == 0 and ram()["freeBytes"] == 32 * MiB, ram()
    daemon.gnomon("move", "v", "all", "--to", "ram", "--keep", "--wait")
    assert ram()["usedBytes"] == 8 * EXTENT and ram()["freeBytes"] == 24 * MiB, ram()
    assert client.read(0, 8 * EXTENT) == pattern(1, 8 * EXTENT)
    # It still takes no live copy.
    client.write(0, b"again")
    assert all(run.get("live", "fast") == "fast" for run in daemon.json("extents", "v")["runs"])


def an_empty_store_is_removed(case):
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 64 * MiB, 0), ("spare", 64 * MiB, 3)])
    daemon.client().write(0, b"on fast")
    daemon.gnomon("store", "remove", "spare")
    assert "spare" not in daemon.gnomon("store", "list")
    daemon.restart()
    assert daemon.client().read(0, 7) == b"on fast"


@each("volume show nobody", "volume delete nobody", "volume resize nobody 1GiB", "store show nobody",
      "store remove nobody", "volume create x=banana", "volume create ../x=1GiB", "volume create x", "volume resize v -5",
      "volume create y=1GiB,extent=1000")
def management_errors_are_clear(case, words):
    need_gnomon()
    daemon = case.daemon()
    done = daemon.gnomon(*words.split(), status=None)
    assert done.returncode > 0 and done.stderr.strip(), f"status {done.returncode}: {done.stderr}"
    assert not CRASH.search(done.stderr)
    assert daemon.alive() and daemon.client().size == 64 * MiB


@each("{", "{ colour: 'red' }", "[]", "{ log: 5 }", "{ listen: { deep: 1 } }", "{ reactors: 'many' }",
      "{ reactors: 5000 }", "{ limits: { conections: 5 } }", "{ readOnly: ['nobody'] }")
def a_wrong_configuration_names_what_is_wrong(case, text):
    need_gnomon()
    daemon = case.daemon()
    daemon.stop()
    daemon.config = text
    done = case.run(*daemon.serve_command(), status=None, timeout=20)
    assert done.returncode > 0, "accepted"
    assert not CRASH.search(done.stderr) and "config" in done.stderr.lower(), done.stderr
    for key in ("colour", "log", "listen", "reactors", "limits.conections", "nobody"):
        if key.split(".")[-1] in text:
            assert key in done.stderr, f"{key} is not named: {done.stderr}"


@each("configuration", "command line")
def a_read_only_volume_refuses_what_writes(case, how):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB, "w": 64 * MiB})
    daemon.client().write(0, b"as it was", nbdraw.FUA)
    for client in case.clients:
        client.close()
    daemon.stop()
    if how == "configuration":
        daemon.config = "{ readOnly: ['v'] }"
    else:
        daemon.serve_arguments += ["--read-only", "v"]
    daemon.start()
    client = daemon.client()
    assert client.flags & nbdraw.READ_ONLY
    trap = client.header(Command.WRITE, 0, 4, 0, 1) * 30
    for command, payload in ((Command.WRITE, trap), (Command.TRIM, b""), (Command.WRITE_ZEROES, b"")):
        answer = client.call(command, 0, len(payload) or 4096, 0, payload)
        assert answer.error == nbdraw.EPERM, f"{command.name}: {answer.error}"
    assert client.call(Command.FLUSH).error in (0, nbdraw.EINVAL, nbdraw.EPERM)
    assert client.read(0, 9) == b"as it was"
    daemon.client("w").write(0, b"writable")


def an_empty_configuration_is_all_defaults(case):
    need_gnomon()
    daemon = case.daemon(config="// nothing set\n{}\n")
    daemon.client().read(0, 512)


def sizes_are_read_as_people_write_them(case):
    need_gnomon()
    daemon = case.daemon()
    for number, (text, wanted) in enumerate((("1G", GiB), ("1GiB", GiB), ("512MiB", 512 * MiB), ("1048576", MiB),
                                             ("64M", 64 * MiB))):
        daemon.gnomon("volume", "create", f"s{number}={text}")
        with nbdraw.connect(daemon.address, f"s{number}") as client:
            assert client.size == wanted, f"{text} became {client.size}"


@each(signal.SIGTERM, signal.SIGINT)
def signals_stop_cleanly(case, number):
    need_gnomon("qemu-nbd")
    daemon = case.daemon()
    client = daemon.client()
    client.write(0, b"before the signal")
    daemon.process.send_signal(number)
    status = daemon.process.wait(20)
    assert status == 0 or not daemon.serve_command()[0].endswith("gnomon"), f"status {status}"
    daemon.process = None
    daemon.start()
    assert daemon.client().read(0, 17) == b"before the signal"
