#include <qing/serve/runs/run_record.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <limits>
#include <map>

#include <qing/nn/unique_keys.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::serve::cli {
namespace {

namespace json = boost::json;

json::array to_json(const std::vector<DataFile>& files) {
  json::array all;
  for (const DataFile& file : files) {
    all.push_back({{"path", file.path},
                   {"sha256", file.sha256},
                   {"texts", file.texts()},
                   {"label_texts", json::array(file.label_texts.begin(), file.label_texts.end())}});
  }
  return all;
}

std::vector<DataFile> files_from(const json::value& value) {
  std::vector<DataFile> files;
  for (const json::value& one : value.as_array()) {
    DataFile file{std::string(one.at("path").as_string()), std::string(one.at("sha256").as_string()), {}, 0};
    for (const json::value& count : one.at("label_texts").as_array()) file.label_texts.push_back(count.as_int64());
    file.all = one.at("texts").as_int64();
    files.push_back(std::move(file));
  }
  return files;
}

void compare_files(const char* option, const std::vector<DataFile>& before, const std::vector<DataFile>& now,
                   std::vector<std::string>& found) {
  if (before.size() != now.size()) {
    found.push_back(fmt::format("--{} is given {} times, was {}", option, now.size(), before.size()));
    return;
  }
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i].sha256 == before[i].sha256) continue;
    found.push_back(fmt::format("--{} {} has other bytes than {} had (SHA-256 {}..., was {}...)", option, now[i].path,
                                before[i].path, now[i].sha256.substr(0, 12), before[i].sha256.substr(0, 12)));
  }
}

}  // namespace

RunRecord read_record(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  try {
    const json::value value = nn::parse_file_json(text);
    RunRecord record;
    // Runs of older versions name no command.
    if (const json::value* command = value.as_object().if_contains("command")) record.command = command->as_string();
    record.state = value.at("state").as_string();
    record.step = value.at("step").as_int64();
    for (const auto& [name, values] : value.at("options").as_object()) {
      Setting setting{.name = std::string(name), .values = {}};
      for (const json::value& one : values.as_array()) setting.values.emplace_back(one.as_string());
      record.settings.push_back(std::move(setting));
    }
    record.data = files_from(value.at("data"));
    record.extra = files_from(value.at("extra"));
    record.dev = files_from(value.at("dev"));
    // Runs of older versions have neither.
    if (const json::value* files = value.as_object().if_contains("unlabelled")) record.unlabelled = files_from(*files);
    if (const json::value* files = value.as_object().if_contains("teachers")) record.teachers = files_from(*files);
    return record;
  } catch (const boost::system::system_error& error) {
    throw DataError(fmt::format("{}: is damaged or of another version ({}); start a new training with --overwrite",
                                file.string(), error.code().message()));
  } catch (const DataError& error) {
    throw DataError(fmt::format("{}: {}; start a new training with --overwrite", file.string(), error.what()));
  } catch (const std::out_of_range&) {
    throw DataError(fmt::format("{}: lacks a field; start a new training with --overwrite", file.string()));
  }
}

void write_record(const std::filesystem::path& file, const RunRecord& record) {
  json::object options;
  for (const Setting& setting : record.settings) {
    options[setting.name] = json::array(setting.values.begin(), setting.values.end());
  }
  const json::object object{{"command", record.command},
                            {"state", record.state},
                            {"step", record.step},
                            {"options", options},
                            {"data", to_json(record.data)},
                            {"extra", to_json(record.extra)},
                            {"dev", to_json(record.dev)},
                            {"unlabelled", to_json(record.unlabelled)},
                            {"teachers", to_json(record.teachers)}};
  write_file_atomically(file, json::serialize(object) + "\n");
}

bool extends(const RunRecord& now, const RunRecord& before) {
  const auto number = [](const RunRecord& record, const char* name) {
    const std::vector<std::string>& values = values_of(record.settings, name);
    return values.empty() ? 0 : std::strtod(values.front().c_str(), nullptr);
  };
  const auto most_steps = [&](const RunRecord& record) {
    const double steps = number(record, "max-steps");
    return steps == 0 ? std::numeric_limits<double>::infinity() : steps;  // 0 is no limit
  };
  return number(now, "epochs") > number(before, "epochs") || most_steps(now) > most_steps(before);
}

std::vector<std::string> changes(const RunRecord& before, const RunRecord& now) {
  if (before.command != now.command)
    return {fmt::format("it was of qing {}, not of qing {}", before.command, now.command)};
  // The files are compared by their bytes.
  std::vector<std::string> free = {
      "data", "extra",           "dev",           "unlabelled", "out", "threads", "checkpoint-every",
      "tune", "shard-optimizer", "overlap-reduce"};
  if (before.state == "finished" && extends(now, before)) {
    free.insert(free.end(), {"epochs", "max-steps", "early-stop"});
  }
  // Runs of older versions know none of these options. They did what these values say.
  const std::map<std::string, std::string> newer = {
      {"best", "macro_recall"}, {"dev-share", "0"},      {"byte-level", "0"},
      {"chunks", "0"},          {"fast-reduce", "0"},    {"gradient-precision", "f32"},
      {"multi-label", "0"},     {"ordinal", "0"},        {"regression", "0"},
      {"positive-weight", "0"}, {"text-column", "text"}, {"label-column", "label"},
      {"bad-rows", "stop"}};
  // The cache may lie elsewhere, but the order of its texts is another than that of texts in memory.
  if (values_of(before.settings, "token-cache").empty() == values_of(now.settings, "token-cache").empty()) {
    free.emplace_back("token-cache");
  }
  for (const auto& [name, value] : newer) {
    if (values_of(before.settings, name).empty() && values_of(now.settings, name) == std::vector{value}) {
      free.push_back(name);
    }
  }
  std::vector<std::string> found = differences(before.settings, now.settings, free);
  compare_files("data", before.data, now.data, found);
  compare_files("extra", before.extra, now.extra, found);
  compare_files("dev", before.dev, now.dev, found);
  compare_files("unlabelled", before.unlabelled, now.unlabelled, found);
  compare_files("teacher", before.teachers, now.teachers, found);
  return found;
}

}  // namespace qing::serve::cli
