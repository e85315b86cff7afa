// The CPU time that Linux control groups (cgroups) let this process use.
#pragma once

#include <filesystem>

namespace qing {

/// The CPUs that the process's cgroups allow on average: the smallest quota divided by its period, over the process's
/// cgroup and all cgroups above it that are mounted; infinity without a quota. Reads cpu.max (version 2) and
/// cpu.cfs_quota_us with cpu.cfs_period_us (version 1). The cgroup is the one in /proc/self/cgroup and its folder
/// follows from /proc/self/mountinfo, so the result is right inside and outside a cgroup namespace. Files that are
/// missing or malformed count as no quota. `root` stands for "/" in all paths. Throws nothing but std::bad_alloc;
/// thread-safe. Source: https://docs.kernel.org/admin-guide/cgroup-v2.html, .../cgroup-v1/cgroups.html,
/// .../scheduler/sched-bwc.html and proc_pid_mountinfo(5).
double cgroup_cpu_quota(const std::filesystem::path& root = "/");

}  // namespace qing
