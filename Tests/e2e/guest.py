"""What runs inside user-mode Linux (see uml.py): the kernel's own NBD client on a daemon's export, cuts of power, disks
that fail."""
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import traceback

import baddisks
import powercut
import support
from support import MiB, Skip, eventually

DEVICE = "/dev/nbd0"
BLOCK = "/sys/block/nbd0"
MOUNT = "/mnt/fs"
MKFS = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
FSCK = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"]}
COMPLAINT = re.compile(r"I/O error|Buffer I/O|EXT4-fs (error|warning)|XFS \(nbd\S+ .*([Ee]rror|[Cc]orrupt|shut ?down)|"
                       r"nbd\d+: .*(error|[Ff]ail|timed out)|BUG:|Oops|WARNING:|hung task")


def _sys(name):
    with open(f"{BLOCK}/{name}", encoding="utf-8") as file:
        return file.read().strip()


def attach(case, daemon, connections, transport="unix", block=4096):
    where = ["-unix", daemon.socket] if transport == "unix" or support.STAND_IN else ["127.0.0.1", str(daemon.port)]
    case.run("nbd-client", *where, DEVICE, "-N", daemon.export, "-C", connections, "-b", block, "-t", "60")
    eventually(lambda: int(_sys("size")) > 0, 10, "the size of the device")


def detach(case):
    case.run("nbd-client", "-d", DEVICE)
    eventually(lambda: not os.path.exists(f"{BLOCK}/pid"), 10, "the end of the device")


def kernel_log(case):
    return case.run("dmesg")


def fio(case, *words):
    text = case.run("fio", "--name=v", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--do_verify=1",
                    f"--randseed={case.seed}", "--output-format=terse", *words, cwd="/run", timeout=150)
    assert "verify:" not in text, text


def fill_tree(folder, count, seed):
    """Files of odd sizes, some removed again; -> a digest of what is left."""
    chance = random.Random(seed)
    os.makedirs(folder)
    for number in range(count):
        with open(f"{folder}/{number}", "wb") as file:
            file.write(chance.randbytes(chance.randrange(200_000)))
    for number in range(0, count, 3):
        os.unlink(f"{folder}/{number}")


def digest(folder):
    total = hashlib.sha256()
    for base, folders, files in sorted(os.walk(folder)):
        folders.sort()
        for name in sorted(files):
            with open(os.path.join(base, name), "rb") as file:
                total.update(os.path.join(base, name).encode() + file.read())
    return total.hexdigest()


def use_a_file_system(case, kind, connections, transport):
    daemon = case.daemon(volumes={"v": 512 * MiB}, stores=[("fast", 1024 * MiB, 0), ("bulk", 1024 * MiB, 2)])
    attach(case, daemon, connections, transport)
    assert int(_sys("size")) * 512 == 512 * MiB
    assert _sys("queue/write_cache") == "write back", "the kernel must know that it has to flush"
    assert int(_sys("queue/discard_max_bytes")) > 0, "the kernel must know that it can trim"
    fio(case, f"--filename={DEVICE}", "--direct=1", "--rw=randrw", "--ioengine=libaio", "--iodepth=32",
        "--bsrange=4k-128k", "--blockalign=4k", "--size=48m")
    case.run(*MKFS[kind], DEVICE)
    case.run("mount", "-t", kind, DEVICE, MOUNT)
    fio(case, f"--directory={MOUNT}", "--direct=1", "--rw=randrw", "--ioengine=libaio", "--iodepth=16", "--bs=4k",
        "--size=32m")
    fio(case, f"--directory={MOUNT}", "--rw=randwrite", "--ioengine=psync", "--bs=16k", "--fsync=16", "--size=12m",
        "--filename=synced")
    fill_tree(f"{MOUNT}/tree", 150, case.seed)
    case.run("fstrim", "-v", MOUNT)
    before = digest(MOUNT)
    case.run("umount", MOUNT)
    case.run(*FSCK[kind], DEVICE)
    detach(case)
    daemon.restart()
    attach(case, daemon, connections, transport)
    case.run("mount", "-t", kind, "-o", "ro", DEVICE, MOUNT)
    assert digest(MOUNT) == before, "files differ after detach, restart and attach"
    case.run("umount", MOUNT)
    detach(case)
    complaints = [line for line in kernel_log(case).splitlines() if COMPLAINT.search(line)]
    assert not complaints, complaints[:5]


WRITER = """
import hashlib, os, random, sys
folder, log, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
chance = random.Random(seed)
folder_fd = os.open(folder, os.O_RDONLY)
log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
number = 0
while True:
    name = f"{seed}-{number}"
    data = chance.randbytes(chance.randrange(1, 120_000))
    fd = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    os.fsync(folder_fd)
    os.write(log_fd, f"{name} {hashlib.sha256(data).hexdigest()}\\n".encode())
    number += 1
"""


def survive_kills(case, kind, rounds):
    """The daemon is killed under load, started again on the same pool, and every file that was fsynced is there."""
    daemon = case.daemon(volumes={"v": 512 * MiB}, stores=[("fast", 1024 * MiB, 0)])
    chance = random.Random(case.seed)
    attach(case, daemon, 4)
    case.run(*MKFS[kind], DEVICE)
    case.run("mount", "-t", kind, DEVICE, MOUNT)
    logs = []
    for number in range(rounds):
        writers = []
        for writer in range(3):
            seed = number * 10 + writer
            log = f"/run/fsynced.{seed}"
            logs.append(log)
            writers.append(subprocess.Popen([support.PYTHON, "-c", WRITER, MOUNT, log, str(seed)],
                                            stderr=subprocess.DEVNULL))
        # Something without fsync beside it, so that the journal is never alone in the queue.
        writers.append(subprocess.Popen(
            ["fio", "--name=load", f"--directory={MOUNT}", "--rw=randwrite", "--bs=4k", "--size=32m", "--time_based",
             "--runtime=60", "--ioengine=libaio", "--iodepth=16", "--direct=1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/run"))
        new = logs[-3:]
        eventually(lambda: all(os.path.exists(log) and os.path.getsize(log) > 300 for log in new), 60, "some fsyncs")
        time.sleep(chance.uniform(0.0, 2.0))
        daemon.kill()
        # Without this the kernel would wait for its requests' time-out before it gives them up.
        case.run("nbd-client", "-d", DEVICE, status=None)
        for process in writers:
            process.send_signal(signal.SIGKILL)
        for process in writers:
            process.wait(60)
        unmount_what_is_dead(case)
        daemon.start()
        attach(case, daemon, 4)
        case.run("mount", "-t", kind, DEVICE, MOUNT)  # replays the journal
        count = check_fsynced(logs)
        case.note(f"round {number}: {count} fsynced files intact")
        assert count > 0, "nothing was fsynced before the kill"
    case.run("umount", MOUNT)
    case.run(*FSCK[kind], DEVICE)
    detach(case)


def unmount_what_is_dead(case):
    if case.run("umount", MOUNT, status=None).returncode:
        case.run("umount", "-l", MOUNT, status=None)
    eventually(lambda: not os.path.exists(f"{BLOCK}/pid"), 20, "the end of the dead device")
    eventually(lambda: "/mnt/fs" not in open("/proc/mounts", encoding="utf-8").read(), 20, "the end of the mount")
    # A file system that is busy with dying keeps the device open a little longer.
    time.sleep(0.3)


def check_fsynced(logs):
    count = 0
    for log in filter(os.path.exists, logs):
        with open(log, encoding="utf-8") as file:
            lines = file.read().splitlines()
        for line in lines:
            if len(line.split()) != 2 or len(line.split()[1]) != 64:
                continue
            name, wanted = line.split()
            path = os.path.join(MOUNT, name)
            assert os.path.exists(path), f"{name} was fsynced and is gone"
            with open(path, "rb") as file:
                assert hashlib.sha256(file.read()).hexdigest() == wanted, f"{name} was fsynced and is damaged"
            count += 1
    return count


def survive_a_full_disk(case):
    """The file system under the pool fills up: writes fail cleanly and what was flushed stays."""
    daemon = case.daemon(volumes={"v": 512 * MiB}, stores=[("fast", 512 * MiB, 0)])
    client = daemon.client()
    client.write(0, b"kept" * 1024)
    client.flush()
    room = os.statvfs(daemon.folder)
    free = room.f_bavail * room.f_frsize
    with open("/mnt/disk/ballast", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, free - 2 * MiB)
    failures = successes = 0
    for number in range(1, 400):
        data = bytes([number % 255 + 1]) * 65536
        if client.call(1, number * MiB, len(data), 0, data).ok and client.call(3).ok:
            successes += 1
        else:
            failures += 1
    case.note(f"{successes} writes flushed, {failures} refused")
    assert failures, "the disk was full and nothing failed"
    assert client.read(0, 4096) == b"kept" * 1024
    os.unlink("/mnt/disk/ballast")
    client.write(200 * MiB, b"after" * 100)
    client.flush()
    daemon.crash()
    again = daemon.client()
    assert again.read(0, 4096) == b"kept" * 1024
    assert again.read(200 * MiB, 500) == b"after" * 100


def use_failing_disks(case, seconds):
    baddisks.survive(case, seconds)


def use_a_file_system_on_failing_disks(case, kind, seconds):
    """It is written to and read while the disk with the live copies fails in every way, and is clean afterwards."""
    bad = baddisks.Disk(case)
    size = 96 * MiB if kind == "ext4" else 320 * MiB
    daemon = baddisks.pool(case, bad, size)
    attach(case, daemon, 2)
    case.run(*MKFS[kind], DEVICE)
    case.run("mount", "-t", kind, DEVICE, MOUNT)
    for number, fault in enumerate(baddisks.FAULTS):
        load = subprocess.Popen(
            ["fio", "--name=v", f"--directory={MOUNT}", "--direct=1", "--rw=randrw", "--ioengine=libaio", "--iodepth=8",
             "--bs=4k", "--size=12m", "--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0", "--do_verify=1",
             "--rate_iops=800,800", f"--randseed={case.seed + number}", "--fsync=64", "--output-format=terse"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/run")
        time.sleep(0.5)
        baddisks.suffer(case, daemon, bad, fault, seconds)
        fill_tree(f"{MOUNT}/tree{number}", 30, case.seed + number)
        said, _ = load.communicate(timeout=120)
        assert load.returncode == 0 and "verify:" not in said, said[-400:]
        case.run("sync")
        before = digest(MOUNT)
        if baddisks.is_failed(daemon):
            # Only a restart uses such a store again.
            case.run("umount", MOUNT)
            detach(case)
            daemon.crash()
            attach(case, daemon, 2)
            case.run("mount", "-t", kind, DEVICE, MOUNT)
        baddisks.wait_protected(daemon)
        baddisks.make_live(daemon)
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
            file.write("3")
        assert digest(MOUNT) == before, f"files differ after {fault}"
    case.run("umount", MOUNT)
    case.run(*FSCK[kind], DEVICE)
    detach(case)
    complaints = [line for line in kernel_log(case).splitlines()
                  if COMPLAINT.search(line) and "dm-" not in line and "ubdb" not in line]
    assert not complaints, complaints[:5]


def survive_power_cuts(case, *arguments):
    powercut.survive(case, *arguments)


def main():
    function, name, seed, arguments = json.loads(sys.argv[1])
    scratch = "/mnt/disk/scratch"
    os.makedirs(scratch)
    host = os.path.dirname(next(word for word in open("/proc/cmdline", encoding="utf-8").read().split()
                                if word.startswith("init="))[5:])
    case = support.Case(name, scratch, seed)
    try:
        globals()[function](case, *arguments)
        case.finish()
        return 0
    except Skip as skip:
        verdict = ["skip", str(skip)]
    except BaseException as error:
        traceback.print_exc()
        verdict = ["fail", f"{type(error).__name__}: {error}"]
        for daemon in case.daemons:
            print(f"--- the end of {daemon.log_path}\n{daemon.log_tail()}")
    sys.stdout.flush()
    with open(os.path.join(host, "guest.verdict"), "w", encoding="utf-8") as file:
        json.dump(verdict, file)
    return 1


if __name__ == "__main__":
    sys.exit(main())
