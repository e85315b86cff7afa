#include <qing/nn/layers/ragged_attention.h>

#include <qing/nn/layers/check.h>

namespace qing::nn {

RaggedAttention::RaggedAttention(const char* name, int64_t heads, double dropout)
    : name_(name), heads_(heads), dropout_(dropout) {
  check_at_least(name, "num_heads", heads, 1);
  check_probability(name, dropout);
}

Generator* RaggedAttention::dropout_rng(Generator* rng) const {
  if (!training() || dropout_ == 0) return nullptr;
  check_generator(name_, rng);
  return rng;
}

Tensor RaggedAttention::forward(const Tensor& x, const Offsets& offsets, bool causal, Generator* rng) const {
  return output().forward(
      attention_qkv_packed(queries_keys_values(x), offsets, heads_, dropout_, dropout_rng(rng), causal));
}

Tensor RaggedAttention::forward(const Tensor& query, const Offsets& query_offsets, const Tensor& memory,
                                const Offsets& memory_offsets, Generator* rng) const {
  // The memory is projected first, because the position of an operation in the graph decides the order in which
  // gradients are added.
  const Tensor kv = keys_values(memory);
  return output().forward(
      attention_kv_packed(queries(query), kv, query_offsets, memory_offsets, heads_, dropout_, dropout_rng(rng)));
}

}  // namespace qing::nn
