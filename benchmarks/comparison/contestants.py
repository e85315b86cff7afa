"""Contestants: one process for each library, controlled through pipes (see benchmarks/contestants). Idle processes are
stopped, so that threads which spin while they wait for work do not disturb the process that computes."""

import ctypes
import os
import signal
import subprocess
from dataclasses import dataclass, field

from . import machine

# The largest allowed difference between two libraries, relative to the largest element.
TOLERANCE = 1e-5


class ContestError(Exception):
    """A contestant failed, or its result differs from the others'."""


@dataclass
class Entry:
    """How to start a contestant: the name in tables, the program contestant_<program>, its argument, its environment."""

    name: str
    program: str
    variant: str = ""
    environment: dict = field(default_factory=dict)
    package: str = ""


def entries(isa):
    """All contestants for qing's instruction set `isa`. Peers may use any kernels up to this instruction set."""
    blis_of_zen3, blis_of_haswell, blis_of_skylake = "6", "3", "0"
    qing = Entry("qing", "qing", environment={"QING_ISA": isa})
    if isa == "avx512":
        return [
            qing,
            Entry("onednn", "onednn", "matmul", package="libdnnl-dev"),
            Entry("onednn-sgemm", "onednn", "sgemm", package="libdnnl-dev"),
            Entry("openblas", "openblas", package="libopenblas-dev"),
            Entry("blis", "blis", package="libblis-dev"),
            Entry("blis-skx", "blis", environment={"BLIS_ARCH_TYPE": blis_of_skylake}, package="libblis-dev"),
            Entry("eigen", "eigen_avx512", package="libeigen3-dev"),
        ]
    amd = machine.cpu_info("vendor_id") == "AuthenticAMD"
    onednn = {"ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
    blis = {"BLIS_ARCH_TYPE": blis_of_zen3 if amd else blis_of_haswell}
    return [
        qing,
        Entry("onednn", "onednn", "matmul", onednn, "libdnnl-dev"),
        Entry("onednn-sgemm", "onednn", "sgemm", onednn, "libdnnl-dev"),
        Entry("openblas", "openblas", "", {"OPENBLAS_CORETYPE": "Haswell"}, "libopenblas-dev"),
        Entry("blis", "blis", "", blis, "libblis-dev"),
        Entry("eigen", "eigen_avx2", package="libeigen3-dev"),
    ]


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


class Contestant:
    """A running contestant, pinned to `cpus`, with one thread for each CPU."""

    def __init__(self, entry, folder, cpus):
        self.name = entry.name
        threads = str(len(cpus))
        names = ("QING_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads), "OMP_PROC_BIND": "true", **entry.environment}

        def before_start():
            os.sched_setaffinity(0, cpus)
            # Without this a stopped process would outlive a script that was killed.
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        self.process = subprocess.Popen(
            [folder / f"contestant_{entry.program}", entry.variant],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            preexec_fn=before_start,
        )  # fmt: skip
        self.description = self.ask("describe")

    def ask(self, *words):
        line = " ".join(map(str, words))
        self.process.send_signal(signal.SIGCONT)
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the empty reply below shows the failure
        reply = self.process.stdout.readline().rstrip("\n")
        if not reply:
            raise ContestError(f"{self.name} ended at: {line}")
        self.process.send_signal(signal.SIGSTOP)
        return reply

    def number(self, *words):
        """Returns the last word of the reply as a number."""
        reply = self.ask(*words)
        try:
            return float(reply.split()[-1])
        except ValueError:
            raise ContestError(f"{self.name} answered {' '.join(map(str, words))} with {reply!r}") from None

    def prepare(self, job):
        return self.ask("prepare", *job) == "ready"

    def seconds(self, warm, runs):
        """Returns the mean seconds per run over `runs` runs, after `warm` runs."""
        return self.number("time", warm, runs) / runs

    def close(self):
        self.process.kill()
        self.process.wait()


class Field:
    """The contestants that could be started. A context manager."""

    def __init__(self, isa, threads, folder, wanted=None, say=print):
        cpus = machine.cpus()
        self.threads = threads
        mine = self.cpus = set(cpus[:threads])
        # This script runs on other CPUs than the contestants, if there are enough.
        os.sched_setaffinity(0, set(cpus) - mine or cpus)
        self.all = []
        self._restore = cpus
        try:
            for entry in entries(isa):
                if wanted is not None and entry.name != "qing" and entry.name not in wanted:
                    continue
                if not (folder / f"contestant_{entry.program}").exists():
                    say(f"{entry.name}: skipped because it was not built (Debian: {entry.package})")
                    continue
                try:
                    self.all.append(Contestant(entry, folder, mine))
                except ContestError as error:
                    if entry.name == "qing":
                        raise
                    say(f"{entry.name}: skipped because it does not run: {error}")
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getitem__(self, name):
        return next(c for c in self.all if c.name == name)

    def close(self):
        for contestant in self.all:
            contestant.close()
        os.sched_setaffinity(0, self._restore)


def known_peers():
    return sorted({e.name for isa in ("avx2", "avx512") for e in entries(isa)} - {"qing"})
