"""The daemon dies at each step on the way to durability, and everything that was promised is there afterwards.

The binary itself lists its failpoints and how often a workload passes each (`GNOMON_FAILPOINT=survey`); one that no
workload reaches is a failure, as nothing would be known about it.
"""
import os
import random
import re
import signal

from support import SANITIZER, each, limit, need_debug_binary, slow, slowed
from workload import CopiesWorkload, Died, Pool, Workload

SHARDS = 4


def _passes(text):
    return {name: int(count) for name, count in re.findall(r"^failpoint (\S+) (\d+)$", text, re.M)}


def _survey(case, kind):
    """-> {step: (passes while a pool is made, passes while it is served)}"""
    daemon = _daemon(case, kind, GNOMON_FAILPOINT="survey")
    created = _passes(case.run(*daemon.create_command(), env=daemon.env, status=None).stderr)
    daemon.start()
    kind(case, daemon, case.seed).run()
    served = _passes(daemon.log())
    daemon.process = None
    daemon.check()
    assert created and created.keys() == served.keys(), "the binary lists no failpoints"
    return {name: (created[name], served[name]) for name in served}


def _daemon(case, kind=Workload, **env):
    daemon = Pool(case, kind.CONFIG, env=env)
    case.daemons.append(daemon)
    os.makedirs(daemon.folder, exist_ok=True)
    return daemon


def _die_while_creating(case, name, count):
    """Leaves no pool, or a complete one; what it left does not keep a pool from being made there."""
    daemon = _daemon(case)
    done = case.run(*daemon.create_command(), env={"GNOMON_FAILPOINT": f"{name}:{count}"}, status=None)
    assert done.returncode == -signal.SIGKILL, f"pool create ended with {done.returncode}"
    if not os.path.exists(os.path.join(daemon.pool, "catalog.db")):
        daemon.check(status=6)
        again = case.run(*daemon.create_command(), status=None)
        if again.returncode:
            assert "carries a Gnomon label already" in again.stderr, again.stderr
            for store, _, _ in daemon.stores:
                if os.path.exists(daemon.store_path(store)):
                    os.unlink(daemon.store_path(store))
            case.run(*daemon.create_command())
    daemon.check()
    daemon.start()
    Workload(case, daemon, 0).verify(f"after pool create died at {name}")
    daemon.stop()


def _die_while_serving(case, kind, name, count, seed):
    """-> whether it died at all."""
    daemon = _daemon(case, kind)
    daemon.create()
    daemon.env = {"GNOMON_FAILPOINT": f"{name}:{count}"}
    workload = kind(case, daemon, seed)
    died = False
    try:
        daemon.start()
        workload.run()
    except (Died, AssertionError) as error:
        # At the start nobody is served yet: wait_ready has no other words for it.
        if daemon.process.poll() != -signal.SIGKILL or not (isinstance(error, Died) or "-9" in str(error)):
            raise
        died = True
    if died and name in ("last-flush-done", "catalog-closed"):
        workload.everything_is_durable()
    daemon.process.wait(30)
    daemon.process = None
    daemon.env = {}
    daemon.check()
    daemon.start()
    workload.verify(f"after death at {name}:{count}")
    daemon.stop()
    daemon.check()
    return died


def _die_everywhere(case, shard, rounds):
    need_debug_binary()
    surveys = {kind: _survey(case, kind) for kind in (Workload, CopiesWorkload)}
    unreached = [name for name in surveys[Workload] if not any(any(survey[name]) for survey in surveys.values())]
    # A sanitized daemon is so slow that it commits little at a time, and some steps are for much.
    assert SANITIZER or not unreached, f"no workload ever reaches {', '.join(unreached)}"
    deaths = 0
    for number, name in enumerate(surveys[Workload]):
        if number % SHARDS != shard or name in unreached:
            continue
        kind = next(kind for kind, survey in surveys.items() if any(survey[name]))
        created, served = surveys[kind][name]
        case.note(f"=== {name}: {created} + {served} passes of {kind.__name__}")
        for turn in range(rounds):
            chance = random.Random(f"{case.seed} {name} {turn}")
            if created:
                count = chance.randint(1, created)
                case.note(f"--- {name}:{count} of {created} while creating")
                _die_while_creating(case, name, count)
                deaths += 1
            if served:
                # Few passes are those of single commands, always as many; many depend on the time.
                count = chance.randint(1, served if served <= 3 else served // 2)
                case.note(f"--- {name}:{count} of {served} while serving")
                if not _die_while_serving(case, kind, name, count, chance.getrandbits(32)):
                    assert _die_while_serving(case, kind, name, 1, chance.getrandbits(32)), f"{name} was not reached"
                deaths += 1
    case.note(f"{deaths} deaths at {len(surveys[Workload])} failpoints in all")


@limit(slowed(300))
@each(*range(SHARDS))
def nothing_promised_is_lost_wherever_the_daemon_dies(case, shard):
    _die_everywhere(case, shard, 1)


@slow
@limit(1800)
@each(*range(SHARDS))
def nothing_promised_is_lost_wherever_the_daemon_dies_often(case, shard):
    _die_everywhere(case, shard, 8)
