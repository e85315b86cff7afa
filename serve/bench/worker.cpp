#include <qing/serve/bench/worker.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>

#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

constexpr char kFailed = '!';  // begins an answer that is an error's text

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// A line without its end; false at the end of the stream.
bool receive_line(int fd, std::string& buffer, std::string& line) {
  for (size_t searched = 0;;) {
    const size_t end = buffer.find('\n', searched);
    if (end != std::string::npos) {
      line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      return true;
    }
    searched = buffer.size();
    char piece[1 << 16];
    const ssize_t count = recv(fd, piece, sizeof piece, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    buffer.append(piece, static_cast<size_t>(count));
  }
}

std::string one_line(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

// The last line that a program wrote, which names its exception.
std::string last_line(const std::filesystem::path& file) {
  try {
    std::string text = read_file(file);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text.substr(text.rfind('\n') + 1);
  } catch (const Error&) { return ""; }
}

}  // namespace

void Worker::start(const std::function<void(int fd)>& child) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    throw IoError(name_ + ": cannot make a socket pair: " + std::strerror(errno));
  }
  process_ = fork();
  if (process_ < 0) {
    const int error = errno;
    close(ends[0]);
    close(ends[1]);
    throw IoError(name_ + ": cannot start a process: " + std::strerror(error));
  }
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody would ask it again
    close(ends[0]);
    child(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  fd_ = ends[0];
}

Worker::Worker(std::string name, const std::function<std::string(std::string_view line)>& answer)
    : name_(std::move(name)) {
  start([&answer](int fd) {
    std::string buffer, line;
    while (receive_line(fd, buffer, line)) {
      std::string reply;
      try {
        reply = answer(line);
      } catch (const std::exception& error) { reply = kFailed + one_line(error.what()); }
      if (!send_all(fd, reply + "\n") || reply.starts_with(kFailed)) return;
    }
  });
}

Worker::Worker(std::string name, const std::vector<std::string>& command, const std::filesystem::path& errors)
    : name_(std::move(name)), errors_(errors) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  start([&](int fd) {
    const int log = open(errors.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (dup2(fd, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) _exit(127);
    execvp(arguments[0], arguments.data());
    dprintf(STDERR_FILENO, "cannot run %s: %s\n", arguments[0], std::strerror(errno));
    _exit(127);
  });
}

Worker::~Worker() {
  if (fd_ >= 0) close(fd_);
  if (process_ <= 0) return;
  kill(process_, SIGKILL);
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {}
}

std::string Worker::ask(std::string_view line) {
  std::string answer;
  if (!send_all(fd_, std::string(line) + "\n") || !receive_line(fd_, buffer_, answer)) {
    const std::string said = errors_.empty() ? "" : last_line(errors_);
    throw IoError(name_ + ": " + (said.empty() ? "the process has ended" : said));
  }
  if (answer.starts_with(kFailed)) throw IoError(name_ + ": " + answer.substr(1));
  return answer;
}

}  // namespace qing::serve::cli
