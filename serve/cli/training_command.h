// What the commands that train have in common: `qing train`, for any task, and `qing pretrain`.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_texts.h>
#include <qing/optim/classifier/train_options.h>
#include <qing/optim/training/training_run.h>
#include <qing/serve/cli/table_options.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/runs/data_files.h>
#include <qing/serve/runs/run_directory.h>
#include <qing/serve/runs/settings.h>
#include <qing/serve/runs/training_units.h>

namespace qing::serve::cli {

struct TrainingArguments {
  std::string command;    ///< "train"
  std::string task = {};  ///< as --task has it; empty for commands without it
  std::vector<std::filesystem::path> data, dev;
  TableArguments table = {};               ///< how the files are read
  optim::TrainOptions options = {};        ///< as the command line gives them
  int64_t eval_every = 0, early_stop = 0;  ///< steps, evaluations
  int64_t checkpoint_every = 0;            ///< steps
  int64_t threads = 0;                     ///< 0: as many as the engine chooses
  std::filesystem::path out;
  std::filesystem::path config = {};
  bool resume = false, overwrite = false, json = false;
  TrainingUnits units = {};
  bool evaluates = false;  ///< on dev sets, those of --dev or others
  Settings settings = {};  ///< all of the above that a configuration file may hold
};

inline constexpr const char* kInterruptNotice =
    "\nqing: stopping: the checkpoint and the model will be written after this step; Ctrl-C again stops at once\n";

/// An option that takes files and may be repeated.
void add_file_option(CLI::App& command, const char* name, std::vector<std::filesystem::path>& files, const char* about);
/// --out, --config, the options of the table that are for the recipe, and those of the run. `score` says what
/// evaluations compare.
void add_training_options(CLI::App& command, TrainingArguments& arguments, optim::OptionUse recipe, const char* score);
/// Reads the options of --config, and those of the training to resume. The command line overrides both. For several
/// processes --chunks is not 0. UsageError without --data or --out, and for several processes that would resume a
/// training that was begun without chunks.
void read_configs(CLI::App& command, TrainingArguments& arguments);

/// UsageError for options that contradict each other.
void check_training(const TrainingArguments& arguments);
/// UsageError for options of evaluations without a dev set.
void check_evaluations(const TrainingArguments& arguments);
/// Warns of dev texts that are also trained on, because scores on them are too high.
void warn_of_overlap(std::span<const nn::Example> examples, const std::vector<LabelledFile>& dev);
std::vector<DataFile> files_of(const std::vector<LabelledFile>& files);
Begin begin_of(const TrainingArguments& arguments);
/// "N texts of 2 files, 2 layers of width 128": what is trained on, and which encoder.
std::string about_texts(const TrainingArguments& arguments, size_t texts);
/// `about` says what is trained on.
void say_where_it_begins(const TrainingArguments& arguments, const RunDirectory& run, const std::string& about);
/// The checkpoints and the evaluations, without `evaluate`.
optim::RunOptions run_options(const TrainingArguments& arguments, const RunDirectory& run);
/// Says how the training ended, on stderr, and prints the loss and the speed. `best` says which model is kept, such as
/// "macro-recall 0.9123 at step 30"; empty without evaluations. With --json it prints an object, to which `more` may
/// add members.
void report(const TrainingArguments& arguments, const optim::TrainResult& result, const std::string& best,
            const std::function<void(JsonWriter&)>& more = {});

}  // namespace qing::serve::cli
