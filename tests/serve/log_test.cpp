// The log on a pipe writes whole lines and does not wait for a reader that does not read.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include <qing/serve/common/log.h>

namespace qing::serve {
namespace {

// Makes stderr a pipe of four pages during its life.
class StderrPipe {
 public:
  StderrPipe() : old_(::dup(STDERR_FILENO)) {
    EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0);
    EXPECT_GT(::fcntl(ends_[1], F_SETPIPE_SZ, 16384), 0);
    EXPECT_EQ(::fcntl(ends_[0], F_SETFL, O_NONBLOCK), 0);
    ::dup2(ends_[1], STDERR_FILENO);
  }
  ~StderrPipe() {
    ::dup2(old_, STDERR_FILENO);
    for (const int file : {old_, ends_[0], ends_[1]}) ::close(file);
  }
  void set_nonblocking() { EXPECT_EQ(::fcntl(ends_[1], F_SETFL, O_NONBLOCK), 0); }
  std::string read(size_t most = 1 << 16) {
    std::string text(most, '\0');
    const ssize_t count = ::read(ends_[0], text.data(), text.size());
    text.resize(count > 0 ? static_cast<size_t>(count) : 0);
    return text;
  }

 private:
  int old_, ends_[2];
};

TEST(Log, DoesNotWaitForAReaderThatDoesNotRead) {
  std::string first, second;
  const auto begun = std::chrono::steady_clock::now();
  {
    StderrPipe pipe;
    for (int i = 0; i < 1000; ++i) log_line("info", "event", {{"number", std::int64_t{i}}});
    first = pipe.read();
    log_line("info", "after", {});
    second = pipe.read();
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::seconds(20));
  ASSERT_FALSE(first.empty());
  const std::string last = first.substr(first.rfind("\"number\":"));
  const int kept = std::stoi(last.substr(9)) + 1;
  EXPECT_EQ(last.back(), '\n');
  EXPECT_LT(kept, 1000);
  EXPECT_NE(second.find("\"event\":\"log_lines_lost\",\"lines\":" + std::to_string(1000 - kept) + "}\n"),
            std::string::npos)
      << second;
  EXPECT_NE(second.find("\"event\":\"after\"}\n"), std::string::npos) << second;
}

TEST(Log, ATruncatedLineEndsBeforeTheNext) {
  std::string all;
  {
    StderrPipe pipe;
    log_line("info", "long", {{"text", std::string(40000, 'x')}});
    all = pipe.read();
    log_line("info", "after", {});
    all += pipe.read();
  }
  EXPECT_NE(all.find("x\n{\"time\""), std::string::npos) << all;
  EXPECT_NE(all.find("\"lines\":1}\n"), std::string::npos) << all;
  EXPECT_NE(all.find("\"event\":\"after\"}\n"), std::string::npos) << all;
}

// When a signal ends poll(), the pipe may still be full.
TEST(Log, ASignalDoesNotMakeItWaitForAReader) {
  struct sigaction handler {
  }, before{};
  handler.sa_handler = [](int) {};  // without SA_RESTART
  ASSERT_EQ(::sigaction(SIGUSR1, &handler, &before), 0);
  std::atomic<bool> done = false;
  std::string last;
  const auto begun = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration taken{};
  {
    StderrPipe pipe;
    std::jthread signals([&, logger = ::pthread_self()] {
      for (int i = 0; i < 250 && !done; ++i) {
        ::pthread_kill(logger, SIGUSR1);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
      for (; !done; std::this_thread::sleep_for(std::chrono::milliseconds(20)))
        pipe.read();  // so that a logger that waits fails rather than hangs
    });
    log_line("info", "long", {{"text", std::string(40000, 'x')}});
    taken = std::chrono::steady_clock::now() - begun;
    done = true;
    signals.join();
    pipe.read();
    log_line("info", "after", {});
    last = pipe.read();
  }
  ::sigaction(SIGUSR1, &before, nullptr);
  EXPECT_LT(taken, std::chrono::seconds(4));
  EXPECT_NE(last.find("\"event\":\"log_lines_lost\",\"lines\":1}\n"), std::string::npos) << last;
}

TEST(Log, ALineHasOneDeadlineHoweverLongItIs) {
  std::atomic<bool> done = false;
  std::chrono::steady_clock::duration taken{};
  {
    StderrPipe pipe;
    const auto begun = std::chrono::steady_clock::now();
    std::jthread reader([&] {
      for (; !done; std::this_thread::sleep_for(std::chrono::milliseconds(400))) pipe.read(4096);
    });
    log_line("info", "long", {{"text", std::string(60000, 'x')}});
    taken = std::chrono::steady_clock::now() - begun;
    done = true;
    reader.join();
    pipe.read();
    log_line("info", "after", {});  // reports the lost lines, so that other tests do not see them
  }
  EXPECT_LT(taken, std::chrono::milliseconds(2500));
}

TEST(Log, CountsLinesThatANonBlockingPipeDoesNotTake) {
  std::string last;
  {
    StderrPipe pipe;
    pipe.set_nonblocking();
    log_line("info", "long", {{"text", std::string(40000, 'x')}});
    log_line("info", "dropped", {});
    pipe.read();
    log_line("info", "after", {});
    last = pipe.read();
  }
  EXPECT_EQ(last.find("\n{\"time\""), 0U) << last;
  EXPECT_NE(last.find("\"lines\":2}\n"), std::string::npos) << last;
}

}  // namespace
}  // namespace qing::serve
