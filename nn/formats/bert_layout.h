// The sizes of a BERT encoder and what follows from them: config.json and the names and shapes of its tensors.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <qing/nn/formats/file_faults.h>
#include <qing/nn/module.h>

namespace qing::nn {

struct BertSizes {
  int64_t vocabulary, width, layers, heads, inner, positions, types;
  double norm_eps;
  std::string activation = "gelu";  ///< as transformers calls it
  int64_t pad = 0;
  bool has_pooler = false;
  int64_t labels = 0;  ///< of a classifier; 0: none
};

/// The parts of a layer that have a weight and a bias, by the names that each format gives them.
struct BertPart {
  const char *hugging_face, *gguf, *e5s1;
};
inline constexpr BertPart kBertParts[] = {{"attention.self.query", "attn_q", "q"},
                                          {"attention.self.key", "attn_k", "k"},
                                          {"attention.self.value", "attn_v", "v"},
                                          {"attention.output.dense", "attn_output", "ao"},
                                          {"attention.output.LayerNorm", "attn_output_norm", "aln"},
                                          {"intermediate.dense", "ffn_up", "fi"},
                                          {"output.dense", "ffn_down", "fo"},
                                          {"output.LayerNorm", "layer_output_norm", "oln"}};

/// "encoder.layer.3.attention.self.query".
std::string bert_part_name(int64_t layer, const BertPart& part);

/// config.json of transformers.
std::string bert_config(const BertSizes& sizes);

/// Checks that `tensors` are exactly those of such an encoder, with its shapes. DataError names the first other tensor.
/// With a classifier, names get the prefix "bert." where transformers has it. Sizes that no tensor has must be small.
void check_bert_tensors(const BertSizes& sizes, StateDict& tensors, const FileFaults& faults);

/// The double whose shortest decimal form is that of `value`: 1e-12 for the float nearest to 1e-12.
double written_like(float value);

}  // namespace qing::nn
