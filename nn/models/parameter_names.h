// The names of parameters in the files of each family of encoders, and the names that qing's models have.
#pragma once

#include <string>
#include <string_view>

#include <qing/nn/models/encoder_config.h>

namespace qing::nn {

/// A name of older files as transformers writes it today: LayerNorm.gamma and LayerNorm.beta become weight and bias.
std::string current_parameter_name(std::string_view name);

/// The name in qing's models, which is that of Hugging Face's BertFor... classes, of a tensor in a file of the
/// configuration's family. The encoder's name in front ("roberta.") may be missing, as in files of the encoder alone.
/// Empty for what no model has: buffers of positions, and poolers that the family's heads do not use. A name that is
/// none of the family's comes back as it is.
std::string parameter_name(const EncoderConfig& config, std::string_view name);

/// The other way round: the name in a file of the configuration's family, as `transformers` writes the models with a
/// head, of a parameter of qing's.
std::string stored_parameter_name(const EncoderConfig& config, std::string_view name);

}  // namespace qing::nn
