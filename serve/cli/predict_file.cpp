#include <qing/serve/cli/predict_file.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <qing/nn/data/label_sets.h>
#include <qing/nn/models/text_classifier.h>
#include <qing/nn/text/normalizer.h>
#include <qing/serve/cli/progress.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/runs/evaluation.h>
#include <qing/serve/runs/multi_label_evaluation.h>
#include <qing/serve/runs/table_writer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBatchRows = 512;

struct Row {
  std::vector<std::string> fields;
  std::string object, text;
  size_t line = 0;
};

nn::RowOptions rows_to_predict(const nn::DatasetOptions& options, bool several) {
  nn::RowOptions rows = row_options(options);
  rows.needs_label = rows.needs_text = false;
  rows.keeps_fields = true;
  rows.label_separator = '|';     // labels do not count, so that nothing needs to be guessed
  rows.several_labels = several;  // fastText's lines may have more than one then
  rows.guesses_label_columns = false;
  return rows;
}

bool is_json(OutputFormat format) { return format == OutputFormat::json || format == OutputFormat::jsonl; }

// The columns of all objects: they may have fields that the first one lacks.
std::vector<std::string> columns_of_json(const PredictFile& a, const nn::DatasetOptions& options, bool several) {
  if (!fs::is_regular_file(a.file)) {
    throw UsageError(fmt::format("--file {}: JSON is read twice for --out; save it in a file first", a.file.string()));
  }
  nn::LabelledRowReader reader(a.file, rows_to_predict(options, several));
  nn::DatasetOptions quiet = options;
  if (quiet.on_bad_row) quiet.on_bad_row = [](const nn::LineError&) {};  // the second reading lists them
  while (next_row(reader, quiet)) reader.table().fields();
  return reader.table().columns();
}

// The columns and the objects that hold nested ones: "label" of "label.name".
std::vector<std::string> with_objects(std::vector<std::string> columns) {
  for (size_t i = 0, count = columns.size(); i < count; ++i) {
    for (size_t dot = columns[i].find('.'); dot != std::string::npos; dot = columns[i].find('.', dot + 1)) {
      columns.push_back(columns[i].substr(0, dot));
    }
  }
  return columns;
}

// What a part belongs to: the input, the model and all that the output depends on. Empty if the input cannot be read
// again.
std::string task_of(const PredictFile& a) {
  if (!fs::is_regular_file(a.file)) return {};
  std::vector<std::string> parts = {sha256_of(a.file), std::string(name_of(a.precision))};
  for (const std::string& part :
       {a.table.text_column, a.table.delimiter, a.table.encoding, a.table.sheet, a.table.bad_rows}) {
    parts.push_back(part);
  }
  parts.insert(parts.end(), a.label_columns.begin(), a.label_columns.end());
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : entries_of(a.model)) {
    if (!entry.is_regular_file()) continue;
    files.push_back(fmt::format("{} {} {}", entry.path().filename().string(), entry.file_size(),
                                entry.last_write_time().time_since_epoch().count()));
  }
  std::ranges::sort(files);
  parts.insert(parts.end(), files.begin(), files.end());
  return fmt::format("{}", fmt::join(parts, "\n"));
}

class FilePrediction {
 public:
  FilePrediction(const PredictFile& a, const nn::TextClassifier& model)
      : a_(a),
        model_(model),
        options_(dataset_options(a.table, skipped_)),
        several_(model.problem() == nn::Problem::multi_label),
        reader_(a.file, rows_to_predict(options_, several_)),
        writer_(a.out, head(), task_of(a)) {}

  void run() {
    for (int64_t done = writer_.rows(); done > 0; --done) {
      if (!next_row(reader_, options_))
        throw DataError(fmt::format("{}: has fewer rows than before", a_.file.string()));
    }
    if (writer_.rows() > 0) fmt::print(stderr, "qing: going on after {} rows\n", writer_.rows());
    try {
      for (bool more = true; more;) {
        more = read_batch();
        tell_guesses();
        write_batch();
      }
    } catch (const DataError&) {  // the same would happen again
      display_.end_line();
      writer_.discard();
      throw;
    }
    writer_.finish();
    display_.end_line();
    skipped_.report();
    fmt::print(stderr, "qing: {} rows in {:.1f} s, {:.0f} rows/s; {}\n", writer_.rows(), seconds(), rate(),
               a_.out.string());
  }

 private:
  TableWriter::Head head() {
    const std::vector<std::string> wanted = predicted_columns();
    const bool json = reader_.table().format() == nn::TableFormat::json;
    TableWriter::Head head{.columns = json ? columns_of_json(a_, options_, several_) : reader_.table().columns(),
                           .added = {}};
    head.added = free_names(wanted, json ? with_objects(head.columns) : head.columns);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (head.added[i] == wanted[i]) continue;
      fmt::print(stderr, "qing: the column '{}' is in the table already; the prediction's is '{}'\n", wanted[i],
                 head.added[i]);
    }
    as_objects_ = json && is_json(output_format_of(a_.out));
    columns_ = head.columns.size();
    if (as_objects_) head.columns.clear();  // nested ones are not columns
    return head;
  }

  std::vector<std::string> predicted_columns() const {
    std::vector<std::string> columns;
    switch (model_.problem()) {
      case nn::Problem::regression: return {"value"};
      case nn::Problem::multi_label:
        columns = a_.label_columns.empty() ? std::vector<std::string>{"label"} : a_.label_columns;
        break;
      case nn::Problem::ordinal: columns = {"label", "score", "value"}; break;
      default: columns = {"label", "score"};
    }
    for (const std::string& label : model_.labels()) columns.push_back("score_" + label);
    return columns;
  }

  std::vector<AddedValue> values_of_labels(const std::vector<std::string>& predicted) const {
    if (a_.label_columns.empty()) return {{nn::joined_labels(predicted), false}};
    std::vector<AddedValue> values;
    for (const std::string& label : a_.label_columns) {
      values.push_back({std::ranges::count(predicted, label) > 0 ? "1" : "0", true});
    }
    return values;
  }

  // In the order of the columns.
  std::vector<AddedValue> values_of(const nn::Prediction& prediction) const {
    const auto number = [](float value) { return AddedValue{fmt::format("{}", value), true}; };
    std::vector<AddedValue> values;
    switch (model_.problem()) {
      case nn::Problem::regression: return {number(prediction.scores.front())};
      case nn::Problem::multi_label:
        values = values_of_labels(names_of_labels(model_.labels(), prediction.labels));
        break;
      default: {
        const auto label = static_cast<size_t>(prediction.label);
        values = {{model_.labels()[label], false}, number(prediction.scores[label])};
      }
    }
    if (model_.problem() == nn::Problem::ordinal) values.push_back(number(static_cast<float>(prediction.value)));
    for (const float score : prediction.scores) values.push_back(number(score));
    return values;
  }

  bool read_batch() {
    rows_.clear();
    texts_.clear();
    lines_.clear();
    while (rows_.size() < kBatchRows) {
      std::optional<nn::LabelledRow> row = next_row(reader_, options_);
      if (!row) return false;
      Row& next = rows_.emplace_back();
      next.line = row->line;
      if (as_objects_) {
        next.object = reader_.table().object_text();
      } else {
        next.fields = std::move(reader_.table().fields());
        next.fields.resize(columns_);  // an object may lack the last ones
      }
      next.text = std::move(row->text);
      if (nn::is_blank(next.text)) continue;
      texts_.push_back(next.text);
      lines_.push_back(next.line);
    }
    return true;
  }

  void write_batch() {
    const auto where = [&](size_t line) { return fmt::format("{}:{}", a_.file.string(), line); };
    const std::vector<nn::Prediction> predictions =
        predict_all(model_, texts_, [&](size_t i) { return where(lines_[i]); });
    auto prediction = predictions.begin();
    const size_t columns = predicted_columns().size();
    std::vector<AddedValue> added;
    for (Row& row : rows_) {
      added.assign(columns, {});
      if (!nn::is_blank(row.text)) added = values_of(*prediction++);
      writer_.add(row.fields, row.object, added, where(row.line));
      ++written_;
    }
    const auto bytes = static_cast<double>(reader_.table().bytes());
    display_.show_rows(writer_.rows(), bytes > 0 ? static_cast<double>(reader_.table().bytes_read()) / bytes : -1,
                       rate());
  }

  void tell_guesses() {
    if (!std::exchange(told_, true) && !reader_.guesses().empty()) say_guesses(a_.file, reader_.guesses());
  }
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count(); }
  double rate() const { return static_cast<double>(written_) / std::max(seconds(), 1e-9); }

  const PredictFile& a_;
  const nn::TextClassifier& model_;
  SkippedRows skipped_;
  nn::DatasetOptions options_;
  bool several_;  // labels of a row
  nn::LabelledRowReader reader_;
  bool as_objects_ = false;  // rows of JSON stay objects
  size_t columns_ = 0;
  TableWriter writer_;
  ProgressDisplay display_;
  std::vector<Row> rows_;
  std::vector<std::string> texts_;  // that are not blank
  std::vector<size_t> lines_;       // of these texts
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  int64_t written_ = 0;
  bool told_ = false;
};

}  // namespace

namespace {

void check_label_columns(const PredictFile& a, const nn::TextClassifier& model) {
  if (a.label_columns.empty()) return;
  cli::check_label_columns({.label_columns = a.label_columns}, model.problem());
  check_names("--label-columns", a.label_columns);
  if (output_format_of(a.out) == OutputFormat::text) {
    throw UsageError("--label-columns: a .txt of --out has no columns; name it .csv, .tsv, .jsonl, .json or .xlsx");
  }
  for (const std::string& label : a.label_columns) {
    if (std::ranges::count(model.labels(), label) > 0) continue;
    throw UsageError(fmt::format("--label-columns: the model has no label '{}'; its labels are {}", label,
                                 fmt::join(model.labels(), ", ")));
  }
}

}  // namespace

void predict_file(const PredictFile& a) {
  output_format_of(a.out);  // refuses before the model is loaded
  std::error_code absent;
  if (fs::equivalent(a.file, a.out, absent)) throw UsageError("--out is the file of --file; give another one");
  const auto model = nn::TextClassifier::load(a.model, a.precision);
  check_label_columns(a, *model);
  FilePrediction(a, *model).run();
}

}  // namespace qing::serve::cli
