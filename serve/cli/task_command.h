// `qing train --task NAME` for the tasks of serve/tasks.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include <qing/serve/cli/command_line.h>
#include <qing/serve/tasks/task.h>

namespace qing::serve::cli {

/// The task that a command line of `qing train` chooses, before its options are known: by --task, by the file of
/// --config, or by the training that --resume continues. Null for classification, for other commands and for a name
/// that no task has, which the option refuses.
const Task* chosen_task(const CommandLine& line);
/// --task. `name` holds the default and must outlive the command.
void add_task_option(CLI::App& command, std::string& name);
/// The options of a task's training, and what they do.
void add_task_training(CommandLine& line, CLI::App& command, const Task& task);

}  // namespace qing::serve::cli
