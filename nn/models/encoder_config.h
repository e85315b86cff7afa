// The configuration of a pretrained encoder, in Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string_view>

#include <qing/nn/layers/encoder_block.h>

namespace qing::nn {

/// BERT (Devlin et al. 2019; also MiniLM), DistilBERT (Sanh et al. 2019), RoBERTa (Liu et al. 2019), XLM-R (Conneau et
/// al. 2020), ELECTRA (Clark et al. 2020), ALBERT (Lan et al. 2020) and MPNet (Song et al. 2020).
enum class EncoderFamily { bert, distilbert, roberta, xlm_roberta, electra, albert, mpnet };

/// Names and meanings are those of `transformers`' configurations; where families differ, of BertConfig's.
struct EncoderConfig {
  EncoderFamily family = EncoderFamily::bert;
  int64_t vocab_size = 16000;
  int64_t hidden_size = 128;
  int64_t embedding_size = 0;  ///< of ELECTRA and ALBERT; 0: hidden_size
  int64_t num_hidden_layers = 2;
  int64_t num_hidden_groups = 1;  ///< of ALBERT: layers of a group share their weights
  int64_t inner_group_num = 1;    ///< of ALBERT: blocks of a layer
  int64_t num_attention_heads = 4;
  int64_t intermediate_size = 512;
  int64_t max_position_embeddings = 128;        ///< rows of the table, of which some families use two less
  int64_t type_vocab_size = 2;                  ///< not of DistilBERT and MPNet
  int64_t relative_attention_num_buckets = 32;  ///< of MPNet: rows of its table, of which 32 are used
  FeedForwardActivation hidden_act = FeedForwardActivation::gelu;
  double hidden_dropout_prob = 0.1;
  double attention_probs_dropout_prob = 0.1;
  std::optional<double> classifier_dropout = std::nullopt;  ///< nothing: hidden_dropout_prob
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;
  int64_t pad_token_id = 0;
  bool tie_word_embeddings = true;  ///< the masked-language-model head multiplies by the table of word embeddings

  /// The encoder's part of a config.json, also of a classifier with n-grams. DataError "path: field: what" when it is
  /// not JSON, has a name twice in one object, is of another family, lacks a size, or has a setting that changes
  /// results and that qing does not compute. IoError when it cannot be read.
  static EncoderConfig load(const std::filesystem::path& path);
  /// ValueError naming the field, unless sizes are positive, the heads divide the width, probabilities are in [0, 1),
  /// layer_norm_eps is in (0, 1), initializer_range is finite and not negative, ALBERT's groups divide its layers,
  /// MPNet's buckets are 32 at least, and there are positions behind the padding's.
  void validate() const;

  int64_t embedding_width() const { return embedding_size == 0 ? hidden_size : embedding_size; }
  bool has_token_types() const;
  bool has_embedding_size() const;  ///< Whether embedding_width() may differ from hidden_size.
  /// Whether word embeddings pass a linear layer before the first block.
  bool projects_embeddings() const;
  /// The position of a text's first token. Families after RoBERTa number positions from behind the padding's.
  int64_t first_position() const;
  int64_t max_tokens() const { return max_position_embeddings - first_position(); }  ///< of a text
};

/// What transformers calls the family: the model_type, the classes' prefix, and the name of the encoder in a model with
/// a head.
struct EncoderFamilyNames {
  EncoderFamily family;
  std::string_view model_type, class_prefix, base;
};
const EncoderFamilyNames& names_of(EncoderFamily family);
std::span<const EncoderFamilyNames> family_names();  ///< in the order of EncoderFamily

}  // namespace qing::nn
