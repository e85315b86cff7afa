#include "dataset.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <optional>
#include <span>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include <qing/nn/data/learned_labels.h>
#include <qing/nn/data/similar_labels.h>
#include <qing/nn/fingerprint.h>
#include <qing/nn/text/normalizer.h>
#include <qing/nn/unique_keys.h>
#include <qing/nn/utf8.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/shown_text.h>
#include <qing/serve/files/label_kind.h>
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

double number_in(const nn::LabelledRowReader& reader, const nn::LabelledRow& row) {
  if (const std::optional<double> number = nn::number_of(row.label)) return *number;
  reader.fail(fmt::format("'{}' is not a number; write one such as 3.5, or remove the row",
                          nn::shortened(nn::visible(row.label), 64)));
}

// The labels of a row: all of a multi-label row, else the single one.
std::span<const std::string> labels_in(const nn::LabelledRow& row, nn::Problem problem) {
  return problem == nn::Problem::multi_label ? std::span<const std::string>(row.labels)
                                             : std::span<const std::string>(&row.label, 1);
}

std::map<std::string, std::int64_t> counts_of(const json::value& value) {
  std::map<std::string, std::int64_t> counts;
  for (const auto& [key, count] : value.as_object()) counts.emplace(std::string(key), count.to_number<std::int64_t>());
  return counts;
}

// Counts the labels of rows into a report.
class LabelCounts {
 public:
  explicit LabelCounts(DatasetReport& report) : report_(report) {}

  // Returns what stands for the row's answer: equal answers have equal numbers. LineError for a label that is none.
  std::int32_t add(const nn::LabelledRowReader& reader, const nn::LabelledRow& row) {
    if (report_.problem == nn::Problem::regression) return add_number(number_in(reader, row));
    const std::span<const std::string> labels = labels_in(row, report_.problem);
    std::int64_t more = 0;
    for (const std::string& label : labels) {
      check_label(reader, label);
      more += report_.labels.contains(label) ? 0 : 1;
    }
    if (std::ssize(report_.labels) + more > static_cast<std::int64_t>(DatasetReport::kLabels)) {
      reader.fail(
          fmt::format("there are already {} different labels; is this column the label?", report_.labels.size()));
    }
    for (const std::string& label : labels) ++report_.labels[label];
    std::vector<std::string> sorted(labels.begin(), labels.end());
    std::ranges::sort(sorted);
    std::string answer;
    for (const std::string& label : sorted) answer += label + '\n';
    return static_cast<std::int32_t>(nn::fingerprint(answer));
  }

 private:
  std::int32_t add_number(double number) {
    DatasetReport::Numbers& all = report_.numbers;
    all.least = report_.rows == 0 ? number : std::min(all.least, number);
    all.most = report_.rows == 0 ? number : std::max(all.most, number);
    all.mean += (number - all.mean) / static_cast<double>(report_.rows + 1);
    return static_cast<std::int32_t>(nn::fingerprint(fmt::format("{}", number)));
  }

  DatasetReport& report_;
};

// The kind of problem that a report names.
nn::Problem kind_of(const json::object& report) {
  const json::value* name = report.if_contains("kind");
  // A report that was written before there were kinds has none.
  return name == nullptr ? nn::Problem::single_label
                         : nn::problem_named(name->as_string()).value_or(nn::Problem::single_label);
}

}  // namespace

DatasetReport examine_dataset(const std::filesystem::path& file) {
  DatasetReport report;
  const auto bad = [&](const nn::LineError& error) {
    if (++report.wrong > static_cast<std::int64_t>(DatasetReport::kErrors)) return;
    report.errors.push_back({static_cast<std::int64_t>(error.line()), without_place(error.reason(), file)});
  };
  // What is wrong with the whole file, such as a damaged workbook.
  const auto unreadable = [&](const DataError& error) { bad(nn::LineError("", 1, without_place(error.what(), file))); };
  const nn::RowOptions reading = look_at_labels(file, report.problem);
  std::optional<nn::LabelledRowReader> reader;
  try {
    reader.emplace(file, reading);
  } catch (const nn::LineError& error) {
    bad(error);
    return report;
  } catch (const DataError& error) {
    unreadable(error);
    return report;
  }
  TextRuns runs(file.parent_path());
  LengthCounter lengths;
  LabelCounts labels(report);
  nn::LabelledFormat format{};
  try {
    for_each_row(
        *reader,
        [&](const nn::LabelledRow& row) {
          const std::int32_t answer = labels.add(*reader, row);
          ++report.rows;
          ++report.languages[std::string(language_by_script(row.text))];
          lengths.add(static_cast<std::int64_t>(nn::count_characters(row.text)));
          runs.add(row.text, answer);
          format = reader->format();
        },
        bad);
  } catch (const DataError& error) { unreadable(error); }
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

std::string numbers_json(const DatasetReport& report) {
  if (report.problem != nn::Problem::regression) return "null";
  JsonWriter out;
  out.begin_object().member("least", report.numbers.least).member("mean", report.numbers.mean);
  out.member("most", report.numbers.most).end();
  return out.take();
}

std::string to_json(const DatasetReport& report) {
  JsonWriter out;
  out.begin_object().member("format", report.format).member("rows", report.rows).member("wrong", report.wrong);
  out.key("errors").raw(errors_json(report)).key("labels").raw(counts_json(report.labels));
  out.key("languages").raw(counts_json(report.languages)).member("duplicates", report.duplicates);
  out.member("contradictions", report.contradictions).key("lengths").raw(lengths_json(report.lengths));
  out.member("kind", nn::name_of(report.problem)).key("numbers").raw(numbers_json(report)).end();
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
    report.problem = kind_of(value.as_object());
    if (report.problem == nn::Problem::regression) {
      const json::value& numbers = value.at("numbers");
      report.numbers = {numbers.at("least").to_number<double>(), numbers.at("mean").to_number<double>(),
                        numbers.at("most").to_number<double>()};
    }
    return report;
  } catch (const std::bad_alloc&) { throw; } catch (const std::exception& error) {
    throw DataError(fmt::format("report of a data set: {}; upload the file again", error.what()));
  }
}

namespace {

// The labels of rows as they are found. Until all rows are read, labels that were not given have numbers in the order
// in which they were found.
class FoundLabels {
 public:
  FoundLabels(const std::vector<std::string>& given, nn::Problem problem) : learns_(given.empty()) {
    for (const std::string& label : given) index_of(label);
    if (problem == nn::Problem::ordinal) ordered_ = given;
  }

  std::int32_t find(const nn::LabelledRowReader& reader, const std::string& label) {
    check_label(reader, label);
    if (const auto found = numbers_.find(label); found != numbers_.end()) return found->second;
    if (!learns_) {
      const std::optional<size_t> place = nn::place_of_label(ordered_, label, nn::Problem::ordinal);
      if (!place) reader.fail("the label is none of the model's");
      return static_cast<std::int32_t>(*place);
    }
    if (numbers_.size() == DatasetReport::kLabels) {
      reader.fail(fmt::format("there are already {} different labels", numbers_.size()));
    }
    return index_of(label);
  }

  // Gives the labels that were learned their order, with those of columns first.
  std::vector<std::string> put_in_order(std::vector<nn::Example>& examples, const std::vector<std::string>& columns) {
    std::vector<std::string> labels = columns;
    std::map<std::string, std::int64_t> others;
    for (const auto& [label, number] : numbers_) {
      if (std::ranges::count(columns, label) == 0) others.emplace(label, 0);
    }
    std::ranges::copy(nn::in_order(others), std::back_inserter(labels));
    std::vector<std::int32_t> places(numbers_.size());  // by the number so far
    for (size_t i = 0; i < labels.size(); ++i) {
      if (const auto found = numbers_.find(labels[i]); found != numbers_.end()) {
        places[static_cast<size_t>(found->second)] = static_cast<std::int32_t>(i);
      }
    }
    for (nn::Example& example : examples) {
      if (example.label >= 0) example.label = places[static_cast<size_t>(example.label)];
      for (std::int32_t& label : example.labels) label = places[static_cast<size_t>(label)];
      std::ranges::sort(example.labels);
    }
    return labels;
  }

 private:
  std::int32_t index_of(const std::string& label) {
    return numbers_.emplace(label, static_cast<std::int32_t>(numbers_.size())).first->second;
  }

  bool learns_;
  std::vector<std::string> ordered_;  // given labels that have an order
  std::map<std::string, std::int32_t> numbers_;
};

// A column that is no label, and a label that has no column, would be wrong in every row.
void check_columns(const std::filesystem::path& file, const std::vector<std::string>& columns,
                   const std::vector<std::string>& labels) {
  if (columns.empty() || labels.empty()) return;
  for (const auto& [names, among, what] : {std::tuple(&columns, &labels, "the column '{}' is none of the labels {}"),
                                           std::tuple(&labels, &columns, "the label '{}' has no column among {}")}) {
    for (const std::string& name : *names) {
      if (std::ranges::count(*among, name) > 0) continue;
      throw DataError(fmt::format("{}: {}; name the columns of the labels with label_columns", file.string(),
                                  fmt::format(fmt::runtime(what), name, fmt::join(*among, ", "))));
    }
  }
}

}  // namespace

Dataset read_dataset(const std::filesystem::path& file, BadRows bad, nn::DatasetOptions reading) {
  Dataset dataset;
  FoundLabels found(reading.labels, reading.problem);
  nn::LabelledRowReader reader(file, nn::row_options(reading));
  check_columns(file, reader.label_columns(), reading.labels);
  for_each_row(
      reader,
      [&](nn::LabelledRow row) {
        nn::Example example{.text = {}, .label = nn::kNoLabel, .source = {}};
        if (reading.problem == nn::Problem::regression) {
          example.value = number_in(reader, row);
        } else if (reading.problem == nn::Problem::multi_label) {
          for (const std::string& label : row.labels) example.labels.push_back(found.find(reader, label));
          std::ranges::sort(example.labels);
        } else {
          example.label = found.find(reader, row.label);
        }
        example.text = std::move(row.text);
        example.source = std::move(row.source);
        dataset.examples.push_back(std::move(example));
      },
      [&](const nn::LineError& error) {
        if (bad == BadRows::kRefuse) throw error;
        ++dataset.skipped;
      });
  if (dataset.examples.empty()) {
    throw DataError(fmt::format("{}: no row is usable; see the errors of the file", file.string()));
  }
  if (!reading.labels.empty()) {
    dataset.labels = std::move(reading.labels);
  } else if (reading.problem == nn::Problem::regression) {
    dataset.labels = {"value"};
  } else {
    dataset.labels = found.put_in_order(dataset.examples, reader.label_columns());
  }
  return dataset;
}

}  // namespace qing::serve
