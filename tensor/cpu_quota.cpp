#include <qing/tensor/cpu_quota.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace qing {
namespace {

namespace fs = std::filesystem;

constexpr double kNoQuota = std::numeric_limits<double>::infinity();

enum class Version { v1, v2 };

// A mounted hierarchy that can hold a CPU quota. `shown` is the cgroup at the mount point.
struct Mount {
  Version version;
  std::string shown, point;
};

// The process's cgroup in the two kinds of hierarchy; none where it has no cgroup.
struct Cgroups {
  std::optional<std::string> v1, v2;
};

bool has_word(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const size_t comma = std::min(list.find(','), list.size());
    if (list.substr(0, comma) == word) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// Mount points and roots escape spaces, tabs, line feeds and backslashes as \ and three octal digits.
std::string unescaped(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
    if (text[i] == '\\' && digit(i + 1) && digit(i + 2) && digit(i + 3)) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// Lines are "ID:CONTROLLERS:PATH"; version 2 has the ID 0 and no controllers.
Cgroups read_cgroups(const fs::path& root) {
  Cgroups cgroups;
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = first == line.npos ? first : line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string_view controllers = std::string_view(line).substr(first + 1, second - first - 1);
    if (line.starts_with("0:") && controllers.empty()) {
      cgroups.v2 = line.substr(second + 1);
    } else if (has_word(controllers, "cpu")) {
      cgroups.v1 = line.substr(second + 1);
    }
  }
  return cgroups;
}

// Lines are "ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [FIELD ...] - TYPE SOURCE SUPER_OPTIONS".
std::vector<Mount> read_mounts(const fs::path& root) {
  std::vector<Mount> mounts;
  std::ifstream file(root / "proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t separator = line.find(" - ");
    if (separator == line.npos) continue;
    std::istringstream before(line.substr(0, separator)), after(line.substr(separator + 3));
    std::string skipped, shown, point, type, source, options;
    before >> skipped >> skipped >> skipped >> shown >> point;
    after >> type >> source >> options;
    const bool v2 = type == "cgroup2", v1 = type == "cgroup" && has_word(options, "cpu");
    if (v1 || v2) mounts.push_back({v2 ? Version::v2 : Version::v1, unescaped(shown), unescaped(point)});
  }
  return mounts;
}

double quota_in_words(std::string_view quota_text, std::string_view period_text) {
  const double quota = std::strtod(std::string(quota_text).c_str(), nullptr);
  const double period = std::strtod(std::string(period_text).c_str(), nullptr);
  // "max" and -1 mean no quota.
  return std::isfinite(quota) && std::isfinite(period) && quota > 0 && period > 0 ? quota / period : kNoQuota;
}

std::string first_word(const fs::path& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

double quota_of_folder(const fs::path& folder, Version version) {
  if (version == Version::v1) {
    return quota_in_words(first_word(folder / "cpu.cfs_quota_us"), first_word(folder / "cpu.cfs_period_us"));
  }
  std::ifstream file(folder / "cpu.max");
  std::string quota, period;
  file >> quota >> period;
  return quota_in_words(quota, period);
}

// The path from the mount point down to the cgroup; none if the mount does not show the cgroup.
std::optional<std::string> path_below(const Mount& mount, const std::string& cgroup) {
  if (mount.shown == "/") return cgroup;
  if (!cgroup.starts_with(mount.shown)) return std::nullopt;
  const std::string rest = cgroup.substr(mount.shown.size());
  if (!rest.empty() && rest.front() != '/') return std::nullopt;
  return rest;
}

// The smallest quota from the cgroup's folder up to the mount point.
double quota_up_to(const fs::path& point, std::string path, Version version) {
  double least = kNoQuota;
  for (;;) {
    while (path.ends_with('/')) path.pop_back();
    least = std::min(least, quota_of_folder(path.empty() ? point : point / path.substr(1), version));
    if (path.empty()) return least;
    path.resize(path.rfind('/') == path.npos ? 0 : path.rfind('/'));
  }
}

double quota_in(const std::vector<Mount>& mounts, Version version, const std::optional<std::string>& cgroup,
                const fs::path& root) {
  if (!cgroup || !cgroup->starts_with('/')) return kNoQuota;
  double least = kNoQuota;
  bool shown = false;
  for (const Mount& mount : mounts) {
    const auto path = mount.version == version ? path_below(mount, *cgroup) : std::nullopt;
    if (!path) continue;
    shown = true;
    // A cgroup outside the namespace's root begins with "/..": only the quota at the mount point is known.
    const bool outside = path->starts_with("/..");
    least = std::min(least, quota_up_to(root / fs::path(mount.point).relative_path(), outside ? "" : *path, version));
  }
  if (shown) return least;
  // If a container's cgroup was moved after its mounts were made, the mount point is still the container's own cgroup.
  for (const Mount& mount : mounts) {
    if (mount.version != version || mount.shown.starts_with("/..")) continue;
    least = std::min(least, quota_of_folder(root / fs::path(mount.point).relative_path(), version));
  }
  return least;
}

}  // namespace

double cgroup_cpu_quota(const fs::path& root) {
  const Cgroups cgroups = read_cgroups(root);
  const std::vector<Mount> mounts = read_mounts(root);
  return std::min(quota_in(mounts, Version::v1, cgroups.v1, root), quota_in(mounts, Version::v2, cgroups.v2, root));
}

}  // namespace qing
