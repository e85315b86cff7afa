// The encoder's part of a config.json. Private to nn/.
#pragma once

#include <boost/json.hpp>
#include <string_view>

#include <qing/nn/models/config_reader.h>
#include <qing/nn/models/encoder_config.h>

namespace qing::nn {

/// The model_type of BERT with an n-gram head. `transformers` builds its own classifier for the type "bert" and leaves
/// the n-grams out without an error. It refuses a type that it does not know.
inline constexpr std::string_view kNgramType = "qing_bert_ngrams";

/// The family of the model_type. DataError when it is missing or none of these.
EncoderFamily read_family(const ConfigReader& reader);
/// DataError when a size is missing or a setting is one that qing does not compute. Does not validate().
EncoderConfig read_encoder_config(const ConfigReader& reader, EncoderFamily family);
/// The activation of a field, under any name that transformers accepts; `absent` without the field. DataError for one
/// that qing does not compute.
FeedForwardActivation read_activation(const ConfigReader& reader, std::string_view field, FeedForwardActivation absent);
/// All but the model_type.
void write_encoder_config(const EncoderConfig& config, boost::json::object& into);

}  // namespace qing::nn
