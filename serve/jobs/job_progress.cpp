#include "job_progress.h"

#include <algorithm>
#include <fstream>
#include <string>
#include <system_error>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/serve/common/json_text.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/runs/dev_scores.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

constexpr std::int64_t kReportedSteps = 100;

double number_in(const json::object& line, std::string_view name) {
  const json::value* value = line.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

// The members of a step that OpenAI's clients know, and those of qing.
JobEvent step_event(const json::object& line, std::int64_t step, std::int64_t steps) {
  JobEvent event;
  event.type = "metrics";
  event.message = fmt::format("Step {}/{}: training loss={:.4f}", step, steps, number_in(line, "loss"));
  json::object data{{"step", step}, {"total_steps", steps}, {"train_loss", number_in(line, "loss")}};
  for (const char* name : {"epoch", "lr", "tokens_per_second"}) data[name] = line.at(name);
  event.data = json_text(data);
  return event;
}

// The scores of the first dev set. Those of single labels have the words of their measures; other kinds of problems
// have measures of their own, of which the message names the first two.
JobEvent evaluation_event(const json::object& line, std::int64_t step, std::int64_t steps) {
  JobEvent event;
  event.type = "metrics";
  const json::object& set = line.at("dev").as_array().at(0).as_object();
  json::object data{{"step", step}, {"total_steps", steps}};
  std::string words;
  if (line.contains("score")) {
    int named = 0;
    for (const auto& [key, value] : set) {
      if (!value.is_number()) continue;
      const std::string name(key);
      data["valid_" + name] = value;
      if (named++ < 2) {
        words +=
            fmt::format("{}{}={:.4f}", words.empty() ? "" : ", ", cli::measure_of(name).noun, number_in(set, name));
      }
    }
  } else {
    words =
        fmt::format("accuracy={:.4f}, macro recall={:.4f}", number_in(set, "accuracy"), number_in(set, "macro_recall"));
    for (const char* name : {"accuracy", "macro_recall", "macro_f1"})
      data[fmt::format("valid_{}", name)] = set.at(name);
  }
  data["best"] = line.at("best");
  event.message = fmt::format("Step {}/{}: validation {}", step, steps, words);
  event.data = json_text(data);
  return event;
}

}  // namespace

JobProgress::JobProgress(std::filesystem::path metrics, std::int64_t from, std::int64_t steps)
    : metrics_(std::move(metrics)), steps_(steps), step_(from), reported_(from), evaluated_(from) {}

void JobProgress::add_line(const std::string& text, News& news) {
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error);
  const json::object* line = error ? nullptr : parsed.if_object();
  const json::value* at = line == nullptr ? nullptr : line->if_contains("step");
  const json::value* type = line == nullptr ? nullptr : line->if_contains("type");
  if (at == nullptr || type == nullptr || !at->is_int64()) return;
  const std::int64_t step = at->get_int64();
  const bool is_step = *type == "step";
  if (is_step) {
    step_ = std::max(step_, step);
    if (first_ < 0) {
      first_ = step;
      since_ = std::chrono::steady_clock::now();
    }
  }
  // An evaluation follows the line of its step, which may have been read before.
  if (step <= (is_step ? reported_ : evaluated_)) return;
  const std::int64_t interval = std::max<std::int64_t>(1, steps_ / kReportedSteps);
  if (!is_step) {
    evaluated_ = step;
    news.events.push_back(evaluation_event(*line, step, steps_));
  } else if (step == 1 || step == steps_ || step % interval == 0) {
    news.events.push_back(step_event(*line, step, steps_));
  }
}

JobProgress::News JobProgress::read() {
  News news;
  std::error_code absent;
  const std::uintmax_t size = std::filesystem::file_size(metrics_, absent);
  if (!absent && size < offset_) offset_ = 0;  // a resumed training drops the lines after its checkpoint
  if (!absent && size > offset_) {
    std::ifstream file(metrics_, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset_));
    for (std::string line; std::getline(file, line) && !file.eof();) {
      offset_ += line.size() + 1;
      add_line(line, news);
    }
    reported_ = std::max(reported_, step_);
  }
  news.step = step_;
  const std::int64_t done = first_ < 0 ? 0 : step_ - first_;
  if (done > 0) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - since_).count();
    const double left = seconds / static_cast<double>(done) * static_cast<double>(steps_ - step_);
    news.estimated_finish = job_time() + static_cast<std::int64_t>(left) + 1;
  }
  return news;
}

SearchProgress search_progress(const JobFolder& folder) {
  SearchProgress progress;
  if (is_there(folder.search())) progress.scores = read_object_file(folder.search()).size();
  std::error_code absent;
  for (const std::filesystem::directory_entry& trial : entries_of(folder.path / "search", absent)) {
    progress.steps += JobProgress(trial.path() / "run/metrics.jsonl", 0, 0).read().step;
  }
  return progress;
}

}  // namespace qing::serve
