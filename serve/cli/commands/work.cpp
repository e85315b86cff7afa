// `qing work`, which a server starts for each stage of a job. It is no command for people, so that the help is silent
// about it.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/optim/parallel/launch.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/training_ranks.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/jobs/cluster_record.h>
#include <qing/serve/jobs/json_object_file.h>
#include <qing/serve/jobs/setting_search.h>
#include <qing/serve/jobs/task_error.h>
#include <qing/serve/jobs/train_task.h>
#include <qing/serve/jobs/worker_process.h>
#include <qing/serve/runs/metrics_log.h>
#include <qing/serve/runs/run_record.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/folders.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

struct WorkArguments {
  std::string stage;
  std::filesystem::path folder;
  pid_t parent = 0;
  bool detached = false;           ///< on a node of a cluster, without the server
  std::filesystem::path log = {};  ///< of a detached worker; empty: its launcher's
  std::string cluster_job = {};    ///< that a detached worker belongs to; empty: that of Slurm
  WorkerLimits limits;
};

// Of a training with several ranks, rank 0 writes the results.
bool is_first_rank() {
  const std::optional<optim::Launch> launch = optim::launch();
  return !launch || launch->rank == 0;
}

// `qing train` with these arguments, in this process.
void run_command(std::vector<std::string> words) {
  CLI::App app{"", "qing"};
  CommandLine line{.app = app, .arguments = {words.begin() + 1, words.end()}, .after_dashes = {}, .run = {}};
  add_commands(line);
  std::vector<char*> pointers;
  pointers.reserve(words.size());
  for (std::string& word : words) pointers.push_back(word.data());
  try {
    app.parse(static_cast<int>(pointers.size()), pointers.data());
  } catch (const CLI::ParseError& error) { throw UsageError(error.what()); }
  line.run();
}

// A training in this process, with options beside those of the job. Returns false when a signal has stopped it at a
// checkpoint.
bool run_training(const std::string& out, size_t threads, const std::vector<std::string>& more) {
  std::vector<std::string> words = {"qing",  "train", "--config",  "train.toml",           "--resume",
                                    "--out", out,     "--threads", std::to_string(threads)};
  words.insert(words.end(), more.begin(), more.end());
  run_command(std::move(words));
  return !is_first_rank() || read_record(std::filesystem::path(out) / "run/run.json").state == "finished";
}

std::vector<std::string> options_of(const SearchSetting& setting, double lr) {
  return {"--lr", fmt::format("{}", lr * setting.lr_factor), "--dropout", fmt::format("{}", setting.dropout)};
}

// Tries settings on a part of the steps. Scores are recorded one by one, so that a killed search goes on. Nothing when
// a signal has stopped it; no options when the job has no search.
std::optional<std::vector<std::string>> searched_options(const JobFolder& folder, size_t threads) {
  namespace json = boost::json;
  const json::object plan = read_object_file(folder.plan());
  const json::value* search = plan.if_contains("search");
  if (search == nullptr) return std::vector<std::string>();
  if (const std::optional<optim::Launch> launch = optim::launch(); launch && launch->size > 1) {
    throw TaskError(
        {"search_with_ranks", "A search trains with one rank. Leave it out, or ask for one rank.", "search"});
  }
  const double lr = search->at("lr").to_number<double>();
  json::object scores;
  if (is_there(folder.search())) scores = read_object_file(folder.search());
  struct Stopped {};
  const auto score = [&](size_t number, std::int64_t steps) {
    const std::string name = fmt::format("{}:{}", number, steps);
    if (!scores.contains(name)) {
      std::vector<std::string> more = options_of(kSearchSettings[number], lr);
      more.insert(more.end(), {"--max-steps", std::to_string(steps)});
      const std::string out = fmt::format("search/{}-{}", number, steps);
      if (!run_training(out, threads, more)) throw Stopped();
      double best = std::numeric_limits<double>::lowest();  // scores of losses are negative, and JSON has no infinity
      for (const EvaluationPoint& point : read_metrics(std::filesystem::path(out) / "run/metrics.jsonl").evaluations) {
        best = std::max(best, point.score);
      }
      remove_tree(out);
      scores[name] = best;
      write_file_atomically(folder.search(), json::serialize(scores));
    }
    return scores.at(name).to_number<double>();
  };
  try {
    const size_t best = successive_halving(search->at("settings").to_number<size_t>(),
                                           search->at("steps").to_number<std::int64_t>(), score);
    return options_of(kSearchSettings[best], lr);
  } catch (const Stopped&) { return std::nullopt; }
}

// Returns false when a signal has stopped the training.
bool train(const JobFolder& folder, size_t threads) {
  if (!is_there(folder.outcome())) {
    const auto searched = searched_options(folder, threads);
    if (!searched || !run_training("model", threads, *searched)) return false;
  }
  if (!is_first_rank()) return true;
  finish_training(folder);
  return true;
}

int fail(const JobFolder& folder, const JobError& why, int code, const char* details) {
  std::fprintf(stderr, "qing: error: %s\n", details);
  const boost::json::object error{{"code", why.code}, {"message", why.message}, {"param", why.param}};
  write_file_atomically(folder.error(), boost::json::serialize(error));
  return code;
}

// Records why a stage has failed, in the handler of its error. Returns the exit code.
int settle_error(const JobFolder& folder) {
  try {
    throw;
  } catch (const TaskError& error) {
    return fail(folder, error.why(), kWorkerFailed, error.what());
  } catch (const IoError& error) {
    // Its text holds paths.
    return fail(folder, {"storage_error", "The server could not read or write a file of this job.", {}}, kWorkerFaulted,
                error.what());
  } catch (const std::bad_alloc& error) {
    return fail(folder,
                {"memory_limit",
                 "The training needs more memory than a job may use on this server. Use a smaller batch size, shorter "
                 "texts (max_length) or a smaller model.",
                 {}},
                kWorkerFailed, error.what());
  } catch (const Error& error) {
    return fail(folder, {"training_failed", error.what(), {}}, kWorkerFailed, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return fail(folder, {"storage_error", "The server could not read or write a file of this job.", {}}, kWorkerFaulted,
                error.what());
  }
}

// Throws what is no error of a job.
int run_stage(const WorkArguments& arguments, const JobFolder& folder) {
  const size_t cores = arguments.limits.cores, usable = static_cast<size_t>(num_threads());
  // The ranks of a node divide its CPUs among them.
  const size_t threads = cores > 0 || arguments.detached ? cores : usable > 1 ? usable - 1 : 1;
  if (threads > 0) set_num_threads(static_cast<int>(threads));
  try {
    if (arguments.stage == "prepare") {
      prepare_training(folder);
      return kWorkerDone;
    }
    return train(folder, threads) ? kWorkerDone : kWorkerStopped;
  } catch (...) { return settle_error(folder); }
}

// What a worker prints may hold texts of users. It goes to a file of the job, which is theirs alone, and to no log of a
// cluster.
void print_to(const std::filesystem::path& log) {
  const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) throw IoError(fmt::format("{}: cannot be opened: {}", log.string(), std::strerror(errno)));
  ::dup2(file, STDOUT_FILENO);
  ::dup2(file, STDERR_FILENO);
  ::close(file);
}

int work(const WorkArguments& arguments) {
  if (arguments.detached) {
    ::umask(0077);
    if (!arguments.log.empty()) print_to(arguments.log);
  } else {
    limit_worker(arguments.limits, arguments.parent);
  }
  // Relative names keep the server's paths out of messages, the model's card and its records.
  std::filesystem::current_path(arguments.folder);
  const JobFolder folder(std::filesystem::path("."));
  if (!arguments.detached) return run_stage(arguments, folder);
  on_rank_failure([folder, id = arguments.cluster_job] {
    const int code = settle_error(folder);
    record_end(folder, code, id);
    return code;
  });
  const int code = run_stage(arguments, folder);
  if (code != kWorkerDone || is_first_rank()) record_end(folder, code, arguments.cluster_job);
  return code;
}

}  // namespace

void add_work(CommandLine& line) {
  const auto a = std::make_shared<WorkArguments>();
  CLI::App* command = line.app.add_subcommand("work", "Work on a job of a server")->group("");
  command->add_option("stage", a->stage, "prepare or train")->required()->check(CLI::IsMember({"prepare", "train"}));
  command->add_option("--folder", a->folder, "Folder of the job")->required();
  command->add_option("--parent", a->parent, "Process of the server");
  command->add_flag("--detached", a->detached, "Work on a node of a cluster, without the server's process");
  command->add_option("--log", a->log, "File to which a detached worker appends what it prints");
  command->add_option("--cluster-job", a->cluster_job, "Job of the cluster to which a detached worker belongs");
  command->add_option("--cores", a->limits.cores, "Number of threads. 0 means all CPUs but one");
  command->add_option("--memory", a->limits.memory_mib, "Address space in MiB. 0 means half of the memory");
  command->callback([&line, a] {
    line.run = [a] {
      const int code = work(*a);
      flush_output();
      std::fflush(stderr);
      if (code != kWorkerDone) ::_exit(code);
    };
  });
}

}  // namespace qing::serve::cli
