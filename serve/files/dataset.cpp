#include "dataset.h"

#include <algorithm>
#include <new>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <boost/json.hpp>

#include <qing/nn/unique_keys.h>
#include <qing/nn/utf8.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/files/length_counter.h>
#include <qing/serve/files/scripts.h>
#include <qing/serve/files/text_runs.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace json = boost::json;
namespace {

// Calls row(LabelledRow) for each usable row and bad(LineError) for each other one. `row` may throw a LineError, too.
template <class Row, class Bad> void for_each_row(nn::LabelledRowReader& reader, const Row& row, const Bad& bad) {
  for (;;) {
    try {
      std::optional<nn::LabelledRow> next = reader.next();
      if (!next) return;
      row(std::move(*next));
    } catch (const nn::LineError& error) { bad(error); }
  }
}

void check_label(const nn::LabelledRowReader& reader, const std::string& label) {
  if (label.size() <= DatasetReport::kLabelBytes) return;
  reader.fail(
      fmt::format("the label has {} bytes; a label is a name of at most {}", label.size(), DatasetReport::kLabelBytes));
}

std::map<std::string, std::int64_t> counts_of(const json::value& value) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& [key, count] : value.as_object()) counts.emplace(std::string(key), count.to_number<std::int64_t>());
  return counts;
}

// What is wrong with a whole file, such as a damaged workbook, without the server's path.
nn::LineError error_of_file(const DataError& error, const std::filesystem::path& file) {
  std::string reason = error.what();
  const std::string place = file.string() + ": ";
  if (reason.starts_with(place)) reason.erase(0, place.size());
  return {"", 1, reason};
}

}  // namespace

DatasetReport examine_dataset(const std::filesystem::path& file) {
  DatasetReport report;
  const auto bad = [&](const nn::LineError& error) {
    if (++report.wrong > static_cast<std::int64_t>(DatasetReport::kErrors)) return;
    report.errors.push_back({static_cast<std::int64_t>(error.line()), error.reason()});
  };
  std::optional<nn::LabelledRowReader> reader;
  try {
    reader.emplace(file);
  } catch (const nn::LineError& error) {
    bad(error);
    return report;
  } catch (const DataError& error) {
    bad(error_of_file(error, file));
    return report;
  }
  TextRuns runs(file.parent_path());
  LengthCounter lengths;
  std::map<std::string, std::int32_t> numbers;  // of the labels
  nn::LabelledFormat format{};
  try {
    for_each_row(
        *reader,
        [&](const nn::LabelledRow& row) {
          check_label(*reader, row.label);
          auto number = numbers.find(row.label);
          if (number == numbers.end()) {
            if (numbers.size() == DatasetReport::kLabels) {
              reader->fail(
                  fmt::format("there are already {} different labels; is this column the label?", numbers.size()));
            }
            number = numbers.emplace(row.label, static_cast<std::int32_t>(numbers.size())).first;
          }
          ++report.rows;
          ++report.labels[row.label];
          ++report.languages[std::string(language_by_script(row.text))];
          lengths.add(static_cast<std::int64_t>(nn::count_characters(row.text)));
          runs.add(row.text, number->second);
          format = reader->format();
        },
        bad);
  } catch (const DataError& error) { bad(error_of_file(error, file)); }
  if (report.rows == 0) {
    if (report.wrong == 0) bad(nn::LineError("", 1, "the file has no rows"));
    return report;
  }
  const TextRuns::Counts counts = runs.count();
  report.duplicates = counts.duplicates;
  report.contradictions = counts.contradictions;
  report.lengths = lengths.lengths();
  report.format = nn::name_of(format);
  return report;
}

std::string errors_json(const DatasetReport& report) {
  JsonWriter out;
  out.begin_array();
  for (const RowError& error : report.errors) {
    out.begin_object().member("line", error.line).member("message", error.message).end();
  }
  out.end();
  return out.take();
}

std::string counts_json(const std::map<std::string, std::int64_t>& counts) {
  JsonWriter out;
  out.begin_object();
  for (const auto& [key, count] : counts) out.member(key, count);
  out.end();
  return out.take();
}

std::string lengths_json(const DatasetReport::Lengths& lengths) {
  JsonWriter out;
  out.begin_object().member("least", lengths.least).member("median", lengths.median).member("mean", lengths.mean);
  out.member("percentile_95", lengths.percentile_95).member("most", lengths.most).end();
  return out.take();
}

std::string to_json(const DatasetReport& report) {
  JsonWriter out;
  out.begin_object().member("format", report.format).member("rows", report.rows).member("wrong", report.wrong);
  out.key("errors").raw(errors_json(report)).key("labels").raw(counts_json(report.labels));
  out.key("languages").raw(counts_json(report.languages)).member("duplicates", report.duplicates);
  out.member("contradictions", report.contradictions).key("lengths").raw(lengths_json(report.lengths)).end();
  return out.take();
}

DatasetReport report_from_json(const std::string& text) {
  const json::value value = nn::parse_file_json(text);
  try {
    DatasetReport report;
    report.format = value.at("format").as_string();
    report.rows = value.at("rows").to_number<std::int64_t>();
    report.wrong = value.at("wrong").to_number<std::int64_t>();
    for (const json::value& error : value.at("errors").as_array()) {
      report.errors.push_back(
          {error.at("line").to_number<std::int64_t>(), std::string(error.at("message").as_string())});
    }
    report.labels = counts_of(value.at("labels"));
    report.languages = counts_of(value.at("languages"));
    report.duplicates = value.at("duplicates").to_number<std::int64_t>();
    report.contradictions = value.at("contradictions").to_number<std::int64_t>();
    const json::value& lengths = value.at("lengths");
    const auto number = [&](const char* name) { return lengths.at(name).to_number<std::int64_t>(); };
    report.lengths = {number("least"), number("median"), number("percentile_95"), number("most"),
                      lengths.at("mean").to_number<double>()};
    return report;
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
    throw DataError(fmt::format("report of a data set: {}; upload the file again", error.what()));
  }
}

Dataset read_dataset(const std::filesystem::path& file, BadRows bad, std::vector<std::string> labels) {
  Dataset dataset;
  const bool all_labels = labels.empty();
  std::map<std::string, std::int32_t> numbers;
  for (const std::string& label : labels) numbers.emplace(label, static_cast<std::int32_t>(numbers.size()));
  nn::LabelledRowReader reader(file);
  for_each_row(
      reader,
      [&](nn::LabelledRow row) {
        check_label(reader, row.label);
        auto number = numbers.find(row.label);
        if (number == numbers.end()) {
          if (!all_labels) reader.fail("the label is none of the model's");
          if (numbers.size() == DatasetReport::kLabels) {
            reader.fail(fmt::format("there are already {} different labels", numbers.size()));
          }
          number = numbers.emplace(row.label, static_cast<std::int32_t>(numbers.size())).first;
        }
        dataset.examples.push_back({std::move(row.text), number->second, std::move(row.source), 0});
      },
      [&](const nn::LineError& error) {
        if (bad == BadRows::kRefuse) throw error;
        ++dataset.skipped;
      });
  if (dataset.examples.empty()) {
    throw DataError(fmt::format("{}: no row is usable; see the errors of the file", file.string()));
  }
  if (!all_labels) {
    dataset.labels = std::move(labels);
    return dataset;
  }
  std::vector<std::int32_t> sorted(numbers.size());  // the new number by the old one
  for (const auto& [label, number] : numbers) {
    sorted[static_cast<size_t>(number)] = static_cast<std::int32_t>(dataset.labels.size());
    dataset.labels.push_back(label);
  }
  for (nn::Example& example : dataset.examples) example.label = sorted[static_cast<size_t>(example.label)];
  return dataset;
}

}  // namespace qing::serve
