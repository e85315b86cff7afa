// The progress of training and of predicting on stderr: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <qing/optim/classifier/train_classifier.h>
#include <qing/serve/runs/training_units.h>

namespace qing::serve::cli {

class ProgressDisplay {
 public:
  explicit ProgressDisplay(const TrainingUnits& units = {});
  void show(const optim::Progress& progress);
  void show(const optim::TeacherProgress& progress);
  /// Rows of a table; `share` of them all, in [0, 1], or less than 0 if it is unknown.
  void show_rows(int64_t rows, double share, double rows_per_second);
  /// Ends the line of the bar, so that the next output starts on a new line.
  void end_line();

 private:
  using Clock = std::chrono::steady_clock;
  // Whether it is time for another line; the last one is always shown.
  bool is_due(bool last);
  void print(const std::string& text, bool last);

  const TrainingUnits units_;
  const bool terminal_;
  bool open_line_ = false;
  Clock::time_point next_;
};

}  // namespace qing::serve::cli
