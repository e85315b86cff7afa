"""Facts about this machine that need no measurement."""

import os
import re
import subprocess
import sys
from pathlib import Path


def cpu_info(field):
    """Returns the value of a field in /proc/cpuinfo, or ''."""
    try:
        found = re.search(rf"^{field}\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        return ""
    return found[1] if found else ""


def l2_bytes():
    """Returns the size of the L2 cache. If the system does not say, this is 256 KiB, which every server CPU has."""
    try:
        size = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
        return int(size.removesuffix("K")) << 10
    except (OSError, ValueError):
        return 256 << 10


def cpu_name():
    return cpu_info("model name") or "unknown CPU"


def instruction_sets():
    """Returns qing's instruction sets that this CPU has and that differ in f32, the best first."""
    flags = set(cpu_info("flags").split())
    wanted = {"avx512": {"avx512f", "avx512bw", "avx512vl", "avx512dq"}, "avx2": {"avx2", "fma"}}
    return [isa for isa, needed in wanted.items() if needed <= flags]


def has_bf16():
    """Returns whether this CPU has instructions for products in bf16."""
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(cpu_info("flags").split())


def slug(text):
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def cpus():
    """Numbers of the CPUs this process may use."""
    return sorted(os.sched_getaffinity(0))


def python_of_tests():
    """Returns the Python that tests/run.sh installed, or this one."""
    cache = Path(os.environ.get("QING_CACHE", Path.home() / ".cache/qing"))
    return next((str(found) for found in sorted(cache.glob("venv-*/bin/python"))), sys.executable)


def can_import(python, *packages):
    """Whether that Python exists and has the packages."""
    try:
        return subprocess.run([python, "-c", f"import {', '.join(packages)}"], capture_output=True).returncode == 0
    except OSError:
        return False
