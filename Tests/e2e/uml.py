"""Runs a function of guest.py in user-mode Linux: a kernel of our own, as an ordinary process.

The guest's root is the host's file tree, read-only (hostfs); /tmp, /run and /mnt are memory (what the
tests need of the host's is mounted there again), the case's scratch folder is writable, and the first
block device, an image in the scratch folder, holds what the guest writes; further ones are a case's own. So the
kernel's NBD client, mkfs and mount can be tested without privileges, and nothing outside the scratch folder is
touched.
"""
import glob
import json
import os
import signal
import subprocess
import time

from support import (BINARY, DEBUG_BINARY, HERE, PYTHON, RIGS, ROOT, SANITIZER, Skip, die_with_parent, need,
                     tail)

INIT = """#!/bin/bash
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
for folder in /run /mnt /tmp; do mount -t tmpfs -o mode=755 memory $folder; done
mkdir -p /run/lock /mnt/disk /mnt/fs {scratch} {folders}
ln -sfn /proc/self/fd /dev/fd
for folder in {folders}; do mount -r -t hostfs -o $folder host $folder; done
mount -t hostfs -o {scratch} host {scratch} || echo 'no scratch folder' >/dev/console
ip link set lo up
ulimit -n 65536
cd {root}
{environment}
{{ {modules}
  mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard /dev/ubda && mount /dev/ubda /mnt/disk &&
  {command}; }} </dev/null >>{scratch}/guest.out 2>&1
echo $? >{scratch}/guest.status.new
dmesg >{scratch}/guest.dmesg
mv {scratch}/guest.status.new {scratch}/guest.status
sync
echo o >/proc/sysrq-trigger
sleep 60
"""


def _module(name):
    """The insmod lines for a module and what it depends on, in order."""
    for folder in sorted(glob.glob("/usr/lib/uml/modules/*/"), reverse=True):
        with open(folder + "modules.dep", encoding="utf-8") as file:
            for line in file:
                module, _, needs = line.partition(":")
                if os.path.basename(module) == name + ".ko":
                    return [f"insmod {folder}{path};" for path in reversed([module] + needs.split())]
    raise Skip(f"user-mode Linux has no module {name}")


def _hidden(*folders):
    """Those that lie where the guest has memory."""
    return [folder for folder in dict.fromkeys(folders)
            if folder.startswith(("/tmp/", "/run/", "/mnt/")) and os.path.isdir(folder)]


def boot(case, function, *arguments, memory="1G", disk="3G", seconds=200, modules=("nbd",), disks=()):
    """Calls guest.function(case, *arguments) in a guest; fails as it fails. `disks` are more block devices, /dev/ubdb
    and so on, in MiB."""
    if SANITIZER:
        raise Skip("a process in user-mode Linux has too few addresses for a sanitizer", allowed=True)
    need("linux.uml", "unshare", "insmod", "mkfs.ext4", "ip", "truncate")
    kernel = os.environ.get("UML", "linux.uml")
    image, init = case.path("disk"), case.path("init")
    with open(image, "wb") as file:
        file.truncate(int(disk[:-1]) << 30)
    for number, mebibytes in enumerate(disks, 1):
        with open(case.path(f"disk{number}"), "wb") as file:
            file.truncate(mebibytes << 20)
    passed_on = {name: os.environ[name] for name in ("GNOMON", "GNOMON_DEBUG", "STAND_IN", "RIGS", "NO_CHECK", "CI")
                 if name in os.environ}
    words = json.dumps([function, case.name, case.seed, list(arguments)]).replace("'", "'\\''")
    with open(init, "w", encoding="utf-8") as file:
        file.write(INIT.format(
            scratch=case.scratch, root=ROOT,
            modules=" ".join(dict.fromkeys(line for module in modules for line in _module(module))),
            folders=" ".join(_hidden(ROOT, os.path.dirname(BINARY), os.path.dirname(DEBUG_BINARY), RIGS)),
            environment="\n".join(f"export {name}='{value}'" for name, value in passed_on.items()),
            command=f"{PYTHON} -B {HERE}/guest.py '{words}'"))
    os.chmod(init, 0o755)
    # In a pid namespace of its own, so that none of the guest's processes outlives a runner that is killed.
    command = ["unshare", "--pid", "--fork", "--kill-child", kernel, f"mem={memory}", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet",
               f"init={init}", f"ubd0={image}",
               *(f"ubd{number}={case.path(f'disk{number}')}" for number in range(1, len(disks) + 1)),
               "con0=null,fd:1", "con=null", "ssl=null", f"uml_dir={case.scratch}/", "umid=guest"]
    with open(case.path("console"), "wb") as console:
        # A session of its own: the guest's processes are host processes of that group.
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                   start_new_session=True, preexec_fn=die_with_parent)
    case.cleanups.append(lambda: _end(process))
    status = _wait(case, process, seconds)
    _end(process)
    output = _text(case.path("guest.out"))
    case.note(output)
    if status is None:
        raise AssertionError(f"the guest did not finish in {seconds} s:\n{tail(output)}\n"
                             f"{tail(_text(case.path('console')), 10)}")
    verdict = case.path("guest.verdict")
    if os.path.exists(verdict):
        with open(verdict, encoding="utf-8") as file:
            kind, reason = json.load(file)
        if kind == "skip":
            raise Skip(reason)
        case.note("--- the end of the kernel log\n" + tail(_text(case.path("guest.dmesg")), 25))
        raise AssertionError(reason)
    if status != 0:
        raise AssertionError(f"the guest ended with status {status}:\n{tail(output)}")


def _wait(case, process, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.path.exists(case.path("guest.status")):
            return int(_text(case.path("guest.status")) or "1")
        if process.poll() is not None:
            return None
        time.sleep(0.05)
    return None


def _end(process):
    """Everything of the guest's process group, whatever state it is in."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _text(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
