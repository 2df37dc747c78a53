"""The kernel's own NBD client, in user-mode Linux: attach, file systems, and a daemon that is killed under load."""
import uml
from support import BINARY, PYTHON, STAND_IN, each, limit, need, need_gnomon, rig, slow


@limit(400)
@each(("ext4", 1, "unix"), ("ext4", 4, "tcp"), ("xfs", 1, "tcp"), ("xfs", 4, "unix"))
def a_file_system_works_and_is_clean_afterwards(case, shape):
    need("nbd-client", "mkfs.xfs", "fio", "fstrim")
    kind, connections, transport = shape
    if STAND_IN == "qemu-nbd" and connections > 1:
        need_gnomon()
    uml.boot(case, "use_a_file_system", kind, connections, transport, seconds=380)


@limit(400)
@each("ext4", "xfs")
def a_file_system_survives_kills_with_every_fsynced_file(case, kind):
    need("nbd-client", "mkfs.xfs", "fio")
    need_gnomon("nbdkit")
    uml.boot(case, "survive_kills", kind, 3, seconds=380)


@limit(300)
def a_full_disk_under_the_pool_loses_nothing(case):
    need_gnomon()
    uml.boot(case, "survive_a_full_disk", disk="1G", seconds=280)


@slow
@limit(900)
def the_whole_kernel_rig_passes(case):
    """Far longer than the cases above, and of the same kind."""
    need_gnomon()
    tool = rig("kernel-mount")
    create = (f"{BINARY} pool create {{dir}}/pool --store fast={{dir}}/fast,size=1G,tier=0 "
              "--store bulk={dir}/bulk,size=1G,tier=2 --volume v=512M")
    serve = f"exec {BINARY} serve --pool {{dir}}/pool --listen 'nbd+unix:///?socket={{sock}}'"
    text = case.run(PYTHON, tool, "--server", f"[ -d {{dir}}/pool ] || {create}; {serve}", "--fs", "ext4,xfs",
                    "--conns", "1,4", "--restart", "--disk", "3G", "--mem", "3G", "--limit", "850",
                    "--seed", case.seed, timeout=880)
    assert ", 0 failed" in text, text[-500:]
