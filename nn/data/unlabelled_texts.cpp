#include <qing/nn/data/unlabelled_texts.h>

#include <fmt/format.h>

#include <optional>
#include <utility>

#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/text/normalizer.h>
#include <qing/tensor/errors.h>

namespace qing::nn {

std::vector<Example> read_unlabelled(const std::filesystem::path& path, const DatasetOptions& options) {
  RowOptions rows = row_options(options);
  rows.needs_label = rows.needs_text = false;
  LabelledRowReader reader(path, rows);
  std::vector<Example> examples;
  while (std::optional<LabelledRow> row = next_row(reader, options)) {
    if (is_blank(row->text)) {
      if (reader.format() == LabelledFormat::text) continue;
      reader.fail(fmt::format("the {} is blank; remove the row", options.text_column));
    }
    examples.push_back({.text = std::move(row->text),
                        .label = kNoLabel,
                        .source = std::move(row->source),
                        .line = static_cast<uint32_t>(row->line)});
  }
  if (examples.empty()) throw DataError(fmt::format("{}: has no texts", path.string()));
  if (const std::string guesses = reader.guesses(); options.on_guess && !guesses.empty()) {
    options.on_guess(path, guesses);
  }
  return examples;
}

}  // namespace qing::nn
