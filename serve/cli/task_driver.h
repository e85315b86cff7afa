// The course of a training of any task: what `qing train --task` and `qing pretrain` have in common.
#pragma once

#include <functional>
#include <memory>

#include <qing/optim/parallel/communicator.h>
#include <qing/serve/cli/training_command.h>
#include <qing/serve/tasks/task_training.h>

namespace qing::serve::cli {

/// Reads the data of a training. `speaks` is false for ranks other than rank 0, which print nothing.
using ReadTraining = std::function<std::unique_ptr<TaskTraining>(bool speaks)>;

/// Trains a model into the folder `out` and shows progress on stderr. run_directory.h lists the other files of the
/// folder. The first Ctrl-C saves a checkpoint and the model, and the function returns. The second kills the process.
/// Of several ranks, rank 0 does all this and the others only train. UsageError; errors of reading and of training.
void run_training(TrainingArguments& arguments, const ReadTraining& read, optim::Communicator* ranks);

}  // namespace qing::serve::cli
