#include <qing/tensor/cpu_quota.h>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <string>

#include "nn/temp_folder.h"

namespace qing {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;

constexpr double kNone = std::numeric_limits<double>::infinity();

// A file system with the files of the CPU quota.
class FakeRoot {
 public:
  FakeRoot(const std::string& cgroup, const std::string& mountinfo) {
    file("proc/self/cgroup", cgroup);
    file("proc/self/mountinfo", mountinfo);
  }
  FakeRoot& file(const std::string& path, const std::string& content) {
    fs::create_directories((folder_.path() / path).parent_path());
    std::ofstream(folder_.path() / path) << content;
    return *this;
  }
  FakeRoot& v1(const std::string& cgroup, const std::string& quota, const std::string& period = "100000\n") {
    file(cgroup + "/cpu.cfs_quota_us", quota);
    return file(cgroup + "/cpu.cfs_period_us", period);
  }
  double quota() const { return cgroup_cpu_quota(folder_.path()); }

 private:
  TempFolder folder_;
};

constexpr const char* kMount2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kMount1 = "33 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n";

TEST(CpuQuota, Version2InANamespace) {
  FakeRoot root("0::/\n", kMount2);
  EXPECT_EQ(root.quota(), kNone);
  EXPECT_EQ(root.file("sys/fs/cgroup/cpu.max", "150000 100000\n").quota(), 1.5);
  EXPECT_EQ(root.file("sys/fs/cgroup/cpu.max", "max 100000\n").quota(), kNone);
}

TEST(CpuQuota, Version2OutsideANamespaceTakesTheLeastUpThePath) {
  FakeRoot root("0::/user.slice/run.scope/leaf\n", kMount2);
  root.file("sys/fs/cgroup/user.slice/run.scope/leaf/cpu.max", "max 100000\n");
  root.file("sys/fs/cgroup/user.slice/run.scope/cpu.max", "300000 100000\n");
  EXPECT_EQ(root.quota(), 3);
  root.file("sys/fs/cgroup/user.slice/cpu.max", "100000 50000\n");
  EXPECT_EQ(root.quota(), 2);
  root.file("sys/fs/cgroup/user.slice/run.scope/leaf/cpu.max", "20000 100000\n");
  EXPECT_EQ(root.quota(), 0.2);
  root.file("sys/fs/cgroup/other.slice/cpu.max", "10000 100000\n");
  EXPECT_EQ(root.quota(), 0.2) << "a quota of another cgroup";
}

TEST(CpuQuota, ALevelWithoutTheControllerIsSkipped) {
  FakeRoot root("0::/a/b/c\n", kMount2);
  root.file("sys/fs/cgroup/a/cpu.max", "400000 100000\n");
  EXPECT_EQ(root.quota(), 4);
}

TEST(CpuQuota, Version1OutsideANamespace) {
  FakeRoot root("4:memory:/elsewhere\n2:cpu,cpuacct:/system.slice/qing.service\n1:name=systemd:/x\n0::/\n",
                std::string(kMount1) + "34 25 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n");
  EXPECT_EQ(root.quota(), kNone);
  root.v1("sys/fs/cgroup/cpu,cpuacct/system.slice/qing.service", "-1\n");
  EXPECT_EQ(root.quota(), kNone);
  root.v1("sys/fs/cgroup/cpu,cpuacct/system.slice", "250000\n");
  EXPECT_EQ(root.quota(), 2.5);
  root.v1("sys/fs/cgroup/cpu,cpuacct/system.slice/qing.service", "50000\n", "25000\n");
  EXPECT_EQ(root.quota(), 2);
}

// A container without its own namespace, where the container's cgroup is mounted.
TEST(CpuQuota, TheMountOfAContainersCgroup) {
  FakeRoot root("2:cpu,cpuacct:/docker/abc/child\n",
                "33 25 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
  root.v1("sys/fs/cgroup/cpu,cpuacct", "300000\n");
  EXPECT_EQ(root.quota(), 3);
  root.v1("sys/fs/cgroup/cpu,cpuacct/child", "100000\n");
  EXPECT_EQ(root.quota(), 1);
}

TEST(CpuQuota, ACgroupThatIsNotBelowTheMount) {
  FakeRoot root("2:cpu,cpuacct:/docker/abcdef\n",
                "33 25 0:30 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n");
  root.v1("sys/fs/cgroup/cpu,cpuacct", "300000\n").v1("sys/fs/cgroup/cpu,cpuacct/def", "100000\n");
  EXPECT_EQ(root.quota(), 3) << "/docker/abcdef is not /docker/abc with def below it";
  FakeRoot outside("0::/../other\n", kMount2);
  outside.file("sys/fs/cgroup/cpu.max", "200000 100000\n").file("sys/fs/other/cpu.max", "100000 100000\n");
  EXPECT_EQ(outside.quota(), 2) << "a path that leaves the mount is not followed";
}

TEST(CpuQuota, BothVersionsAtOnceAndAMountPointWithASpace) {
  FakeRoot root("2:cpu:/a\n0::/b\n",
                "1 2 0:3 / /run/my\\040cpu rw - cgroup cgroup rw,cpu\n"
                "4 5 0:6 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  root.v1("run/my cpu/a", "500000\n").file("sys/fs/cgroup/unified/b/cpu.max", "600000 100000\n");
  EXPECT_EQ(root.quota(), 5);
  root.file("sys/fs/cgroup/unified/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(root.quota(), 4);
}

TEST(CpuQuota, MalformedFilesAreNoQuota) {
  FakeRoot root("0::/a\n", kMount2);
  for (const char* text :
       {"", "\n", "x y\n", "100000", "100000 0\n", "0 100000\n", "-5 100000\n", "nan 1\n", "inf 1\n"}) {
    EXPECT_EQ(root.file("sys/fs/cgroup/a/cpu.max", text).quota(), kNone) << text;
  }
  root.file("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
  EXPECT_EQ(root.quota(), 1);
  for (const char* text : {"", "0", "0:", "0:/a\n", "::/a\n", "0::\n", "0::a\n", "\xff\n"}) {
    EXPECT_EQ(root.file("proc/self/cgroup", text).quota(), kNone) << text;
  }
  root.file("proc/self/cgroup", "0::/a\n");
  for (const char* text : {"", "-", " - cgroup2", "30 23 0:26 / /sys/fs/cgroup rw cgroup2 cgroup2 rw\n"}) {
    EXPECT_EQ(root.file("proc/self/mountinfo", text).quota(), kNone) << text;
  }
  const TempFolder empty;
  EXPECT_EQ(cgroup_cpu_quota(empty.path()), kNone);
}

}  // namespace
}  // namespace qing
