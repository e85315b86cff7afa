// `qing train --tune MINUTES`: a search for the options of a training within a time limit.
#pragma once

#include <string>
#include <vector>

#include <qing/optim/training/training_run.h>
#include <qing/serve/cli/classifier_run.h>
#include <qing/serve/runs/run_directory.h>
#include <qing/serve/runs/tuning.h>

namespace qing::serve::cli {

struct OptionSearch {
  std::vector<Trial> trials;
  Trial best;
  optim::TrainResult result;  ///< of the best trial
  bool stopped = false;       ///< by Ctrl-C
  std::string told;           ///< one sentence for the model's card
};

/// Trains one trial after another on the texts and compares them on the dev sets by arguments.best. A trial begins only
/// when it is likely to end in time, and the first one is cut when it does not. Each is listed on stderr and in
/// run/trials.jsonl. The model, the metrics and the checkpoint of the best become those of the run, and its options the
/// run's. The first Ctrl-C ends the search with what it has found. Error when nothing was evaluated; errors of
/// train_classifier().
OptionSearch search_options(const TrainArguments& arguments, const optim::TrainOptions& options, RunDirectory& run,
                            const TrainingTexts& texts);

}  // namespace qing::serve::cli
