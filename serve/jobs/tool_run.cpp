#include "tool_run.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include <qing/serve/jobs/spawn_settings.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostInput = 60'000;  // fits an empty pipe, so that writing it never waits
constexpr size_t kMostOutput = size_t{1} << 20;
constexpr std::int64_t kSlice = 100;  // ms between looks at whether the command is still wanted

class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw IoError(fmt::format("pipe: {}", std::strerror(errno)));
  }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_reader() { close_end(0); }
  void close_writer() { close_end(1); }

 private:
  void close_end(size_t i) {
    if (ends_[i] >= 0) ::close(std::exchange(ends_[i], -1));
  }
  std::array<int, 2> ends_ = {-1, -1};
};

// Takes what is there. False at the end.
bool take(Pipe& pipe, std::string& text) {
  std::array<char, 4096> piece;
  const ssize_t count = ::read(pipe.reader(), piece.data(), piece.size());
  if (count < 0 && errno == EINTR) return true;
  if (count <= 0) return false;
  if (text.size() < kMostOutput) text.append(piece.data(), static_cast<size_t>(count));
  return true;
}

}  // namespace

ToolResult run_tool(std::vector<std::string> words, const std::string& input, std::vector<std::string> variables,
                    std::chrono::milliseconds time, const std::function<bool()>& stopped) {
  if (words.empty() || input.size() > kMostInput) {
    throw ValueError(fmt::format("run_tool: {} words and {} bytes of input; give a command, and at most {} bytes",
                                 words.size(), input.size(), kMostInput));
  }
  Pipe in, out, err;
  SpawnSettings spawn;
  posix_spawn_file_actions_adddup2(&spawn.actions, in.reader(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&spawn.actions, out.writer(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&spawn.actions, err.writer(), STDERR_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&spawn.actions, STDERR_FILENO + 1);
  pid_t process = 0;
  const int failed = ::posix_spawnp(&process, words.front().c_str(), &spawn.actions, &spawn.attributes,
                                    pointers_to(words).data(), pointers_to(variables).data());
  if (failed != 0) throw IoError(fmt::format("{}: cannot be started: {}", words.front(), std::strerror(failed)));
  in.close_reader();
  out.close_writer();
  err.close_writer();
  // A command that reads no input has closed the pipe, and the server ignores SIGPIPE.
  for (size_t done = 0; done < input.size();) {
    const ssize_t count = ::write(in.writer(), input.data() + done, input.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    done += static_cast<size_t>(count);
  }
  in.close_writer();

  ToolResult result;
  const auto end = Clock::now() + time;
  bool in_time = true, unwanted = false;
  for (bool out_open = true, err_open = true; in_time && (out_open || err_open);) {
    unwanted = stopped && stopped();
    if (unwanted) break;
    std::array<pollfd, 2> watched = {
        {{out_open ? out.reader() : -1, POLLIN, 0}, {err_open ? err.reader() : -1, POLLIN, 0}}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    in_time = left > 0;
    const std::int64_t slice = stopped ? std::min<std::int64_t>(left, kSlice) : left;
    if (!in_time || ::poll(watched.data(), watched.size(), static_cast<int>(slice)) <= 0) continue;
    if (watched[0].revents != 0) out_open = take(out, result.out);
    if (watched[1].revents != 0) err_open = take(err, result.err);
  }
  if (!in_time || unwanted) ::kill(-process, SIGKILL);  // its group, since a child of it may hold the pipes
  int status = 0;
  while (::waitpid(process, &status, 0) < 0 && errno == EINTR) {}
  if (unwanted) throw IoError(fmt::format("{}: was ended since this server stops", words.front()));
  if (!in_time) {
    throw IoError(fmt::format("{}: has not ended within {} s", words.front(),
                              std::chrono::duration_cast<std::chrono::seconds>(time).count()));
  }
  result.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return result;
}

}  // namespace qing::serve
