// The settings of generation_config.json. Private to nn/.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/decoding_options.h>

namespace qing::nn {

/// The tokens of a field that holds one id or a list of ids; none when it is missing. DataError for anything else.
std::vector<int32_t> read_token_ids(const ConfigReader& reader, std::string_view field);
/// The same for a field with one id at most.
std::optional<int32_t> read_token_id(const ConfigReader& reader, std::string_view field);

/// What `transformers` 5.23 generates by. A setting that changes results and that the decoder does not have is a
/// DataError with its name. Without a length `max_tokens` is that of DecodingOptions.
DecodingOptions read_generation_options(const ConfigReader& reader);

}  // namespace qing::nn
