"""The contest: all contestants compute the same jobs, in rounds that alternate between them."""

import os
import statistics
import tempfile

from .contestants import TOLERANCE, ContestError


def check(entrants, job):
    """Raises ContestError unless all results equal the first one up to rounding."""
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


class Contest:
    """One job, or {name: job}, for all contestants that know it. A round times about batch_seconds of each."""

    def __init__(self, entrants, jobs, batch_seconds):
        self.job_of = jobs.get if isinstance(jobs, dict) else lambda name: jobs
        self.known = [c for c in entrants if c.prepare(self.job_of(c.name))]
        self.times = {c.name: [] for c in self.known}
        check(self.known, self.job_of(self.known[0].name))

        def runs(seconds):
            return max(1, min(100_000, int(batch_seconds / max(seconds, 1e-8))))

        first = {c.name: runs(c.seconds(1, 1)) for c in self.known}
        # The first estimate includes cold caches and the start of threads.
        self.runs = {c.name: runs(c.seconds(1, first[c.name])) for c in self.known}

    def round(self, turn):
        """Times one round. Each round begins with another contestant."""
        for c in self.known:
            c.prepare(self.job_of(c.name))
        first = turn % len(self.known)
        for c in self.known[first:] + self.known[:first]:
            self.times[c.name].append(c.seconds(1, self.runs[c.name]))

    def figures(self, of_rounds):
        return {name: of_rounds(values) for name, values in self.times.items()}


def contests(entrants, jobs, options, progress=lambda text: None):
    """Returns [{name: seconds per run}] for the jobs, the median of the rounds or the best one. A round runs every job once,
    so that a disturbance of a few seconds affects only few rounds of each job."""
    progress(f"{len(jobs)} jobs: checking")
    all_of_them = [Contest(entrants, job, options.batch) for job in jobs]
    for turn in range(options.rounds):
        for number, one in enumerate(all_of_them, 1):
            progress(f"round {turn + 1} of {options.rounds}, job {number} of {len(jobs)}")
            one.round(turn)
    return [one.figures(min if options.best else statistics.median) for one in all_of_them]


def geometric_mean(values):
    return statistics.geometric_mean(values) if values else float("nan")
