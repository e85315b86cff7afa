#include <optional>

#include <qing/nn/data/labelled_rows.h>
#include <qing/nn/text/normalizer.h>
#include <qing/serve/bench/inference_bench.h>

namespace qing::serve::cli {

std::vector<std::string> read_texts(const std::filesystem::path& file, const std::string& column, int64_t most) {
  nn::LabelledRowReader rows(file, {.text_column = column, .needs_label = false, .needs_text = false});
  std::vector<std::string> texts;
  while (most == 0 || std::ssize(texts) < most) {
    std::optional<nn::LabelledRow> row = rows.next();
    if (!row) break;
    if (rows.format() != nn::LabelledFormat::text || !nn::is_blank(row->text)) texts.push_back(std::move(row->text));
  }
  return texts;
}

}  // namespace qing::serve::cli
