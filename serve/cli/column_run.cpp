#include <qing/serve/cli/column_run.h>

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <system_error>
#include <utility>

#include <qing/nn/text/normalizer.h>
#include <qing/serve/cli/progress.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/sha256.h>
#include <qing/serve/common/usage_error.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/folders.h>

namespace qing::serve::cli {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::vector<std::string> fields;
  std::string object, text;
  size_t line = 0;
};

nn::RowOptions rows_to_read(const nn::DatasetOptions& options, bool several) {
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
std::vector<std::string> columns_of_json(const ColumnRun& a, const nn::DatasetOptions& options) {
  if (!fs::is_regular_file(a.file)) {
    throw UsageError(fmt::format("--file {}: JSON is read twice for --out; save it in a file first", a.file.string()));
  }
  nn::LabelledRowReader reader(a.file, rows_to_read(options, a.several_labels));
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

// What a part belongs to: the input, how it is read, and all that the output depends on. Empty if the input cannot be
// read again.
std::string task_of(const ColumnRun& a) {
  if (!fs::is_regular_file(a.file)) return {};
  std::vector<std::string> parts = {sha256_of(a.file)};
  for (const std::string& part :
       {a.table.text_column, a.table.delimiter, a.table.encoding, a.table.sheet, a.table.bad_rows}) {
    parts.push_back(part);
  }
  parts.insert(parts.end(), a.depends_on.begin(), a.depends_on.end());
  return fmt::format("{}", fmt::join(parts, "\n"));
}

class ColumnWriter {
 public:
  explicit ColumnWriter(const ColumnRun& a)
      : a_(a),
        options_(dataset_options(a.table, skipped_)),
        reader_(a.file, rows_to_read(options_, a.several_labels)),
        writer_(a.out, head(), task_of(a)) {}

  void run() {
    for (int64_t done = writer_.rows(); done > 0; --done) {
      if (!next_row(reader_, options_))
        throw DataError(fmt::format("{}: has fewer rows than before", a_.file.string()));
    }
    if (writer_.rows() > 0) fmt::print(stderr, "qing: going on after {}\n", how_many(writer_.rows(), "row"));
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
    fmt::print(stderr, "qing: {} in {:.1f} s, {:.0f} rows/s; {}\n", how_many(writer_.rows(), "row"), seconds(), rate(),
               a_.out.string());
  }

 private:
  TableWriter::Head head() {
    const std::vector<std::string>& wanted = a_.columns;
    const bool json = reader_.table().format() == nn::TableFormat::json;
    TableWriter::Head head{.columns = json ? columns_of_json(a_, options_) : reader_.table().columns(), .added = {}};
    head.added = free_names(wanted, json ? with_objects(head.columns) : head.columns);
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (head.added[i] == wanted[i]) continue;
      fmt::print(stderr, "qing: the column '{}' is in the table already; the added one is '{}'\n", wanted[i],
                 head.added[i]);
    }
    as_objects_ = json && is_json(output_format_of(a_.out));
    columns_ = head.columns.size();
    if (as_objects_) head.columns.clear();  // nested ones are not columns
    return head;
  }

  bool read_batch() {
    rows_.clear();
    texts_.clear();
    lines_.clear();
    while (rows_.size() < a_.batch_rows) {
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
    std::vector<std::vector<AddedValue>> values = a_.compute(texts_, [&](size_t i) { return where(lines_[i]); });
    auto next = values.begin();
    std::vector<AddedValue> added;
    for (Row& row : rows_) {
      added.assign(a_.columns.size(), {});
      if (!nn::is_blank(row.text)) added = std::move(*next++);
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

  const ColumnRun& a_;
  SkippedRows skipped_;
  nn::DatasetOptions options_;
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

void add_columns(const ColumnRun& run) {
  output_format_of(run.out);  // refuses before the work
  std::error_code absent;
  if (fs::equivalent(run.file, run.out, absent)) throw UsageError("--out is the file of --file; give another one");
  ColumnWriter(run).run();
}

std::vector<std::string> files_of_model(const fs::path& model) {
  std::vector<std::string> files;
  for (const fs::directory_entry& entry : entries_of(model)) {
    if (!entry.is_regular_file()) continue;
    files.push_back(fmt::format("{} {} {}", entry.path().filename().string(), entry.file_size(),
                                entry.last_write_time().time_since_epoch().count()));
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace qing::serve::cli
