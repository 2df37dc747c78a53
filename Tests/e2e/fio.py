"""fio with checksums: whoever reads something else than was written last fails."""
import threading

from support import need


def verify(case, daemon, *words, turn=0, timeout=180):
    """Runs one job to its end; `words` say what it does."""
    need("fio")
    text = case.run("fio", "--name=verify", "--ioengine=nbd", f"--uri={daemon.uri()}", "--verify=crc32c",
                    "--verify_fatal=1", "--verify_state_save=0", "--do_verify=1", f"--randseed={case.seed + turn}",
                    "--output-format=terse", *words, timeout=timeout, cwd=case.scratch)
    assert "verify:" not in text, text


class Verifying(threading.Thread):
    """Reads and writes of random sizes, verified, beside whatever the test does meanwhile: `turns` jobs, or without
    end. `stop` has the last one end, and fails if one has failed."""

    def __init__(self, case, daemon, *words, turns=None, timeout=180):
        super().__init__(daemon=True)
        need("fio")
        self.case, self.server, self.words, self.turns, self.timeout = case, daemon, words, turns, timeout
        self.is_stopping, self.error, self.done = False, None, 0
        self.start()

    def run(self):
        try:
            while not self.done or not self.is_stopping and (self.turns is None or self.done < self.turns):
                verify(self.case, self.server, "--rw=randrw", "--bsrange=4k-64k", "--iodepth=16", *self.words,
                       turn=self.done, timeout=self.timeout)
                self.done += 1
        except BaseException as error:
            self.error = error

    def stop(self):
        self.is_stopping = True
        self.join(self.timeout)
        if self.error:
            raise self.error
        assert not self.is_alive(), "fio does not end"
