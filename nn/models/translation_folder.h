// Folders of qing's own translation models.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/translation_model.h>
#include <qing/nn/text/tokenizer.h>

namespace qing::nn {

/// From one language to another: "en" to "zh".
struct TranslationDirection {
  std::string from, to;
  auto operator<=>(const TranslationDirection&) const = default;  // NOLINT(modernize-use-nullptr)
};
/// "en-zh". A language has no hyphen inside; regions and scripts follow an underscore ("pt_BR").
std::string name_of(const TranslationDirection& direction);
/// ValueError unless the text has two languages with a hyphen between them.
TranslationDirection direction_named(std::string_view text);

/// The token in front of a source that names the language to translate to, as in Marian's models of several languages:
/// ">>zh<<". Models that translate to one language only have none.
std::string language_token(std::string_view language);

struct TranslationFolder {
  std::unique_ptr<TranslationModel> model;
  Tokenizer tokenizer;                           ///< its texts end in the end token
  std::vector<TranslationDirection> directions;  ///< that the model was trained for
};

/// Writes config.json, model.safetensors and the tokenizer's files. What was there before is untouched on failure
/// (IoError). ValueError for a configuration that is not of qing's own form: TranslationConfig's defaults with other
/// sizes, rates and ids.
void save_translation_model(const std::filesystem::path& folder, TranslationModel& model, const Tokenizer& tokenizer,
                            const std::vector<TranslationDirection>& directions);
/// Reads such a folder. The model is in evaluation mode. `dropout`, if given, replaces the one of config.json. IoError;
/// DataError naming the file and the field, also when the files do not fit each other.
TranslationFolder load_translation_model(const std::filesystem::path& folder, std::optional<double> dropout = {});

}  // namespace qing::nn
