#include "job_body.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/optim/classifier/replaced_options.h>
#include <qing/serve/common/json_text.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/jobs/cluster_wishes.h>
#include <qing/serve/jobs/job_runner.h>
#include <qing/serve/jobs/requested_options.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/tensor/errors.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

std::string text_member(const json::object& object, std::string_view name, size_t most, const Limits& limits) {
  const json::value* value = member(object, name);
  if (value == nullptr) return {};
  std::string text = text_of(*value, name, limits);
  if (text.size() > most) refuse_field(fmt::format("{}: has more than {} bytes", name, most));
  return text;
}

// OpenAI's limits. https://platform.openai.com/docs/api-reference/fine-tuning/create
std::string metadata_of(const json::object& object, const Limits& limits) {
  constexpr size_t kMost = 16, kKey = 64, kValue = 512;
  const json::value* value = member(object, "metadata");
  if (value == nullptr) return "{}";
  if (!value->is_object() || value->get_object().size() > kMost) {
    refuse_field(fmt::format("metadata: must be an object of at most {} members", kMost));
  }
  for (const auto& [key, text] : value->get_object()) {
    if (key.size() > kKey || text_of(text, "metadata", limits).size() > kValue) {
      refuse_field(fmt::format("metadata: a key has at most {} bytes and a value {}", kKey, kValue));
    }
  }
  return json::serialize(*value);
}

struct HyperparameterRange {
  std::string_view name;
  double low, high;
  bool whole;
};
constexpr HyperparameterRange kHyperparameters[] = {
    {"n_epochs", 1, 1000, true}, {"batch_size", 1, 4096, true}, {"learning_rate_multiplier", 1e-4, 1000, false}};

json::object hyperparameters_in(const json::object& object, std::string_view place) {
  check_members(object, place, {"n_epochs", "batch_size", "learning_rate_multiplier"});
  json::object all;
  for (const HyperparameterRange& range : kHyperparameters) {
    const json::value* value = member(object, range.name);
    if (value == nullptr || *value == "auto") {
      all[range.name] = "auto";
      continue;
    }
    const std::optional<std::int64_t> whole = integer_of(*value);
    const double number = value->is_number() ? value->to_number<double>() : 0;
    if ((range.whole && !whole) || !(number >= range.low && number <= range.high)) {
      refuse_field(fmt::format("{}: must be \"auto\" or a {}number from {} to {}", range.name,
                               range.whole ? "whole " : "", range.low, range.high));
    }
    range.whole ? all[range.name] = *whole : all[range.name] = number;
  }
  return all;
}

const json::object& object_in(const json::object& object, std::string_view name, const json::object& missing) {
  const json::value* value = member(object, name);
  if (value == nullptr) return missing;
  if (!value->is_object()) refuse_field(fmt::format("{}: must be an object", name));
  return value->get_object();
}

// From method.supervised.hyperparameters, or hyperparameters as older clients send them. Where both are given, they may
// not differ.
json::object hyperparameters_of(const json::object& object) {
  const json::object none;
  json::object older = hyperparameters_in(object_in(object, "hyperparameters", none), "hyperparameters");
  if (member(object, "method") == nullptr) return older;
  const json::object& method = object_in(object, "method", none);
  check_members(method, "method", {"type", "supervised"});
  if (const json::value* type = member(method, "type"); type != nullptr && *type != "supervised") {
    refuse_field("method: this service trains classifiers with the method \"supervised\" alone");
  }
  const json::object& supervised = object_in(method, "supervised", none);
  check_members(supervised, "method.supervised", {"hyperparameters"});
  json::object all =
      hyperparameters_in(object_in(supervised, "hyperparameters", none), "method.supervised.hyperparameters");
  for (const auto& [name, value] : older) {
    if (value == "auto" || value == all.at(name)) continue;
    const std::string_view shown(name.data(), name.size());
    refuse_field(fmt::format("hyperparameters: {} differs in method.supervised.hyperparameters; give it once", shown));
  }
  return all;
}

// Options of `qing train` among the members of a body, each as the texts of its values.
json::object options_of(const json::object& object, const std::vector<std::string_view>& other_members,
                        const JobOptions& server) {
  json::object options;
  for (const auto& [key, value] : object) {
    std::string name(key);
    if (value.is_null() || std::ranges::find(other_members, name) != other_members.end()) continue;
    std::ranges::replace(name, '-', '_');  // both forms are taken
    try {
      if (name == kSearchOption) {
        options[name] = json::value_from(search_texts(value));
        continue;
      }
      if (name == kSlurmOption || name == kKubernetesOption) {
        options[name] = json::value_from(cluster_texts(name, value, server));
        continue;
      }
      const optim::TrainOption* const option = requested_option(name);
      if (option == nullptr && !is_run_option(name) && !is_file_option(name)) {
        // Refuses the name in the usual words.
        check_members(json::object{{key, value}}, "", {"training_file", "model", "options of qing train"});
      }
      std::string given = option == nullptr ? name : option->option_name();
      std::ranges::replace(given, '_', '-');
      options[given] = json::value_from(option != nullptr     ? option_texts(*option, value)
                                        : is_run_option(name) ? run_option_texts(name, value)
                                                              : file_option_texts(name, value));
    } catch (const ValueError& error) { refuse_field(error.what()); }
  }
  for (const std::string_view cluster : {kSlurmOption, kKubernetesOption}) {
    const json::value* given = options.if_contains(cluster);
    if (given == nullptr || !options.contains(kSearchOption)) continue;
    if (!given->at(0).as_string().empty() && given->at(0) != "1") {
      refuse_field(fmt::format("search: its trainings have one rank; leave ranks of {} out, or search", cluster));
    }
  }
  return options;
}

}  // namespace

NewJob read_new_job(const Service& service, const std::string& body, const std::string& key, bool all_options) {
  const Limits& limits = service.limits();
  const json::value parsed = parse_json(body, limits);
  const json::object& object = as_object(parsed, R"({"model": "scratch", "training_file": "file-..."})");
  const std::vector<std::string_view> known = {"model",    "training_file",   "validation_file", "suffix",      "seed",
                                               "metadata", "hyperparameters", "method",          "integrations"};
  NewJob made;
  TrainingJob& job = made.job;
  json::object options;
  if (all_options) {
    options = options_of(object, known, service.jobs() == nullptr ? JobOptions{} : service.jobs()->options());
    job.options = json_text(options);
  } else {
    check_members(object, "",
                  {"model", "training_file", "validation_file", "suffix", "seed", "metadata", "hyperparameters",
                   "method", "integrations"});
  }
  const json::value* integrations = member(object, "integrations");
  if (integrations != nullptr && !(integrations->is_array() && integrations->get_array().empty())) {
    refuse_field("integrations: this service has none");
  }
  const std::string base = text_member(object, "model", 128, limits);
  if (base.empty()) refuse_field("model: is missing; name a model that is served, or \"scratch\"");
  job.training_file = text_member(object, "training_file", 64, limits);
  if (job.training_file.empty()) refuse_field("training_file: is missing; give the id of a file");
  job.validation_file = text_member(object, "validation_file", 64, limits);
  made.suffix = text_member(object, "suffix", 64, limits);
  job.metadata = metadata_of(object, limits);
  job.hyperparameters = json_text(hyperparameters_of(object));
  job.seed = 42;
  if (const json::value* seed = member(object, "seed")) {
    const std::optional<std::int64_t> number = integer_of(*seed);
    if (!number || *number < 0) refuse_field("seed: must be a whole number of at least 0");
    job.seed = *number;
  }
  job.base = base;
  nn::Problem of_base = nn::Problem::single_label;
  if (base != TrainingJob::kScratch) {
    const Model model = service.model(base, key);
    job.base = model.name;
    job.base_version = model.version;
    if (service.registry().folder_of(model.name, model.version).empty()) {
      refuse_field("model: has no files to begin with; take another one");
    }
    of_base = model.classifier->problem();
    for (const std::string_view name : optim::kReplacedByModel) {
      if (!options.contains(name)) continue;
      refuse_field(fmt::format("{}: is that of the model to fine-tune; leave it out, or train from \"scratch\"", name));
    }
  }
  try {
    check_together(options, of_base);
  } catch (const ValueError& error) { refuse_field(error.what()); }
  job.project = service.project(key);
  made.request = sha256_of_bytes(json::serialize(parsed));
  return made;
}

}  // namespace qing::serve::protocols
