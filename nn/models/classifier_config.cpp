#include <qing/nn/models/classifier_config.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/encoder_config_json.h>
#include <qing/nn/models/label_names.h>
#include <qing/nn/models/task_config.h>
#include <qing/nn/models/task_model.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

constexpr std::string_view kNgramArchitecture = "QingBertNgramsForSequenceClassification";

// Counts of a DataProfile; what they mean is for validate().
std::optional<DataProfile> read_profile(const ConfigReader& reader, std::string_view field) {
  const json::value* value = reader.find(field);
  if (value == nullptr) return std::nullopt;
  const auto count = [&](const json::value* number) {
    if (number == nullptr || !number->is_int64()) {
      reader.fail(fmt::format("{}: needs integers tokens and unknown_tokens and an array of integers, labels", field));
    }
    return number->get_int64();
  };
  const json::object* object = value->if_object();
  const json::value* labels = object == nullptr ? nullptr : object->if_contains("labels");
  if (labels == nullptr || !labels->is_array()) count(nullptr);
  DataProfile profile{.tokens = count(object->if_contains("tokens")),
                      .unknown_tokens = count(object->if_contains("unknown_tokens")),
                      .labels = {}};
  for (const json::value& label : labels->get_array()) profile.labels.push_back(count(&label));
  return profile;
}

// The family, and whether the model has an n-gram head. Older files of qing say so beside the type "bert".
std::pair<EncoderFamily, bool> read_family_and_head(const ConfigReader& reader) {
  const bool own = reader.text("model_type", "") == kNgramType;
  const EncoderFamily family = read_family(reader);
  bool head = own;
  reader.optional("ngram_head", head);
  if (own && !head) {
    reader.fail(fmt::format("ngram_head: is false, but a model of the type \"{}\" has one", kNgramType));
  }
  if (head && family != EncoderFamily::bert) reader.fail("ngram_head: is true, but only BERT's encoder has one");
  return {family, head};
}

// The fewest labels that a classifier of the kind may have.
size_t fewest_labels(Problem problem) {
  return problem == Problem::multi_label || problem == Problem::regression ? 1 : 2;
}

std::vector<std::string> numbered_labels(const ConfigReader& reader, Problem problem) {
  constexpr int64_t kMost = 1 << 16;  // a few bytes of a file may not ask for any amount of memory
  const auto fewest = static_cast<int64_t>(fewest_labels(problem));
  int64_t count = 2;
  reader.optional("num_labels", count);
  if (count < fewest || count > kMost) {
    reader.fail(fmt::format("num_labels: {} is outside [{}, {}]", count, fewest, kMost));
  }
  std::vector<std::string> result;
  for (int64_t i = 0; i < count; ++i) result.push_back(fmt::format("LABEL_{}", i));
  return result;
}

// Without names they are numbered, two unless num_labels says how many, as transformers has it.
std::vector<std::string> read_labels(const ConfigReader& reader, Problem problem) {
  const json::value* value = reader.find("id2label");
  if (value == nullptr) return numbered_labels(reader, problem);
  if (!value->is_object() || value->get_object().empty()) reader.fail("id2label: needs an object of labels");
  const json::object& map = value->get_object();
  std::vector<std::string> result;
  for (size_t i = 0; i < map.size(); ++i) {
    const json::value* label = map.if_contains(std::to_string(i));
    if (label == nullptr || !label->is_string()) {
      reader.fail(fmt::format("id2label: no label for \"{}\"; its {} ids must be \"0\" to \"{}\", each with a name", i,
                              map.size(), map.size() - 1));
    }
    result.emplace_back(label->get_string());
  }
  return result;
}

// label2id is id2label the other way round; it may leave labels out. transformers writes LABEL_0, LABEL_1, ... where
// nobody has set it.
void check_label2id(const ConfigReader& reader) {
  const json::value* value = reader.find("label2id");
  const json::value* id2label = reader.find("id2label");
  if (value == nullptr || id2label == nullptr) return;
  if (!value->is_object()) reader.fail("label2id: needs an object of ids");
  const json::object& map = value->get_object();
  const auto id_of = [](const json::value& id) {
    return id.is_string() ? std::string(id.get_string()) : json::serialize(id);
  };
  const auto is_default = [&](const auto& entry) {
    return std::string_view(entry.key()) == "LABEL_" + id_of(entry.value());
  };
  if (std::ranges::all_of(map, is_default)) return;
  for (const auto& entry : map) {
    const std::string name(entry.key());
    const std::string id = id_of(entry.value());
    const json::value* other = id2label->get_object().if_contains(id);
    if (other != nullptr && other->get_string() == name) continue;
    reader.fail(fmt::format("label2id: '{}' is {}, {}; make the two agree", name, id,
                            other == nullptr
                                ? "and id2label has no " + id
                                : fmt::format("but id2label calls {} '{}'", id, std::string(other->get_string()))));
  }
}

// Nothing for a kind of head that qing does not know.
std::optional<Problem> problem_of(const ConfigReader& reader) {
  const json::value* type = reader.find("problem_type");
  bool ordinal = false;
  reader.optional("ordinal", ordinal);
  if (type == nullptr) return ordinal ? Problem::ordinal : Problem::single_label;
  for (const Problem problem : {Problem::single_label, Problem::multi_label, Problem::regression}) {
    if (!type->is_string() || type->get_string() != problem_type_of(problem)) continue;
    return ordinal && problem == Problem::single_label ? Problem::ordinal : problem;
  }
  return std::nullopt;
}

std::vector<double> read_thresholds(const ConfigReader& reader) {
  const json::value* value = reader.find("thresholds");
  std::vector<double> thresholds;
  if (value == nullptr) return thresholds;
  if (!value->is_array()) reader.fail("thresholds: needs an array of numbers");
  for (const json::value& one : value->get_array()) {
    if (!one.is_number()) reader.fail("thresholds: needs an array of numbers");
    thresholds.push_back(one.to_number<double>());
  }
  return thresholds;
}

void check_thresholds(const std::vector<double>& thresholds, Problem problem, size_t labels) {
  if (thresholds.empty()) return;
  if (problem != Problem::multi_label) {
    throw ValueError(fmt::format("thresholds: a {} model has none; leave them out", name_of(problem)));
  }
  if (thresholds.size() != labels) {
    throw ValueError(fmt::format("thresholds: {} for {} labels; give one each, or none", thresholds.size(), labels));
  }
  for (const double threshold : thresholds) {
    if (threshold > 0 && threshold < 1) continue;
    throw ValueError(fmt::format("thresholds: {} is outside (0, 1)", threshold));
  }
}

// Whether the head is none that qing computes, so that nothing of it can be kept.
bool has_foreign_head(const ConfigReader& reader) {
  if (task_in(reader) != kClassification) return true;
  const std::optional<Problem> problem = problem_of(reader);
  if (!problem) return true;
  const json::value* labels = reader.find("id2label");
  if (labels == nullptr) {
    int64_t count = 2;
    reader.optional("num_labels", count);
    return count < static_cast<int64_t>(fewest_labels(*problem));
  }
  if (!labels->is_object()) return false;
  std::vector<std::string> names;
  for (const auto& entry : labels->get_object()) {
    if (entry.value().is_string()) names.emplace_back(entry.value().get_string());
  }
  try {
    check_label_names(names);
  } catch (const ValueError&) { return true; }
  return labels->get_object().size() < fewest_labels(*problem);
}

void write_labels(const std::vector<std::string>& labels, json::object& config) {
  json::object id2label, label2id;
  for (size_t i = 0; i < labels.size(); ++i) {
    id2label[std::to_string(i)] = labels[i];
    label2id[labels[i]] = i;
  }
  config["id2label"] = id2label;
  config["label2id"] = label2id;
}

void check_reference(const DataProfile& reference, size_t labels) {
  constexpr int64_t kMostCount = int64_t{1} << 40;  // sums stay inside int64
  const auto possible = [](int64_t count) { return count >= 0 && count <= kMostCount; };
  if (reference.labels.size() != labels || !std::ranges::all_of(reference.labels, possible) ||
      !possible(reference.tokens) || !possible(reference.unknown_tokens) ||
      reference.unknown_tokens > reference.tokens) {
    throw ValueError(
        fmt::format("reference: needs a count from 0 to {} for each of the {} labels, and not more unknown "
                    "tokens than tokens",
                    kMostCount, labels));
  }
}

}  // namespace

void ClassifierConfig::validate() const {
  encoder.validate();
  if (labels.size() < fewest_labels(problem)) {
    throw ValueError(fmt::format("labels: there must be at least {}, got {}", fewest_labels(problem), labels.size()));
  }
  if (problem == Problem::regression && labels.size() > 1) {
    throw ValueError(fmt::format("labels: a regression has one output, got {}", labels.size()));
  }
  check_thresholds(thresholds, problem, labels.size());
  check_label_names(labels);
  if (!(calibration_temperature > 0 && std::isfinite(calibration_temperature))) {
    throw ValueError(fmt::format("calibration_temperature: {} is not finite and above 0", calibration_temperature));
  }
  if (reference) check_reference(*reference, labels.size());
}

ClassifierConfig ClassifierConfig::load(const std::filesystem::path& path) {
  const ConfigReader reader(path);
  require_task(reader, kClassification);
  return read(reader);
}

ClassifierConfig ClassifierConfig::load_for_tokens(const std::filesystem::path& path) {
  const ConfigReader reader(path);
  if (task_in(reader) != kClassification || reader.find("task") != nullptr) require_task(reader, "tagging");
  return read(reader);
}

ClassifierConfig ClassifierConfig::read(const ConfigReader& reader) {
  ClassifierConfig config;
  const auto [family, ngram_head] = read_family_and_head(reader);
  config.ngram_head = ngram_head;
  config.encoder = read_encoder_config(reader, family);
  const std::optional<Problem> problem = problem_of(reader);
  if (!problem) {
    reader.fail(
        "problem_type: qing knows \"single_label_classification\", \"multi_label_classification\" and "
        "\"regression\"");
  }
  config.problem = *problem;
  reader.optional("calibration_temperature", config.calibration_temperature);
  config.labels = read_labels(reader, *problem);
  if (*problem == Problem::multi_label) config.thresholds = read_thresholds(reader);
  config.reference = read_profile(reader, "reference");
  try {
    config.validate();
  } catch (const ValueError& error) { reader.fail(error.what()); }
  check_label2id(reader);
  return config;
}

ClassifierConfig ClassifierConfig::load_for_fine_tuning(const std::filesystem::path& path) {
  ClassifierConfig config;
  {
    const ConfigReader reader(path);
    if (!has_foreign_head(reader)) return load(path);
    config.encoder = read_encoder_config(reader, read_family(reader));
    try {
      config.encoder.validate();
    } catch (const ValueError& error) { reader.fail(error.what()); }
  }
  config.labels.clear();
  return config;
}

void ClassifierConfig::save(const std::filesystem::path& path) const {
  const EncoderFamilyNames& names = names_of(encoder.family);
  const std::string architecture = std::string(names.class_prefix) + "ForSequenceClassification";
  json::object config = {
      {"architectures", json::array{ngram_head ? kNgramArchitecture : std::string_view(architecture)}},
      {"model_type", ngram_head ? kNgramType : names.model_type},
  };
  write_encoder_config(encoder, config);
  config["problem_type"] = problem_type_of(problem);
  write_labels(labels, config);
  config["torch_dtype"] = "float32";
  if (ngram_head) config["ngram_head"] = true;
  if (problem == Problem::ordinal) config["ordinal"] = true;
  if (!thresholds.empty()) config["thresholds"] = json::array(thresholds.begin(), thresholds.end());
  if (calibration_temperature != 1) config["calibration_temperature"] = calibration_temperature;
  if (reference) {
    config["reference"] = {{"tokens", reference->tokens},
                           {"unknown_tokens", reference->unknown_tokens},
                           {"labels", json::array(reference->labels.begin(), reference->labels.end())}};
  }
  write_file_atomically(path, json::serialize(config) + "\n");
}

void ClassifierConfig::save_for_tokens(const std::filesystem::path& path) const {
  const EncoderFamilyNames& names = names_of(encoder.family);
  json::object config = {
      {"architectures", json::array{std::string(names.class_prefix) + "ForTokenClassification"}},
      {"model_type", names.model_type},
      {"task", "tagging"},
  };
  write_encoder_config(encoder, config);
  write_labels(labels, config);
  config["torch_dtype"] = "float32";
  write_file_atomically(path, json::serialize(config) + "\n");
}

}  // namespace qing::nn
