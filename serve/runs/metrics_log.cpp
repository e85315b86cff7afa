#include <qing/serve/runs/metrics_log.h>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstring>
#include <functional>
#include <limits>
#include <string_view>

#include <qing/serve/common/json_writer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

// Visits the lines before the first incomplete one, which a killed process may have left.
void for_each_line(const std::string& text, const std::function<void(std::string_view, const json::value&)>& use) {
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == text.npos) return;
    const std::string_view line(text.data() + begin, end + 1 - begin);
    boost::system::error_code error;
    const json::value value = json::parse(line, error);
    if (error || !value.is_object()) return;
    use(line, value);
    begin = end + 1;
  }
}

std::string kept_lines(const fs::path& file, int64_t step) {
  std::string kept;
  if (step == 0 || !fs::exists(file)) return kept;
  for_each_line(read_file(file), [&](std::string_view line, const json::value& value) {
    const json::value* at = value.get_object().if_contains("step");
    if (at != nullptr && at->is_int64() && at->get_int64() <= step) kept += line;
  });
  return kept;
}

DevScore score_from(const json::value& value) {
  return {std::string(value.at("name").as_string()), value.at("accuracy").to_number<double>(),
          value.at("macro_recall").to_number<double>(), value.at("macro_f1").to_number<double>(),
          value.as_object().contains("loss") ? value.at("loss").to_number<double>() : 0};
}

SetScores measured_in(const json::object& set) {
  SetScores scores{.name = std::string(set.at("name").as_string()), .values = {}, .text = {}};
  for (const auto& [name, value] : set) {
    if (value.is_number()) scores.values.emplace_back(name, value.to_number<double>());
  }
  return scores;
}

// The mean over the dev sets under the name of its measure.
double score_in(const json::object& line) {
  for (const Measure& measure : measures()) {
    const json::value* mean = line.if_contains(measure.name);
    if (mean == nullptr) continue;
    return measure.greater_is_better ? mean->to_number<double>() : -mean->to_number<double>();
  }
  throw DataError("an evaluation has no score");
}

// `score_name` names the mean of the sets, and `add_scores` adds the scores of one set.
template <class Set, class AddScores>
std::string evaluation_line(const optim::Progress& progress, std::string_view score_name, double score, bool best,
                            const std::vector<Set>& sets, const AddScores& add_scores) {
  JsonWriter line(JsonWriter::Style::kSpaced);
  line.begin_object().member("type", "evaluation").member("step", progress.step).member("epoch", progress.epoch);
  line.member(score_name, score).member("best", best).key("dev").begin_array();
  for (const Set& set : sets) {
    line.begin_object().member("name", set.name);
    add_scores(line, set);
    line.end();
  }
  line.end().end();
  return line.take();
}

}  // namespace

MetricsLog::MetricsLog(fs::path file, int64_t step, const char* work)
    : file_(std::move(file)), speed_(fmt::format("{}_per_second", work)) {
  const std::string kept = kept_lines(file_, step);
  write_file_atomically(file_, kept);
  size_ = static_cast<int64_t>(kept.size());
  fd_ = open(file_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd_ < 0) throw IoError(fmt::format("{}: cannot open: {}", file_.string(), std::strerror(errno)));
}

MetricsLog::~MetricsLog() { close(fd_); }

void MetricsLog::append(std::string line) {
  line += '\n';
  const auto size = static_cast<int64_t>(line.size());
  const ssize_t written = write(fd_, line.data(), line.size());
  if (written != size) {
    const int reason = written < 0 ? errno : ENOSPC;
    if (ftruncate(fd_, size_) != 0) { /* readers stop at what is no whole line */
    }
    throw IoError(fmt::format("{}: cannot write: {}", file_.string(), std::strerror(reason)));
  }
  size_ += size;
}

void MetricsLog::add_step(const optim::Progress& progress) {
  JsonWriter line(JsonWriter::Style::kSpaced);
  line.begin_object().member("type", "step").member("step", progress.step).member("epoch", progress.epoch);
  line.member("loss", progress.step_loss).member("lr", progress.lr).member("grad_norm", progress.grad_norm);
  line.member(speed_, progress.tokens_per_second).end();
  append(line.take());
}

void MetricsLog::add_evaluation(const optim::Progress& progress, const std::vector<DevScore>& sets,
                                const Measure& measure, bool best) {
  const double mean = measure.value_of(measure.score(sets));
  append(evaluation_line(progress, measure.name, mean, best, sets, [](JsonWriter& line, const DevScore& set) {
    line.member("accuracy", set.accuracy).member("macro_recall", set.macro_recall).member("macro_f1", set.macro_f1);
    line.member("loss", set.loss);
  }));
}

void MetricsLog::add_evaluation(const optim::Progress& progress, const std::vector<SetScores>& sets, double score,
                                bool best) {
  append(evaluation_line(progress, "score", score, best, sets, [](JsonWriter& line, const SetScores& set) {
    for (const auto& [name, value] : set.values) line.member(name, value);
  }));
}

int64_t Metrics::best_step() const {
  int64_t step = 0;
  double best = -std::numeric_limits<double>::infinity();
  for (const EvaluationPoint& point : evaluations) {
    if (point.score > best) best = point.score, step = point.step;
  }
  return step;
}

Metrics read_metrics(const fs::path& file) {
  Metrics metrics;
  try {
    for_each_line(read_file(file), [&](std::string_view, const json::value& value) {
      const int64_t step = value.at("step").as_int64();
      if (value.at("type") == "step") metrics.steps.push_back({step, value.at("loss").to_number<double>()});
      if (value.at("type") != "evaluation") return;
      if (const json::value* masked = value.as_object().if_contains("score")) {
        EvaluationPoint& point =
            metrics.evaluations.emplace_back(EvaluationPoint{step, masked->to_number<double>(), {}});
        for (const json::value& set : value.at("dev").as_array())
          point.measured.push_back(measured_in(set.as_object()));
        return;
      }
      EvaluationPoint& point =
          metrics.evaluations.emplace_back(EvaluationPoint{step, score_in(value.get_object()), {}});
      for (const json::value& set : value.at("dev").as_array()) point.sets.push_back(score_from(set));
    });
  } catch (const std::exception& error) {
    throw DataError(fmt::format("{}: has a line that qing did not write: {}", file.string(), error.what()));
  }
  return metrics;
}

}  // namespace qing::serve::cli
