#include <qing/optim/parallel/witness.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <system_error>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::optim {
namespace {

constexpr std::chrono::seconds kGrace{2};

// The running system and the namespace of its pids.
std::string machine_of_pids() {
  std::error_code none;
  const std::filesystem::path pids = std::filesystem::read_symlink("/proc/self/ns/pid", none);
  std::string boot;
  try {
    boot = read_file("/proc/sys/kernel/random/boot_id");
  } catch (const Error&) { return "?"; }
  while (!boot.empty() && boot.back() == '\n') boot.pop_back();
  return boot + "/" + pids.string();
}

// The processes that a witness watches.
class Watch {
 public:
  explicit Watch(const std::vector<RankProcess>& processes) : events_(epoll_create1(EPOLL_CLOEXEC)) {
    for (const RankProcess& process : processes) {
      // Linux before 5.3 has no such handles. The launcher alone then notices that a process ended.
      const int handle = static_cast<int>(syscall(SYS_pidfd_open, process.pid, 0));
      if (handle < 0 && errno != ESRCH) continue;
      if (handle < 0) {
        gone_.push_back(process);
        continue;
      }
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.u64 = watched_.size();
      watched_.push_back({process, handle});
      epoll_ctl(events_, EPOLL_CTL_ADD, handle, &event);
    }
  }
  size_t left() const { return watched_.size() - ended_; }

  // Waits for the next end, in the order of the ends. Returns null when the time is over or no process is left.
  const RankProcess* next(int milliseconds) {
    if (next_gone_ < gone_.size()) return &gone_[next_gone_++];
    epoll_event event{};
    int found = 0;
    while (left() > 0 && (found = epoll_wait(events_, &event, 1, milliseconds)) < 0 && errno == EINTR) {}
    if (found <= 0) return nullptr;
    Watched& watched = watched_[event.data.u64];
    epoll_ctl(events_, EPOLL_CTL_DEL, watched.handle, nullptr);
    watched.ended = true;
    ++ended_;
    return &watched.process;
  }
  void kill_rest() const {
    for (const Watched& watched : watched_) {
      if (!watched.ended) syscall(SYS_pidfd_send_signal, watched.handle, SIGKILL, nullptr, 0);
    }
  }

 private:
  struct Watched {
    RankProcess process;
    int handle;
    bool ended = false;
  };
  int events_;
  std::vector<Watched> watched_;
  std::vector<RankProcess> gone_;  // that ended before they could be watched
  size_t ended_ = 0, next_gone_ = 0;
};

std::string read_all(int from) {
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t count = read(from, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<size_t>(count));
  }
}

void testify(int orders) {
  std::vector<RankProcess> processes;
  std::istringstream lines(read_all(orders));
  for (std::string line; std::getline(lines, line);) processes.push_back(process_of(line));
  Watch watch(processes);
  const RankProcess* first = watch.next(-1);
  if (first == nullptr) return;
  const std::string text = fmt::format(
      "qing: error: rank {} (process {} on {}) has ended: it was killed or crashed. The training ends; resume it "
      "from its last checkpoint\n",
      first->rank, first->pid, first->host);
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text.data(), text.size());
  const auto end = std::chrono::steady_clock::now() + kGrace;
  while (watch.left() > 0) {
    const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (rest.count() <= 0 || watch.next(static_cast<int>(rest.count())) == nullptr) break;
  }
  watch.kill_rest();
}

}  // namespace

RankProcess this_process(int rank) {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return {.rank = rank, .pid = getpid(), .host = name.data(), .machine = machine_of_pids()};
}

std::string to_text(const RankProcess& process) {
  return fmt::format("{} {} {} {} {}", process.rank, process.pid, process.witness, process.host, process.machine);
}

RankProcess process_of(const std::string& text) {
  RankProcess process;
  std::istringstream words(text);
  words >> process.rank >> process.pid >> process.witness >> process.host >> process.machine;
  return process;
}

Witness::Witness() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) throw IoError(fmt::format("Witness: cannot make a pipe: {}", std::strerror(errno)));
  child_ = fork();
  if (child_ < 0) throw IoError(fmt::format("Witness: cannot start a process: {}", std::strerror(errno)));
  if (child_ == 0) {
    // A session of its own, so that the launcher does not end it together with the ranks.
    setsid();
    prctl(PR_SET_NAME, "qing-witness");
    for (const int signal_number : {SIGTERM, SIGINT}) signal(signal_number, SIG_DFL);
    // Whoever reads the command's output waits for its end.
    for (const int shared : {STDIN_FILENO, STDOUT_FILENO, ends[1]}) close(shared);
    try {
      testify(ends[0]);
    } catch (...) {  // there is nobody to tell
    }
    _exit(0);
  }
  close(ends[0]);
  orders_ = ends[1];
}

Witness::~Witness() {
  if (orders_ >= 0) close(orders_);
  kill(child_, SIGKILL);
  while (waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {}
}

void Witness::watch(const std::vector<RankProcess>& processes) {
  const std::string machine = machine_of_pids();
  std::string text;
  for (const RankProcess& process : processes) {
    if (process.machine == machine) text += to_text(process) + '\n';
  }
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = write(orders_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw IoError(fmt::format("Witness: cannot tell it what to watch: {}", std::strerror(errno)));
    rest.remove_prefix(static_cast<size_t>(written));
  }
  close(orders_);
  orders_ = -1;
}

}  // namespace qing::optim
