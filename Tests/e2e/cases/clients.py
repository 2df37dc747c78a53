"""The clients that people use: libnbd's tools, QEMU, fio, socket activation."""
import json
import os
import time

import fio
from support import (EXTENT, MiB, PYTHON, STAND_IN, BINARY, die_with_parent, each, eventually, need, slowed,
                     need_gnomon, pattern, rig)


def _image(case, name, size, seed=1, holes=True):
    """A file of random data, with holes in it."""
    path = case.path(name)
    with open(path, "wb") as file:
        file.truncate(size)
        for offset in range(0, size, 2 * MiB if holes else MiB):
            file.seek(offset)
            file.write(pattern(seed + offset, min(MiB, size - offset)))
    return path


def _same(one, other):
    with open(one, "rb") as left, open(other, "rb") as right:
        while True:
            a, b = left.read(1 << 20), right.read(1 << 20)
            if a != b:
                return False
            if not a:
                return True


# --- libnbd

def nbdinfo_shows_the_export(case):
    need("nbdinfo")
    daemon = case.daemon()
    for uri in (daemon.uri(), daemon.tcp_uri()):
        text = case.run("nbdinfo", uri)
        assert "export-size: 67108864" in text, text
        assert "base:allocation" in text
        assert "can_multi_conn: true" in text or STAND_IN
    answer = json.loads(case.run("nbdinfo", "--json", daemon.uri()))
    export = answer["exports"][0]
    assert export["export-size"] == 64 * MiB
    if not STAND_IN:
        for ability in ("can_cache", "can_df", "can_fast_zero", "can_flush", "can_fua", "can_multi_conn", "can_trim",
                        "can_zero"):
            assert export[ability] is True, ability
        assert export["is_read_only"] is False
        assert {"base:allocation", "x-gnomon:tier", "x-gnomon:store"} <= set(export["contexts"])
    assert case.run("nbdinfo", "--size", daemon.uri()).strip() == str(64 * MiB)


def nbdinfo_lists_every_volume(case):
    need("nbdinfo")
    need_gnomon()
    daemon = case.daemon(volumes={"alpha": 8 * MiB, "beta": 16 * MiB})
    answer = json.loads(case.run("nbdinfo", "--list", "--json", daemon.uri("")))
    sizes = {export["export-name"]: export["export-size"] for export in answer["exports"]}
    assert sizes.get("alpha") == 8 * MiB and sizes.get("beta") == 16 * MiB, sizes
    assert 'export="beta"' in case.run("nbdinfo", "--list", daemon.uri(""))


def nbdinfo_maps_allocation(case):
    need("nbdinfo")
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    client.write(3 * EXTENT, b"d" * 2 * EXTENT)
    client.flush()
    rows = json.loads(case.run("nbdinfo", "--map=base:allocation", "--json", daemon.uri()))
    found = [(row["offset"], row["length"], row["type"]) for row in rows]
    assert found == [(0, 3 * EXTENT, 3), (3 * EXTENT, 2 * EXTENT, 0), (5 * EXTENT, 59 * EXTENT, 3)], found


def nbdinfo_maps_tiers_and_stores(case):
    """Extents that no longer fit on the fast store show up on the slow one."""
    need("nbdinfo")
    need_gnomon()
    daemon = case.daemon(stores=[("fast", 4 * EXTENT, 0), ("bulk", 256 * MiB, 2)])
    client = daemon.client()
    client.write(0, b"d" * 12 * EXTENT)
    client.flush()
    for name in ("x-gnomon:tier", "x-gnomon:store"):
        rows = json.loads(case.run("nbdinfo", f"--map={name}", "--json", daemon.uri()))
        spread = {}
        for row in rows:
            spread[row["type"]] = spread.get(row["type"], 0) + row["length"]
        assert len(spread) == 3, f"{name}: fast, bulk and nothing: {spread}"
        unmapped = 64 * MiB - 12 * EXTENT
        assert unmapped in spread.values(), f"{name}: {spread}"
        fast, bulk = sorted(length for length in spread.values() if length != unmapped)
        assert fast <= 4 * EXTENT and fast + bulk == 12 * EXTENT, f"{name}: {spread}"


@each("unix", "tcp")
def nbdcopy_copies_both_ways(case, transport):
    need("nbdcopy")
    daemon = case.daemon()
    uri = daemon.uri() if transport == "unix" else daemon.tcp_uri()
    source = _image(case, "source", 64 * MiB)
    case.run("nbdcopy", source, uri)
    case.run("nbdcopy", uri, case.path("back"))
    assert _same(source, case.path("back"))
    case.run("nbdcopy", "--connections=4", "--requests=64", "--flush", source, uri)
    case.run("nbdcopy", "--connections=4", "--no-extents", uri, case.path("again"))
    assert _same(source, case.path("again"))


def nbdcopy_between_two_volumes(case):
    need("nbdcopy")
    need_gnomon()
    daemon = case.daemon(volumes={"one": 32 * MiB, "two": 32 * MiB})
    source = _image(case, "source", 32 * MiB)
    case.run("nbdcopy", source, daemon.uri("one"))
    case.run("nbdcopy", daemon.uri("one"), daemon.uri("two"))
    case.run("nbdcopy", daemon.uri("two"), case.path("back"))
    assert _same(source, case.path("back"))


def nbdsh_speaks_every_command(case):
    need("nbdsh")
    daemon = case.daemon()
    script = """
import errno
def fails(code, call, *arguments):
    try:
        call(*arguments)
    except nbd.Error as error:
        assert error.errnum == code, (error, code)
    else:
        raise AssertionError(f"{call} {arguments} did not fail")
size = h.get_size()
assert h.can_flush() and h.can_fua() and h.can_trim() and h.can_zero()
h.set_strict_mode(0)
h.pwrite(b"shell" * 100, 12345, nbd.CMD_FLAG_FUA)
assert h.pread(500, 12345) == b"shell" * 100
h.zero(100, 12345, nbd.CMD_FLAG_NO_HOLE)
assert h.pread(500, 12345) == bytes(100) + b"shell" * 80
h.trim(4096, 8192)
h.flush()
fails(errno.EINVAL, h.pread, 512, size)
fails(errno.%s, h.pwrite, b"x" * 512, size)
assert len(h.pread_structured(65536, 0, lambda *a: 0)) == 65536
seen = []
h.block_status(size, 0, lambda context, offset, entries, error: seen.append((context, list(entries))) or 0)
assert any(context == "base:allocation" and entries for context, entries in seen), seen
print("spoken")
""" % ("EINVAL" if STAND_IN == "qemu-nbd" else "ENOSPC")
    # nbdsh runs under the interpreter that its package belongs to.
    text = case.run(PYTHON, "-c", "import sys, nbd\nh = nbd.NBD()\nh.add_meta_context('base:allocation')\n"
                    f"h.connect_uri({daemon.uri()!r})\n{script}\nh.shutdown()")
    assert "spoken" in text
    case.run("nbdsh", "-u", daemon.uri(), "-c", "assert h.get_size() == 64 << 20", env={"PATH": "/usr/bin:/bin"})


def nbdsh_keeps_many_requests_in_flight(case):
    need("nbdsh")
    daemon = case.daemon()
    case.run(PYTHON, "-c", f"""
import nbd
h = nbd.NBD()
h.connect_uri({daemon.uri()!r})
todo = {{}}
for number in range(1000):
    data = bytearray([number % 251]) * 4096
    todo[h.aio_pwrite(nbd.Buffer.from_bytearray(data), number * 4096)] = number
while h.aio_in_flight():
    h.poll(-1)
for cookie in todo:
    assert h.aio_command_completed(cookie)
for number in range(1000):
    assert h.pread(4096, number * 4096) == bytes([number % 251]) * 4096
h.shutdown()
""")


# --- QEMU

def qemu_img_converts_and_compares(case):
    need("qemu-img")
    daemon = case.daemon()
    source = _image(case, "source", 64 * MiB)
    for uri in (daemon.uri(), daemon.tcp_uri()):
        assert "64 MiB" in case.run("qemu-img", "info", uri)
        case.run("qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", "-W", "-m", "8", source, uri)
        text = case.run("qemu-img", "compare", "-f", "raw", "-F", "raw", source, uri)
        assert "identical" in text, text
    case.run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", daemon.uri(), case.path("copy.qcow2"))
    case.run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", case.path("copy.qcow2"), daemon.uri())


def qemu_img_maps_holes(case):
    need("qemu-img")
    need_gnomon()
    daemon = case.daemon()
    client = daemon.client()
    client.write(0, b"d" * EXTENT)
    client.flush()
    rows = json.loads(case.run("qemu-img", "map", "--output=json", "-f", "raw", daemon.uri()))
    data = sum(row["length"] for row in rows if row["data"])
    assert data == EXTENT, rows


def qemu_io_verifies_patterns(case):
    need("qemu-io")
    daemon = case.daemon()
    words = ["-c", "write -P 0x5a 0 1M", "-c", "write -P 0xa5 777k 513k", "-c", "read -P 0x5a 0 777k",
             "-c", "read -P 0xa5 777k 513k", "-c", "write -z -u 4k 64k", "-c", "read -P 0 4k 64k",
             "-c", "discard 256k 256k", "-c", "flush"]
    text = case.run("qemu-io", "-f", "raw", "-t", "none", daemon.uri(), *words)
    assert "Pattern verification failed" not in text, text


def _boot_sector(message):
    """512 bytes for a PC's firmware: read sector 1 from the same disk, print it on COM1, end QEMU."""
    code = bytes([
        0x31, 0xC0,              # xor ax, ax
        0x8E, 0xD8, 0x8E, 0xC0,  # mov ds, ax; mov es, ax
        0xBB, 0x00, 0x80,        # mov bx, 0x8000
        0xB8, 0x01, 0x02,        # mov ax, 0x0201: read one sector
        0xB9, 0x02, 0x00,        # mov cx, 2: cylinder 0, sector 2
        0xB6, 0x00,              # mov dh, 0
        0xCD, 0x13,              # int 0x13
        0xBE, 0x00, 0x80,        # mov si, 0x8000
        0xAC,                    # next: lodsb
        0x84, 0xC0,              # test al, al
        0x74, 0x10,              # jz end
        0x50,                    # push ax
        0xBA, 0xFD, 0x03,        # mov dx, 0x3fd
        0xEC,                    # wait: in al, dx
        0xA8, 0x20,              # test al, 0x20
        0x74, 0xFB,              # jz wait
        0x58,                    # pop ax
        0xBA, 0xF8, 0x03,        # mov dx, 0x3f8
        0xEE,                    # out dx, al
        0xEB, 0xEB,              # jmp next
        0xB0, 0x00,              # end: mov al, 0
        0xBA, 0x01, 0x05,        # mov dx, 0x501: the debug exit device
        0xEE,                    # out dx, al
        0xF4, 0xEB, 0xFD,        # hlt; jmp -3
    ])
    first = code.ljust(510, b"\0") + b"\x55\xaa"
    return first + (message.encode() + b"\r\n\0").ljust(512, b"\0")


def qemu_boots_from_the_export(case):
    need("qemu-system-x86_64")
    daemon = case.daemon()
    message = "a gnomon casts this shadow"
    client = daemon.client()
    client.write(0, _boot_sector(message), 1)
    client.close()
    for drive in ("if=ide", "if=virtio,cache=none"):
        done = case.run("qemu-system-x86_64", "-machine", "pc,accel=tcg", "-m", "32", "-display", "none",
                        "-nodefaults", "-no-reboot", "-serial", "stdio",
                        "-device", "isa-debug-exit,iobase=0x501,iosize=1",
                        "-drive", f"file={daemon.uri()},format=raw,{drive}", status=None, timeout=60)
        assert done.returncode == 1, f"QEMU ended with {done.returncode}: {done.stderr}"
        assert message in done.stdout, done.stdout


# --- fio

@each("4k aligned", "512 B", "unaligned", "256k")
def fio_verifies_checksums(case, shape):
    daemon = case.daemon(volumes={"v": 128 * MiB})
    words = {
        "4k aligned": ("--rw=randwrite", "--bs=4k", "--size=48m"),
        "512 B": ("--rw=randwrite", "--bs=512", "--size=8m"),
        "unaligned": ("--rw=randwrite", "--bsrange=512-64k", "--bs_unaligned=1", "--size=24m", "--norandommap=0"),
        "256k": ("--rw=write", "--bs=256k", "--size=128m"),
    }[shape]
    fio.verify(case, daemon, "--iodepth=32", *words)


def fio_verifies_with_several_jobs(case):
    daemon = case.daemon(volumes={"v": 128 * MiB})
    fio.verify(case, daemon, "--rw=randwrite", "--bs=4k", "--iodepth=16", "--numjobs=4", "--size=24m",
         "--offset_increment=32m", "--group_reporting")


def fio_verifies_while_writes_and_reads_are_mixed(case):
    daemon = case.daemon(volumes={"v": 128 * MiB})
    fio.verify(case, daemon, "--rw=randrw", "--bsrange=4k-128k", "--iodepth=32", "--size=64m", "--fsync=100",
         "--verify_backlog=256")


def simple_replies_only_if_chunks_are_turned_off(case):
    need("nbdinfo", "nbdcopy")
    need_gnomon()
    daemon = case.daemon(volumes={"v": 32 * MiB}, config="{ nbd: { structuredReplies: false } }")
    assert "simple packets" in case.run("nbdinfo", daemon.uri()).splitlines()[0]
    source = _image(case, "source", 32 * MiB)
    case.run("nbdcopy", source, daemon.uri())
    case.run("nbdcopy", daemon.uri(), case.path("back"))
    assert _same(source, case.path("back"))


def a_polling_reactor_serves_and_rests(case):
    need_gnomon()
    daemon = case.daemon(volumes={"v": 64 * MiB}, serve=["--reactors", "1"],
                         config="{ nbd: { busyPollMicroseconds: 1000 } }")
    fio.verify(case, daemon, "--rw=randwrite", "--bs=4k", "--iodepth=1", "--size=8m", "--fsync=4")
    fio.verify(case, daemon, "--rw=randwrite", "--bs=4k", "--iodepth=32", "--size=16m")
    before = daemon.cpu_seconds()
    time.sleep(2)
    assert daemon.cpu_seconds() - before < slowed(0.2), "an idle reactor must sleep"


@each("direct", "page")
def random_operations_match_a_model(case, cache):
    """The block-device exerciser: random reads, writes, zeroes, trims and flushes, many in flight."""
    tool = rig("bdfsx.py")
    daemon = case.daemon(volumes={"v": 48 * MiB + 4096}, cache=cache)
    for words in (("--ops", "1500"), ("--ops", "3000", "--depth", "16", "--conns", "4"),
                  ("--ops", "800", "--depth", "8", "--max-io", "8388608")):
        case.run(PYTHON, tool, *words, "--seed", case.seed, daemon.uri())


# --- socket activation

def systemd_hands_over_a_listening_socket(case):
    need("systemd-socket-activate", "nbdinfo")
    need_gnomon("nbdkit")
    import subprocess
    daemon = case.daemon()
    daemon.stop()
    inner = [BINARY, "serve", "--pool", daemon.pool]
    if STAND_IN == "nbdkit":
        inner = ["nbdkit", "-f", "memory", "64M"]
    if os.path.exists(daemon.socket):
        os.unlink(daemon.socket)
    with open(daemon.log_path, "ab") as log:
        process = subprocess.Popen(["systemd-socket-activate", "-l", daemon.socket] + inner,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent)
    daemon.process = process
    eventually(lambda: os.path.exists(daemon.socket), 10, "the activation socket")
    assert case.run("nbdinfo", "--size", daemon.uri()).strip() == str(64 * MiB)
    client = daemon.client()
    client.write(0, b"activated")
    assert client.read(0, 9) == b"activated"
    client.disconnect()
    daemon.stop()
    assert os.path.exists(daemon.socket), "a socket that was handed over is not the daemon's to remove"
