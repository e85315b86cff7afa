// The CPU time that Linux control groups (cgroups) let this process use.
#pragma once

#include <filesystem>

namespace qing {

/// The CPUs that the process's cgroups allow on average; infinity without a quota. It is the smallest quota divided by
/// its period, over the process's cgroup and all mounted cgroups above it. Reads cpu.max (version 2), and
/// cpu.cfs_quota_us with cpu.cfs_period_us (version 1). /proc/self/cgroup names the cgroup and /proc/self/mountinfo its
/// folder, so the result is right inside and outside a cgroup namespace. Missing or malformed files count as no quota.
/// `root` stands for "/" in all paths. Throws only std::bad_alloc. Thread-safe. Source:
/// https://docs.kernel.org/admin-guide/cgroup-v2.html, .../cgroup-v1/cgroups.html, .../scheduler/sched-bwc.html and
/// proc_pid_mountinfo(5).
double cgroup_cpu_quota(const std::filesystem::path& root = "/");

}  // namespace qing
