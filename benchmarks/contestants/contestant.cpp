// The protocol has one line for each request and one for each reply:
//   describe               the description
//   prepare KIND SIZE...   ready | unsupported
//   save FILE              saved: writes the result of one run
//   check FILE             error E: the largest difference of one run from the saved result, over the largest |saved|
//   time WARM RUNS         seconds S: the time of RUNS runs, after WARM runs to warm up
//   any other command      the reply of answer()
#include "contestant.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace qing::bench {

Floats::Floats(int64_t n, uint32_t seed) : n_(n) {
  const size_t bytes = (static_cast<size_t>(n) * sizeof(float) + 63) / 64 * 64;
  data_.reset(static_cast<float*>(std::aligned_alloc(64, std::max<size_t>(bytes, 64))));
  if (data_ == nullptr) throw std::bad_alloc();
  uint32_t state = seed * 2654435761U + 1;
  for (int64_t i = 0; i < n; ++i) {
    state = state * 1664525U + 1013904223U;
    data_.get()[i] = static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1;
  }
}

namespace {

class Session {
 public:
  explicit Session(std::string variant) : variant_(std::move(variant)) {}

  std::string reply(const std::string& line) {
    std::istringstream in(line);
    std::string command;
    in >> command;
    if (command == "describe") return describe();
    if (command == "prepare") {
      task_.reset();  // frees its memory before the next task allocates
      Job job;
      in >> job.kind;
      job.sizes = sizes_of(in);
      task_ = bench::prepare(job, variant_);
      return task_ ? "ready" : "unsupported";
    }
    if (command == "save" || command == "check") {
      std::string file;
      in >> file;
      task().run();
      return command == "save" ? save(file) : check(file);
    }
    const Job question{command, sizes_of(in)};
    if (command == "time") return time(question.size(0), question.size(1));
    if (const auto text = answer(question)) return *text;
    throw std::runtime_error("unknown command " + command);
  }

 private:
  static std::vector<int64_t> sizes_of(std::istringstream& in) {
    std::vector<int64_t> sizes;
    for (int64_t size = 0; in >> size;) sizes.push_back(size);
    return sizes;
  }

  Task& task() {
    if (!task_) throw std::runtime_error("nothing is prepared");
    return *task_;
  }

  std::string save(const std::string& file) {
    std::ofstream out(file, std::ios::binary);
    const std::span<const float> values = task().result();
    out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
    if (!out.flush()) throw std::runtime_error("cannot write " + file);
    return "saved";
  }

  std::string check(const std::string& file) {
    const std::span<const float> values = task().result();
    std::vector<float> saved(values.size());
    std::ifstream in(file, std::ios::binary);
    const auto bytes = static_cast<std::streamsize>(values.size_bytes());
    if (!in.read(reinterpret_cast<char*>(saved.data()), bytes) || in.get() != EOF) {
      throw std::runtime_error(file + " does not hold " + std::to_string(values.size()) + " numbers");
    }
    double difference = 0, largest = 0;
    for (size_t i = 0; i < saved.size(); ++i) {
      const double d = std::fabs(static_cast<double>(values[i]) - static_cast<double>(saved[i]));
      difference = std::isnan(d) ? INFINITY : std::max(difference, d);
      largest = std::max(largest, std::fabs(static_cast<double>(saved[i])));
    }
    return "error " + text_of(difference == 0 ? 0 : difference / largest);
  }

  std::string time(int64_t warm, int64_t runs) {
    const std::function<void()>& run = task().run;
    for (int64_t i = 0; i < warm; ++i) run();
    const auto start = std::chrono::steady_clock::now();
    for (int64_t i = 0; i < runs; ++i) run();
    return "seconds " + text_of(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }

  static std::string text_of(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
  }

  std::string variant_;
  std::optional<Task> task_;
};

}  // namespace
}  // namespace qing::bench

int main(int argc, char** argv) {
  try {
    qing::bench::Session session(argc > 1 ? argv[1] : "");
    for (std::string line; std::getline(std::cin, line);) std::cout << session.reply(line) << std::endl;
  } catch (const std::exception& error) {
    std::cerr << argv[0] << ": " << error.what() << '\n';
    return 1;
  }
}
