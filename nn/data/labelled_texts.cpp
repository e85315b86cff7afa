#include <qing/nn/data/labelled_texts.h>

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>
#include <utility>

#include <qing/nn/data/line_reader.h>
#include <qing/nn/data/similar_labels.h>
#include <qing/nn/fingerprint.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

// The labels of a file, of rows that can be used, up to `most` different ones.
std::set<std::string> labels_in(const std::filesystem::path& file, const DatasetOptions& options, size_t most) {
  LabelledRowReader rows(file, row_options(options));
  std::set<std::string> labels;
  while (labels.size() < most) {
    try {
      const std::optional<LabelledRow> row = rows.next();
      if (!row) break;
      if (options.problem != Problem::multi_label) labels.insert(options.map(row->label));
      for (const std::string& label : row->labels) labels.insert(options.map(label));
    } catch (const LineError&) {}  // it has no label
  }
  return labels;
}

}  // namespace

RowOptions row_options(const DatasetOptions& options) {
  return {.label_column = options.label_column,
          .text_column = options.text_column,
          .source_column = options.source_column,
          .max_line_bytes = options.max_line_bytes,
          .table = options.table,
          .several_labels = options.problem == Problem::multi_label,
          .label_separator = options.label_separator,
          .label_columns = options.label_columns};
}

std::optional<LabelledRow> next_row(LabelledRowReader& reader, const DatasetOptions& options) {
  for (;;) {
    try {
      return reader.next();
    } catch (const LineError& error) {
      if (!options.on_bad_row) throw;
      options.on_bad_row(error);
    }
  }
}

ExampleReader::ExampleReader(const std::filesystem::path& path, DatasetOptions options)
    : path_(path), options_(std::move(options)), rows_(path, row_options(options_)) {
  check_label_columns();
}

// A column that is no label, and a label that has no column, would be wrong in every row.
void ExampleReader::check_label_columns() {
  const std::vector<std::string>& columns = rows_.label_columns();
  if (columns.empty()) return;
  constexpr const char* kRemedy =
      "name the columns of the labels (the option label_columns), or give them other names "
      "(the option map)";
  for (const std::string& column : columns) {
    if (std::ranges::count(options_.labels, options_.map(column)) > 0) continue;
    rows_.table().fail_at_header(fmt::format("the column '{}' is none of the labels {}; {}", visible(column),
                                             fmt::join(options_.labels, ", "), kRemedy));
  }
  for (const std::string& label : options_.labels) {
    if (std::ranges::any_of(columns, [&](const std::string& column) { return options_.map(column) == label; }))
      continue;
    rows_.table().fail_at_header(fmt::format("the label '{}' has no column; {}", label, kRemedy));
  }
}

std::optional<Example> ExampleReader::next() {
  for (;;) {
    std::optional<LabelledRow> row = next_row(rows_, options_);
    if (!row) return std::nullopt;
    try {
      return example_of(*std::move(row));
    } catch (const LineError& error) {
      if (!options_.on_bad_row) throw;
      options_.on_bad_row(error);
    }
  }
}

Example ExampleReader::example_of(LabelledRow row) {
  Example example{.text = std::move(row.text),
                  .label = kNoLabel,
                  .source = std::move(row.source),
                  .line = static_cast<uint32_t>(row.line)};
  switch (options_.problem) {
    case Problem::multi_label:
      for (const std::string& label : row.labels) example.labels.push_back(index_of(label));
      std::ranges::sort(example.labels);
      // Rules may give two names of a row one label.
      example.labels.erase(std::unique(example.labels.begin(), example.labels.end()), example.labels.end());
      break;
    case Problem::regression: {
      const std::optional<double> value = number_of(options_.map(row.label));
      if (!value) {
        rows_.fail(fmt::format("'{}' is not a number; write one such as 3.5, or remove the row",
                               shortened(visible(row.label), 64)));
      }
      example.value = *value;
      break;
    }
    default: example.label = index_of(row.label);
  }
  return example;
}

int32_t ExampleReader::index_of(const std::string& name) {
  const std::string& label = options_.map(name);
  const std::optional<size_t> place = place_of_label(options_.labels, label, options_.problem);
  if (!place) refuse_label(label);
  return static_cast<int32_t>(*place);
}

const std::string& ExampleReader::proposal() {
  if (proposal_) return *proposal_;
  proposal_.emplace();
  // All labels of the file together tell a scale: 1 and 2 are two sentiments, beside 5 they are stars.
  constexpr size_t kMostForProposal = 100;
  try {
    const std::set<std::string> names = labels_in(path_, options_, kMostForProposal);
    if (names.size() < kMostForProposal) proposal_ = proposed_map(names, options_.labels);
  } catch (const Error&) {}  // a pipe is not read twice, and the label is refused in any case
  return *proposal_;
}

void ExampleReader::refuse_label(const std::string& label) {
  const std::string& proposed = proposal();
  rows_.fail(fmt::format("unknown label '{}'; use one of {}{}", shortened(visible(label), 64),
                         fmt::join(options_.labels, ", "),
                         proposed.empty() ? ", or give the file's labels these names (the option map)"
                                          : ", or give the file's labels these names: " + proposed));
}

std::vector<Example> read_dataset(const std::filesystem::path& path, const DatasetOptions& options) {
  ExampleReader reader(path, options);
  std::vector<Example> examples;
  while (std::optional<Example> example = reader.next()) examples.push_back(*std::move(example));
  if (examples.empty()) reader.fail("the file has no rows below its header");
  if (const std::string guesses = reader.guesses(); options.on_guess && !guesses.empty()) {
    options.on_guess(path, guesses);
  }
  return examples;
}

void write_tsv(const std::filesystem::path& path, std::span<const Example> examples, const DatasetOptions& options) {
  constexpr std::string_view kSeparators = "\t\n\r";
  const auto checked = [&](const char* what, const std::string& name) {
    if (name.find_first_of(kSeparators) == std::string::npos) return name;
    throw ValueError(fmt::format("write_tsv: {} '{}' has a tab or line break inside; rename it", what, name));
  };
  const auto field = [&](std::string value) {
    std::replace_if(
        value.begin(), value.end(), [&](char c) { return kSeparators.find(c) != kSeparators.npos; }, ' ');
    return value;
  };
  std::string out = checked("label_column", options.label_column) + "\t" +
                    checked("source_column", options.source_column) + "\t" +
                    checked("text_column", options.text_column) + "\n";
  for (const std::string& label : options.labels) checked("label", label);
  for (size_t i = 0; i < examples.size(); ++i) {
    const Example& example = examples[i];
    if (example.label < 0 || static_cast<size_t>(example.label) >= options.labels.size()) {
      throw ValueError(fmt::format("write_tsv: example {} has label {}, which is outside [0, {})", i, example.label,
                                   options.labels.size()));
    }
    if (is_blank(example.text))
      throw ValueError(fmt::format("write_tsv: example {} has a blank text; leave it out", i));
    out += options.labels[static_cast<size_t>(example.label)] + "\t" + field(example.source) + "\t" +
           field(example.text) + "\n";
  }
  write_file_atomically(path, out);
}

size_t remove_duplicates(std::vector<Example>& examples) {
  std::unordered_set<std::string> seen;
  return std::erase_if(examples, [&](const Example& example) { return !seen.insert(example.text).second; });
}

bool held_by_hash(std::string_view text, double held_percent) {
  if (!(held_percent >= 0 && held_percent <= 100)) {
    throw ValueError(fmt::format("held_by_hash: {} percent is outside [0, 100]", held_percent));
  }
  // Whole percents compare the hash's last two decimal digits, fractions the four before them as well.
  const uint64_t hash = fingerprint(text);
  return static_cast<double>(hash % 100) + static_cast<double>(hash / 100 % 10'000) / 10'000 < held_percent;
}

Split split_by_hash(std::vector<Example> examples, double held_percent) {
  held_by_hash({}, held_percent);  // refuses a wrong share of no examples too
  Split split;
  for (Example& example : examples) {
    (held_by_hash(example.text, held_percent) ? split.held : split.train).push_back(std::move(example));
  }
  return split;
}

}  // namespace qing::nn
