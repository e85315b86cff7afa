// Reads the stages of a tokenizer.json. It accepts what `tokenizers` accepts, except for stages that qing does not
// compute. Errors name those and their place in the file.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <qing/nn/text/pipeline/json_cursor.h>
#include <qing/nn/text/pipeline/json_numbers.h>
#include <qing/nn/text/pipeline/pipeline.h>

namespace qing::nn::text {

/// Reads a whole tokenizer.json. `json` is its text. DataError.
PipelineParts read_pipeline(const JsonCursor& file, std::string_view json);

std::unique_ptr<Normalizer> read_normalizer(const JsonCursor& stage);
std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonCursor& stage);
std::unique_ptr<Decoder> read_decoder(const JsonCursor& stage);
PostProcessing read_post_processor(const JsonCursor& stage);
std::unique_ptr<TokenModel> read_model(const JsonCursor& model, std::string_view json);

/// The parts of a model, for callers that build the model themselves.
Vocabulary read_vocabulary(const JsonCursor& vocabulary);
std::vector<std::pair<std::string, std::string>> read_merges(const JsonCursor& merges);
std::vector<std::pair<std::string, double>> read_pieces(const JsonCursor& vocabulary, std::string_view json,
                                                        Rounding rounding);

/// The file's added_tokens with their ids.
std::vector<std::pair<int32_t, AddedToken>> read_added_tokens(const JsonCursor& tokens);
/// One token with its flags. `special` and `normalized` may be missing: not special, and normalised unless special.
AddedToken read_added_token(const JsonCursor& token);
std::optional<Truncation> read_truncation(const JsonCursor& file);
/// Checks the setting, although qing pads nothing: models take ragged batches. DataError.
void check_padding(const JsonCursor& file);
/// A pattern {"String": ...} or {"Regex": ...}.
TextPattern read_pattern(const JsonCursor& pattern);
/// A text that a stage inserts. It has at most 256 bytes, so that no file multiplies memory.
std::string read_short_text(const JsonCursor& text);
/// The form `cls` A `sep` of one text and the model's form of a pair.
PostProcessing bert_processing(int32_t cls, int32_t sep);
PostProcessing roberta_processing(int32_t cls, int32_t sep);

}  // namespace qing::nn::text
