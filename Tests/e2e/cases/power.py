"""What was promised is there when the power fails at any moment: see powercut.py."""
import powercut
import uml
from support import each, limit, need, need_debug_binary, need_gnomon, slow


def _cut(case, kind, cache, marks, points, canary="", seconds=280):
    need("dmsetup", "mkfs.xfs")
    need_gnomon()
    uml.boot(case, "survive_power_cuts", kind, cache, marks, points, canary, seconds=seconds,
             modules=powercut.MODULES, disks=powercut.DISKS)


@limit(300)
@each(("ext4", "direct"), ("xfs", "page"))
def nothing_promised_is_lost_when_the_power_fails(case, shape):
    _cut(case, *shape, 60, 12)


@limit(300)
@each(("ext4", "direct"), ("xfs", "page"))
def power_cuts_find_a_daemon_that_does_not_flush(case, shape):
    """The case above is worth something only if it fails when it should."""
    need_debug_binary()
    _cut(case, *shape, 60, 30, "commitsWithoutSynchronizing")


@slow
@limit(1500)
@each(("ext4", "direct"), ("ext4", "page"), ("xfs", "direct"), ("xfs", "page"))
def nothing_promised_is_lost_when_the_power_fails_at_many_moments(case, shape):
    _cut(case, *shape, 150, 150, seconds=1450)


@slow
@limit(600)
@each("forgetsDirtyMarks", "ignoresForceUnitAccess", "forgetsUncommittedExtents", "commitsWithoutSyncingCatalog")
def power_cuts_find_deliberate_bugs(case, canary):
    need_debug_binary()
    _cut(case, "ext4", "direct", 100, 200, canary, seconds=580)
