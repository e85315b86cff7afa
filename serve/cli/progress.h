// The progress of training on stderr: a bar on a terminal, plain lines elsewhere.
#pragma once

#include <chrono>

#include <qing/optim/classifier/train_classifier.h>

namespace qing::serve::cli {

class ProgressDisplay {
 public:
  ProgressDisplay();
  void show(const optim::Progress& progress);
  /// Ends the line of the bar, so that the next output starts on a new line.
  void end_line();

 private:
  using Clock = std::chrono::steady_clock;
  const bool terminal_;
  bool open_line_ = false;
  Clock::time_point next_;
};

}  // namespace qing::serve::cli
