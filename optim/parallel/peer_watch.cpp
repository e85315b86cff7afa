#include <qing/optim/parallel/peer_watch.h>

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::optim {
namespace {

// The running system and the namespace of its pids.
std::string machine_of_pids() {
  std::error_code none;
  const std::filesystem::path pids = std::filesystem::read_symlink("/proc/self/ns/pid", none);
  std::string boot;
  try {
    boot = read_file("/proc/sys/kernel/random/boot_id");
  } catch (const Error&) { return {}; }
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  return boot + "/" + pids.string();
}

int open_process(int pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }

}  // namespace

RankProcess this_process(int rank) {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return {.rank = rank, .pid = getpid(), .host = name.data(), .machine = machine_of_pids()};
}

std::string to_text(const RankProcess& process) {
  return fmt::format("{} {} {} {}", process.rank, process.pid, process.host, process.machine);
}

RankProcess process_of(const std::string& text) {
  RankProcess process;
  std::istringstream words(text);
  words >> process.rank >> process.pid >> process.host >> process.machine;
  return process;
}

PeerWatch::PeerWatch(const std::vector<RankProcess>& processes, int own_rank,
                     std::function<void(const RankProcess&)> gone)
    : gone_(std::move(gone)), stop_(eventfd(0, EFD_CLOEXEC)) {
  if (stop_ < 0) throw IoError(fmt::format("PeerWatch: cannot make an event: {}", std::strerror(errno)));
  const std::string machine = machine_of_pids();
  for (const RankProcess& process : processes) {
    if (process.rank == own_rank || machine.empty() || process.machine != machine) continue;
    // Linux before 5.3 has no such handles. The launcher alone then notices that a process ended.
    const int handle = open_process(process.pid);
    if (handle >= 0) watched_.push_back({process, handle});
  }
  if (!watched_.empty()) thread_ = std::thread([this] { run(); });
}

PeerWatch::~PeerWatch() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  for (const Watched& watched : watched_) close(watched.handle);
  close(stop_);
}

void PeerWatch::run() const {
  std::vector<pollfd> handles = {{stop_, POLLIN, 0}};
  for (const Watched& watched : watched_) handles.push_back({watched.handle, POLLIN, 0});
  while (poll(handles.data(), handles.size(), -1) < 0 && errno == EINTR) {}
  if (handles[0].revents != 0) return;
  for (size_t i = 0; i < watched_.size(); ++i) {
    if (handles[i + 1].revents != 0) return gone_(watched_[i].process);
  }
}

}  // namespace qing::optim
