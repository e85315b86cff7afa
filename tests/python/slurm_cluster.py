"""A Slurm cluster of one node on loopback, without systemd: munged, slurmctld and slurmd of Debian's packages, which are
unpacked into the cache and not installed."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import ROOT, free_port
from job_tools import end_daemons

CACHE = Path(os.environ.get("QING_CACHE", Path.home() / ".cache/qing")) / "slurm"
PACKAGES = "slurm-client slurm-wlm-basic-plugins slurmctld slurmd munge libmunge2 libslurm38 liblua5.1-0"
PLUGINS = "usr/lib/x86_64-linux-gnu/slurm-wlm"


def unpacked():
    """The folder of the unpacked packages. Skips where they cannot be had."""
    if os.geteuid() != 0:
        pytest.skip("Slurm's daemons need root")
    if shutil.which("apt-get") is None or os.uname().machine != "x86_64":
        pytest.skip("needs Debian's Slurm packages for x86-64")
    script = f'. "{ROOT}/tests/packages.sh" && unpack_packages "{CACHE}" {PACKAGES}'
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=300)
    if result.returncode != 0:
        pytest.skip(f"Slurm's packages cannot be unpacked: {result.stdout} {result.stderr}")
    return CACHE


class Cluster:
    def __init__(self, root, folder):
        self.root, self.folder, self.daemons = root, folder, []
        plugins = root / PLUGINS
        for name in ("state", "spool", "munge"):
            (folder / name).mkdir(mode=0o700)
        key = folder / "munge/key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self.host, socket_file = socket.gethostname(), folder / "munge/socket"
        conf = folder / "slurm.conf"
        conf.write_text(f"""\
ClusterName=qing
SlurmctldHost={self.host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={socket_file}
CredType=cred/munge
SlurmctldPort={free_port()}
SlurmdPort={free_port()}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
PluginDir={plugins}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=5
MinJobAge=300
SchedulerParameters=batch_sched_delay=0,sched_interval=1
NodeName={self.host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN
PartitionName=short Nodes={self.host} Default=YES MaxTime=60 State=UP OverSubscribe=FORCE:4
PartitionName=other Nodes={self.host} MaxTime=60 State=UP OverSubscribe=FORCE:4
""")
        self.environment = {
            "SLURM_CONF": str(conf),
            "LD_LIBRARY_PATH": f"{plugins}:{root}/usr/lib/x86_64-linux-gnu",
            "PATH": f"{root}/usr/bin:{os.environ['PATH']}",
        }
        munge = folder / "munge"
        self.start("munged", "--foreground", "--force", f"--key-file={key}", f"--socket={socket_file}",
                   f"--pid-file={munge}/pid", f"--log-file={munge}/log", f"--seed-file={munge}/seed")  # fmt: skip
        self.wait(socket_file.exists, "munged")
        self.start("slurmctld-wlm", "-D", "-f", conf)
        self.start("slurmd-wlm", "-D", "-f", conf, "-d", root / "usr/sbin/slurmstepd-wlm")
        self.wait(lambda: "idle" in self.run("sinfo", "--noheader", "--format=%T", check=False), "slurmd")

    def start(self, name, *arguments):
        with open(self.folder / f"{name}.out", "w") as out:
            self.daemons.append(subprocess.Popen([self.root / "usr/sbin" / name, *map(str, arguments)], stdout=out,
                                                 stderr=subprocess.STDOUT, env={**os.environ, **self.environment}))  # fmt: skip

    def wait(self, look, what, seconds=60):
        end = time.monotonic() + seconds
        while not look():
            dead = [daemon.args[0] for daemon in self.daemons if daemon.poll() is not None]
            logs = "".join(path.read_text()[-2000:] for path in self.folder.glob("*.out"))
            if dead or time.monotonic() > end:
                self.stop()
                pytest.skip(f"{what} does not run here ({dead}): {logs}")
            time.sleep(0.1)

    def run(self, *words, check=True):
        result = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=60,
                                env={**os.environ, **self.environment})  # fmt: skip
        assert not check or result.returncode == 0, f"{words}: {result.stderr}"
        return result.stdout

    def jobs(self):
        """Of the cluster, ended ones too: {number: (name, state, partition, tasks, time limit)}."""
        lines = self.run("squeue", "--noheader", "--states=all", "--format=%i|%j|%T|%P|%C|%l").splitlines()
        return {int(line.split("|")[0]): tuple(line.strip().split("|")[1:]) for line in lines}

    def named(self, job):
        """The newest job of the cluster that trains this job, with its number first."""
        found = [(number, *rest) for number, rest in sorted(self.jobs().items()) if rest[0] == f"qing-{job}"]
        return found[-1] if found else None

    def stop(self):
        if len(self.daemons) == 3 and all(daemon.poll() is None for daemon in self.daemons):
            for number, (_, state, *_) in self.jobs().items():
                if state in {"PENDING", "RUNNING", "COMPLETING"}:
                    self.run("scancel", number, check=False)
            end = time.monotonic() + 20
            while any(state in {"RUNNING", "COMPLETING"} for _, state, *_ in self.jobs().values()):
                if time.monotonic() > end:
                    break
                time.sleep(0.2)
        end_daemons(self.daemons)
