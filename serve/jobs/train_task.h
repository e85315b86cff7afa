// What a job's worker does before and after `qing train`: the data and options of the training, and its results.
#pragma once

#include <qing/serve/jobs/training_job.h>

namespace qing::serve {

/// Reads the files of the job's task and writes train.toml, the data and plan.json into its folder:
/// - data.jsonl and dev.jsonl (job_texts.h).
/// - base/NAME, a copy of the model to begin with.
/// - hyperparameters that are "auto", by the number of texts.
/// DataError or ValueError when the files or options are not fit to train on; IoError.
void prepare_training(const JobFolder& folder);

/// Writes results.csv, the model's manifest and outcome.json, and removes what only a resumed training needs. Does
/// nothing if it was done. IoError, DataError.
void finish_training(const JobFolder& folder);

}  // namespace qing::serve
