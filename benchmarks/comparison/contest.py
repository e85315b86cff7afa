"""The contest: everybody computes the same job, in rounds that alternate between the contestants."""

import os
import statistics
import tempfile

from .contestants import TOLERANCE, ContestError


def check(entrants, job):
    """ContestError unless all results equal the first one's to rounding."""
    handle, path = tempfile.mkstemp(prefix="qing-compare-")
    os.close(handle)
    try:
        entrants[0].ask("save", path)
        for other in entrants[1:]:
            error = other.number("check", path)
            if not error <= TOLERANCE:
                words = " ".join(map(str, job))
                raise ContestError(f"{other.name} and {entrants[0].name} differ by {error:.2g} in {words}")
    finally:
        os.unlink(path)


def contest(entrants, jobs, rounds, batch_seconds):
    """{name: median seconds of a run}. A round times a batch of about batch_seconds of each. Who does not know the job is
    left out. `jobs` is the job of all, or {name: job}."""
    job_of = jobs.get if isinstance(jobs, dict) else lambda name: jobs
    known = [c for c in entrants if c.prepare(job_of(c.name))]
    check(known, job_of(known[0].name))
    runs = {c.name: max(1, min(100_000, int(batch_seconds / max(c.seconds(1, 1), 1e-8)))) for c in known}
    # The first estimate met cold caches and threads that had yet to start.
    runs = {c.name: max(1, min(100_000, int(batch_seconds / max(c.seconds(1, runs[c.name]), 1e-9)))) for c in known}
    times = {c.name: [] for c in known}
    for turn in range(rounds):
        first = turn % len(known)
        for c in known[first:] + known[:first]:
            times[c.name].append(c.seconds(1, runs[c.name]))
    return {name: statistics.median(values) for name, values in times.items()}


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else float("nan")
