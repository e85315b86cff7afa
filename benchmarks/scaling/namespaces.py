"""Machines that are network namespaces of this one, joined by a bridge, with links of a given rate and delay.

It needs root and iproute2. `netem` is a module that some kernels lack; without it links have a rate and no added delay.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

LINK = Path(__file__).resolve().parent / "link.py"
PREFIX = f"qsm{os.getpid() % 10000}"
NETWORK = "10.213.77"
PORT = 7077


def missing():
    """Why this machine cannot do it, or ''."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    absent = [name for name in ("ip", "tc", "unshare") if shutil.which(name) is None]
    return f"{', '.join(absent)} of iproute2 and util-linux not found" if absent else ""


def run(*words, check=True):
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
    return done


class Machines:
    """count machines with addresses NETWORK.1 and so on. A context manager, which removes them."""

    def __init__(self, count, megabits, delay_ms):
        self.names = [f"{PREFIX}n{i + 1}" for i in range(count)]
        self.bridge = f"{PREFIX}br"
        self.megabits, self.delay_ms = megabits, delay_ms
        self.delayed = False

    def address(self, i):
        return f"{NETWORK}.{i + 1}"

    def __enter__(self):
        try:
            run("ip", "link", "add", self.bridge, "type", "bridge")
            run("ip", "link", "set", self.bridge, "up")
            for i, name in enumerate(self.names):
                outside, inside = f"{name}o", f"{name}i"
                run("ip", "netns", "add", name)
                run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside)
                run("ip", "link", "set", outside, "master", self.bridge, "up")
                run("ip", "link", "set", inside, "netns", name)
                self.inside(i, "ip", "link", "set", inside, "name", "eth0")
                self.inside(i, "ip", "addr", "add", f"{self.address(i)}/24", "dev", "eth0")
                self.inside(i, "ip", "link", "set", "lo", "up")
                self.inside(i, "ip", "link", "set", "eth0", "up")
                self.shape(i)
        except BaseException:
            self.remove()
            raise
        return self

    # Each machine's own link is shaped where it sends, so that what it sends to all others shares the rate.
    def shape(self, i):
        rate = f"{self.megabits:g}mbit"
        if self.delay_ms > 0:
            words = ["tc", "qdisc", "add", "dev", "eth0", "root", "netem", "delay", f"{self.delay_ms:g}ms", "rate", rate, "limit", 100000]
            self.delayed = self.inside(i, *words, check=False).returncode == 0
            if self.delayed:
                return
        self.inside(i, "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "64kb", "latency", "200ms")

    def inside(self, i, *words, check=True):
        return run("ip", "netns", "exec", self.names[i], *words, check=check)

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        for name in self.names:
            run("ip", "netns", "del", name, check=False)
            run("ip", "link", "del", f"{name}o", check=False)
        run("ip", "link", "del", self.bridge, check=False)

    def measure_link(self):
        """Latency in seconds and bandwidth in bytes a second, from the first machine to the second."""
        server = subprocess.Popen(["ip", "netns", "exec", self.names[1], sys.executable, str(LINK), "serve", str(PORT)])
        try:
            return json.loads(self.inside(0, sys.executable, LINK, "measure", self.address(1), PORT).stdout)
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(5)
            if server.poll() is None:
                server.kill()

    def launcher(self, folder, ranks, mpirun):
        """The beginning of a command line of Open MPI that starts one rank on each of the first machines, by namespaces
        in place of ssh."""
        agent = folder / "agent"
        agent.write_text(
            "#!/bin/bash\n# mpirun calls it as ssh: HOST COMMAND...\nhost=$1\nshift\n"
            f'n=${{host##*.}}\nexec ip netns exec "{PREFIX}n$n" unshare --uts bash -c "hostname $host; $*"\n'
        )
        agent.chmod(0o755)
        hosts = ",".join(f"{self.address(i)}:1" for i in range(ranks))
        return ["ip", "netns", "exec", self.names[0], "unshare", "--uts", "bash", "-c", f'hostname {self.address(0)}; exec "$@"', "mpirun",
                mpirun, "--allow-run-as-root", "-n", str(ranks), "--host", hosts, "--oversubscribe", "--bind-to", "none",
                "--mca", "plm_rsh_agent", str(agent), "--mca", "btl", "tcp,self", "--mca", "pml", "ob1",
                "--mca", "btl_tcp_if_include", "eth0", "--mca", "oob_tcp_if_include", "eth0"]  # fmt: skip
