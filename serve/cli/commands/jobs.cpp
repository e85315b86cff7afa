// `qing jobs`: the training jobs of a server.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <qing/serve/cli/answer_text.h>
#include <qing/serve/cli/client_options.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/number_from.h>
#include <qing/serve/cli/server_lost.h>
#include <qing/serve/common/characters.h>
#include <qing/serve/common/json_text.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/list_text.h>
#include <qing/tensor/errors.h>

namespace qing::serve::cli {
namespace {

namespace json = boost::json;

struct JobsArguments {
  ClientArguments client;
  std::string id, training_file, validation_file, model = "scratch", suffix;
  std::vector<std::string> options;  ///< NAME=VALUE
  std::string runner, partition;     ///< empty: the server's
  int64_t ranks = 0, minutes = 0;    ///< of a cluster; 0: the server's
  int64_t patience = 300;            ///< seconds without the server
  bool json = false;
};

constexpr std::chrono::milliseconds kAskTime{500};

std::string steps_of(const json::object& job) {
  const json::value* progress = job.if_contains("progress");
  if (progress == nullptr || !progress->is_object()) return "-";
  return fmt::format("{}/{}", text_of(progress->get_object(), "step"), text_of(progress->get_object(), "steps"));
}

void print_job(const json::object& job, bool as_json) {
  if (as_json) return print_line(json_text(job));
  for (const char* name : {"id", "status", "model", "fine_tuned_model", "training_file", "validation_file", "seed",
                           "hyperparameters", "options", "metadata", "trained_tokens", "result_files"}) {
    print_line(fmt::format("{:<16} {}", name, text_of(job, name)));
  }
  print_line(fmt::format("{:<16} {}", "steps", steps_of(job)));
  for (const char* name : {"created_at", "estimated_finish", "finished_at"}) {
    print_line(fmt::format("{:<16} {}", name, moment_of(job, name)));
  }
  if (const json::value* error = job.if_contains("error"); error != nullptr && error->is_object()) {
    print_line(fmt::format("{:<16} {}: {}", "error", text_of(error->get_object(), "code"),
                           text_of(error->get_object(), "message")));
  }
}

// An id becomes a part of a path.
std::string path_of(const JobsArguments& a) {
  if (a.id.empty() || !has_only(a.id, is_alphanumeric, "-_")) {
    throw UsageError("id: give the id of a job, such as qing jobs list shows");
  }
  return "/v1/jobs/" + a.id;
}

// A number where it reads as one, a list where it has commas (list_text.h), else a text.
json::value value_of(const std::string& text) {
  boost::system::error_code error;
  if (json::value parsed = json::parse(text, error); !error && parsed.is_number()) return parsed;
  if (text.find(',') == text.npos) return json::value(text);
  json::array list;
  for (const std::string& one : list_items(text)) list.emplace_back(one);
  return list.size() == 1 ? list.front() : json::value(list);
}

// What a cluster is asked for. Nothing for the server's own choice.
void add_cluster(const JobsArguments& a, json::object& body) {
  const bool asks = a.ranks > 0 || a.minutes > 0 || !a.partition.empty();
  if (asks && a.runner.empty()) {
    throw UsageError("--ranks, --partition and --minutes need --runner slurm or --runner kubernetes");
  }
  if (!a.partition.empty() && a.runner != "slurm") throw UsageError("--partition needs --runner slurm");
  if (a.runner.empty()) return;
  json::object wishes;
  if (a.ranks > 0) wishes["ranks"] = a.ranks;
  if (a.minutes > 0) wishes["minutes"] = a.minutes;
  if (!a.partition.empty()) wishes["partition"] = a.partition;
  body[a.runner] = std::move(wishes);
}

void run_create(const JobsArguments& a) {
  json::object body{{"model", a.model}, {"training_file", a.training_file}};
  if (!a.validation_file.empty()) body["validation_file"] = a.validation_file;
  if (!a.suffix.empty()) body["suffix"] = a.suffix;
  add_cluster(a, body);
  for (const std::string& option : a.options) {
    const size_t equals = option.find('=');
    if (equals == option.npos || equals == 0)
      throw UsageError("--set " + option + ": write NAME=VALUE, such as epochs=3");
    body[option.substr(0, equals)] = value_of(option.substr(equals + 1));
  }
  print_job(object_of("qing jobs", client_of(a.client).request("POST", "/v1/jobs", json::serialize(body))), a.json);
}

// Every entry of a list by pages.
void for_each(const Client& client, const std::string& path, const std::function<void(const json::object&)>& use) {
  std::string after;
  for (bool more = true; more;) {
    const json::object page =
        object_of("qing jobs", client.request("GET", path + "?limit=100" + (after.empty() ? "" : "&after=" + after)));
    const json::value* data = page.if_contains("data");
    const json::value* has_more = page.if_contains("has_more");
    if (data == nullptr || !data->is_array() || has_more == nullptr) {
      throw IoError("qing jobs: the answer has no list; check that a qing service runs there");
    }
    for (const json::value& entry : data->get_array()) {
      after = text_of(entry.as_object(), "id");
      use(entry.as_object());
    }
    more = *has_more == true && !data->get_array().empty();
  }
}

void run_jobs_list(const JobsArguments& a) {
  constexpr const char* kRow = "{:<31} {:<16} {:<21} {:>13}  {:<20} {}";
  if (!a.json) print_line(fmt::format(fmt::runtime(kRow), "id", "status", "created", "steps", "model", "result"));
  for_each(client_of(a.client), "/v1/jobs", [&](const json::object& job) {
    print_line(a.json ? json_text(job)
                      : fmt::format(fmt::runtime(kRow), text_of(job, "id"), text_of(job, "status"),
                                    moment_of(job, "created_at"), steps_of(job), text_of(job, "model"),
                                    text_of(job, "fine_tuned_model")));
  });
}

void run_jobs_show(const JobsArguments& a) {
  print_job(object_of("qing jobs", client_of(a.client).request("GET", path_of(a))), a.json);
}

void change(const JobsArguments& a, const char* verb) {
  const std::string answer = client_of(a.client).request("POST", path_of(a) + "/" + verb, "{}");
  print_job(object_of("qing jobs", answer), a.json);
}

// The oldest first.
void run_events(const JobsArguments& a) {
  std::vector<json::object> events;
  for_each(client_of(a.client), path_of(a) + "/events", [&](const json::object& event) { events.push_back(event); });
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    print_line(a.json ? json_text(*event)
                      : fmt::format("{}  {:<5}  {}", moment_of(*event, "created_at"), text_of(*event, "level"),
                                    text_of(*event, "message")));
  }
}

// Whether the server may answer again soon: it cannot be reached, or it starts, stops or has too much to do.
bool may_return(const ServiceError& error) {
  return error.status() == 429 || (error.status() >= 502 && error.status() <= 504);
}

// Asks again for a job of which the server has answered before. It may be away for --patience seconds, such as for a
// restart.
std::string ask_again(const Client& client, const JobsArguments& a) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::seconds(a.patience);
  for (bool told = false;; told = true) {
    std::string reason;
    try {
      return client.request("GET", path_of(a));
    } catch (const ServiceError& error) {
      if (!may_return(error)) throw;
      reason = error.what();
    } catch (const IoError& error) { reason = error.what(); }
    if (Clock::now() >= end) {
      throw ServerLost(fmt::format("{}. The job may still run: qing jobs wait {} goes on waiting", reason, a.id));
    }
    if (!told) fmt::print(stderr, "{}; asking again for {} s\n", reason, a.patience);
    std::this_thread::sleep_for(kAskTime);
  }
}

void run_wait(const JobsArguments& a) {
  const Client client = client_of(a.client);
  std::string before;
  for (std::string answer = client.request("GET", path_of(a));; answer = ask_again(client, a)) {
    const json::object job = object_of("qing jobs", answer);
    const std::string status = text_of(job, "status"), line = fmt::format("{}  step {}", status, steps_of(job));
    if (line != before) fmt::print(stderr, "{}\n", line);
    before = line;
    if (status == "succeeded") return print_job(job, a.json);
    if (status == "failed" || status == "cancelled" || status == "paused") {
      print_job(job, a.json);
      flush_output();
      throw IoError(fmt::format("job {} is {}", a.id, status));
    }
    std::this_thread::sleep_for(kAskTime);
  }
}

}  // namespace

void add_jobs(CommandLine& line) {
  const auto a = std::make_shared<JobsArguments>();
  CLI::App* jobs = line.app.add_subcommand("jobs", "Train models on a server, from uploaded files");
  jobs->require_subcommand(1);
  const auto add = [&](const char* name, const char* about, const std::function<void(const JobsArguments&)>& run,
                       bool with_id = true) {
    CLI::App* command = jobs->add_subcommand(name, about);
    add_client(command, a->client);
    if (with_id) command->add_option("id", a->id, "Job ID")->required();
    command->add_flag("--json", a->json, "Print JSON objects");
    command->callback([&line, a, run] { line.run = [a, run] { run(*a); }; });
    return command;
  };
  CLI::App* create = add("create", "Make a job", run_create, false);
  create->add_option("--training-file", a->training_file, "ID of the file to train on")->required();
  create->add_option("--validation-file", a->validation_file,
                     "ID of the file to validate on. Without it a tenth of the training texts validates");
  create->add_option("--model", a->model, "Name of the served model to fine-tune, or scratch")->capture_default_str();
  create->add_option("--suffix", a->suffix, "Part of the new model's name");
  create
      ->add_option(
          "--runner", a->runner,
          "Runner that the training needs, slurm or kubernetes. A server with another --job-runner refuses it. The "
          "default is the server's")
      ->check(CLI::IsMember({"slurm", "kubernetes"}))
      ->type_name("RUNNER");
  create->add_option("--ranks", a->ranks, "Number of ranks of a training on a cluster")->check(number_from(1, 1024));
  create->add_option("--partition", a->partition, "Slurm partition, one of those that the server allows");
  create->add_option("--minutes", a->minutes, "Time limit on a cluster in minutes")->check(number_from(1, 1e6));
  create
      ->add_option("--set", a->options,
                   "Option of qing train as NAME=VALUE, such as epochs=3. Repeat it for several options")
      ->allow_extra_args(false);
  add("list", "List the jobs, the newest first", run_jobs_list, false);
  add("show", "Show a job", run_jobs_show);
  add("cancel", "End a job for good", [](const JobsArguments& b) { change(b, "cancel"); });
  add("pause", "Stop a job at a checkpoint", [](const JobsArguments& b) { change(b, "pause"); });
  add("resume", "Go on with a paused job", [](const JobsArguments& b) { change(b, "resume"); });
  add("events", "Show what happened to a job", run_events);
  CLI::App* wait = add("wait", "Wait for the end of a job", run_wait);
  wait->add_option("--patience", a->patience,
                   "Time in seconds that a server which has answered may be away, such as for a restart")
      ->capture_default_str()
      ->check(number_from(0, 1e6));
  wait->footer("Exit codes: 0 the job succeeded, 1 it failed, was cancelled or is paused, 3 the server was lost.");
}

}  // namespace qing::serve::cli
