// The log on a pipe: whole lines, and no waiting for a reader that does not read.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>

#include <qing/serve/monitoring/log.h>

namespace qing::serve {
namespace {

// stderr as a pipe of four pages, for as long as it lives.
class StderrPipe {
 public:
  StderrPipe() : old_(::dup(STDERR_FILENO)) {
    EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0);
    EXPECT_GT(::fcntl(ends_[1], F_SETPIPE_SZ, 16384), 0);
    ::dup2(ends_[1], STDERR_FILENO);
  }
  ~StderrPipe() {
    ::dup2(old_, STDERR_FILENO);
    for (const int file : {old_, ends_[0], ends_[1]}) ::close(file);
  }
  std::string read() {
    std::string text(1 << 16, '\0');
    const ssize_t count = ::read(ends_[0], text.data(), text.size());
    text.resize(count > 0 ? static_cast<size_t>(count) : 0);
    return text;
  }

 private:
  int old_, ends_[2];
};

TEST(Log, NobodyWaitsForAReaderThatDoesNotRead) {
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

TEST(Log, ALineThatIsCutEndsBeforeTheNext) {
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

}  // namespace
}  // namespace qing::serve
