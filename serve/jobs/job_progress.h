// What a training reports while it runs, as events of its job.
#pragma once

#include <chrono>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include <qing/serve/jobs/job_store.h>

namespace qing::serve {

/// Follows the lines of a run's metrics.jsonl. Not thread-safe.
class JobProgress {
 public:
  /// `from` is the step up to which events were recorded, `steps` the number of all.
  JobProgress(std::filesystem::path metrics, std::int64_t from, std::int64_t steps);

  struct News {
    std::int64_t step = 0;
    std::int64_t estimated_finish = 0;  ///< seconds since 1970; 0: unknown
    std::vector<JobEvent> events;       ///< about a hundred steps of a training, and all evaluations
  };
  /// What the file has since the last call. Steps that a resumed training repeats are not reported again. IoError.
  News read();

 private:
  void add_line(const std::string& line, News& news);

  const std::filesystem::path metrics_;
  const std::int64_t steps_;
  std::int64_t step_, reported_;
  std::int64_t evaluated_;   // step of the last evaluation that was reported
  std::int64_t first_ = -1;  // step of this process
  std::chrono::steady_clock::time_point since_{};
  std::uintmax_t offset_ = 0;
};

/// How far a search for settings has come.
struct SearchProgress {
  size_t scores = 0;       ///< settings whose scores are recorded
  std::int64_t steps = 0;  ///< of the settings that are being tried
  bool is_further_than(const SearchProgress& other) const {
    return scores != other.scores ? scores > other.scores : steps > other.steps;
  }
};
/// That of a job's folder; zeros without a search. IoError, DataError.
SearchProgress search_progress(const JobFolder& folder);

}  // namespace qing::serve
