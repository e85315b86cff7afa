#include "worker_process.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <qing/serve/jobs/spawn_settings.h>
#include <qing/serve/jobs/training_job.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace fs = std::filesystem;
namespace {

constexpr int kLockDescriptor = 3;  // of the worker

[[noreturn]] void fail(const fs::path& path, const char* what, int why) {
  throw IoError(fmt::format("{}: {}: {}", path.string(), what, std::strerror(why)));
}

// The worker must not see what the server's environment may hold, such as keys.
std::vector<std::string> environment() {
  std::vector<std::string> kept = {"LC_ALL=C.UTF-8"};
  for (const char* name : {"LD_LIBRARY_PATH", "QING_ISA", "TMPDIR"}) {
    if (const char* value = std::getenv(name)) kept.push_back(fmt::format("{}={}", name, value));
  }
  return kept;
}

rlim_t half_of_memory() {
  return static_cast<rlim_t>(::sysconf(_SC_PHYS_PAGES)) / 2 * static_cast<rlim_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

JobLock::JobLock(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0) fail(folder, "cannot be opened", errno);
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int why = errno;
  ::close(std::exchange(descriptor_, -1));
  if (why != EWOULDBLOCK) fail(folder, "cannot be locked", why);
}

JobLock::~JobLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

WorkerProcess::WorkerProcess(const fs::path& program, const std::string& stage, const fs::path& folder,
                             const JobLock& lock, const WorkerLimits& limits) {
  const JobFolder job(folder);
  SpawnSettings spawn;
  posix_spawn_file_actions_addopen(&spawn.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&spawn.actions, STDOUT_FILENO, job.log().c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                   0600);
  posix_spawn_file_actions_adddup2(&spawn.actions, STDOUT_FILENO, STDERR_FILENO);
  posix_spawn_file_actions_adddup2(&spawn.actions, lock.descriptor(), kLockDescriptor);
  posix_spawn_file_actions_addclosefrom_np(&spawn.actions, kLockDescriptor + 1);
  std::vector<std::string> arguments = {"qing",
                                        "work",
                                        stage,
                                        "--folder",
                                        fs::absolute(folder).string(),
                                        "--parent",
                                        std::to_string(::getpid()),
                                        "--cores",
                                        std::to_string(limits.cores),
                                        "--memory",
                                        std::to_string(limits.memory_mib)};
  std::vector<std::string> variables = environment();
  const int failed = ::posix_spawn(&process_, program.c_str(), &spawn.actions, &spawn.attributes,
                                   pointers_to(arguments).data(), pointers_to(variables).data());
  if (failed != 0) fail(program, "cannot be started as a job's worker", failed);
}

WorkerProcess::~WorkerProcess() {
  if (WorkerProcess::poll()) return;
  signal(SIGKILL);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {}
}

std::optional<WorkerEnd> WorkerProcess::poll() {
  if (end_) return end_;
  int status = 0;
  const pid_t ended = ::waitpid(process_, &status, WNOHANG);
  if (ended == process_) {
    end_ = WIFSIGNALED(status) ? WorkerEnd{0, WTERMSIG(status)} : WorkerEnd{WEXITSTATUS(status), 0};
  } else if (ended < 0 && errno == ECHILD) {
    end_ = WorkerEnd{0, SIGKILL};  // someone else has waited for it, so that its result is unknown
  }
  return end_;
}

void WorkerProcess::stop(bool) { signal(SIGTERM); }

void WorkerProcess::kill() { signal(SIGKILL); }

void WorkerProcess::signal(int number) {
  if (!end_) ::kill(process_, number);
}

void limit_worker(const WorkerLimits& limits, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(kWorkerStopped);  // it has ended before this was set
  ::umask(0077);
  // Wishes: where they are refused, the worker is a process like others.
  ::setpriority(PRIO_PROCESS, 0, 10);
  const sched_param none{};
  ::sched_setscheduler(0, SCHED_BATCH, &none);
  std::ofstream("/proc/self/oom_score_adj") << 1000;
  const rlim_t bytes = limits.memory_mib == 0 ? half_of_memory() : static_cast<rlim_t>(limits.memory_mib) << 20;
  const rlimit memory{bytes, bytes}, no_cores{0, 0};
  if (::setrlimit(RLIMIT_AS, &memory) != 0) fail("memory limit of a job", "cannot be set", errno);
  ::setrlimit(RLIMIT_CORE, &no_cores);  // a core dump would hold users' texts
}

}  // namespace qing::serve
