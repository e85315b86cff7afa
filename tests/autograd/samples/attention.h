#pragma once

#include <limits>

#include <qing/autograd/ops/attention.h>
#include <qing/autograd/ops/rotary.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline const Offsets kRaggedOffsets = {0, 3, 4, 4, 9};

inline constexpr OpSample kAttentionSamples[] = {
    {"attention", "ragged, one sequence empty",
     [] {
       return leaves({{9, 6}, {9, 6}, {9, 6}});
     },
     [](const Inputs& in) { return attention(in[0], in[1], in[2], kRaggedOffsets, 2); }},
    {"attention", "with dropout",
     [] {
       return leaves({{9, 6}, {9, 6}, {9, 6}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       return attention(in[0], in[1], in[2], kRaggedOffsets, 3, 0.3, &rng);
     }},
    {"attention", "fewer queries than keys",
     [] {
       return leaves({{4, 6}, {9, 6}, {9, 6}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       return attention(in[0], in[1], in[2], {0, 1, 2, 2, 4}, kRaggedOffsets, 2, 0.3, &rng);
     }},
    {"attention", "query, key and value the same",
     [] {
       return leaves({{9, 6}});
     },
     [](const Inputs& in) { return attention(in[0], in[0], in[0], kRaggedOffsets, 2); }},
    {"attention", "causal, fewer queries than keys",
     [] {
       return leaves({{4, 6}, {9, 6}, {9, 6}});
     },
     [](const Inputs& in) {
       return attention(in[0], in[1], in[2], {0, 1, 2, 2, 4}, kRaggedOffsets, 2, 0, nullptr, true);
     }},
    {"attention", "packed, one sequence empty, causal",
     [] {
       return leaves({{9, 18}});
     },
     [](const Inputs& in) { return attention_qkv_packed(in[0], kRaggedOffsets, 2, 0, nullptr, true); }},
    {"attention", "packed keys and values, with dropout",
     [] {
       return leaves({{4, 6}, {9, 12}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       return attention_kv_packed(in[0], in[1], {0, 1, 2, 2, 4}, kRaggedOffsets, 2, 0.3, &rng);
     }},
    {"attention", "grouped queries, causal, with a relative bias",
     [] {
       return leaves({{9, 8}, {9, 4}, {9, 4}, {4, 11}});
     },
     [](const Inputs& in) {
       return ragged_attention(in[0], in[1], in[2], kRaggedOffsets, kRaggedOffsets,
                               {.heads = 4, .key_heads = 2, .causal = true, .relative_bias = in[3]});
     }},
    {"attention", "queries in the middle, with a relative bias and dropout",
     [] {
       return leaves({{4, 6}, {9, 6}, {9, 6}, {3, 9}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       return ragged_attention(
           in[0], in[1], in[2], {0, 1, 2, 2, 4}, kRaggedOffsets,
           {.heads = 3, .relative_bias = in[3], .first_queries = {2, 0, 0, 1}, .dropout_p = 0.3, .rng = &rng});
     }},
    {"scaled_dot_product_attention", "two heads, wider values",
     [] {
       return leaves({{2, 2, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 6}});
     },
     [](const Inputs& in) { return scaled_dot_product_attention(in[0], in[1], in[2]); }},
    {"scaled_dot_product_attention", "grouped queries, causal from the third key, with dropout",
     [] {
       return leaves({{2, 4, 3, 4}, {2, 2, 5, 4}, {2, 2, 5, 4}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       return scaled_dot_product_attention(in[0], in[1], in[2],
                                           {.dropout_p = 0.3, .rng = &rng, .is_causal = true, .first_query = 2});
     }},
    {"scaled_dot_product_attention", "a mask that is added and broadcast",
     [] {
       return leaves({{3, 2, 4, 2}, {3, 2, 5, 2}, {3, 2, 5, 2}, {2, 1, 5}});
     },
     [](const Inputs& in) {
       return scaled_dot_product_attention(in[0], in[1], in[2], {.attn_mask = in[3], .scale = 0.7});
     }},
    {"scaled_dot_product_attention", "a mask that hides a key and a query's every key, causal, grouped",
     [] {
       return leaves({{4, 3, 2}, {2, 3, 2}, {2, 3, 2}, {3, 3}});
     },
     [](const Inputs& in) {
       const double hide = -std::numeric_limits<double>::infinity();
       const Tensor holes = Tensor::from<double>({0, 0, 0, hide, hide, 0, hide, 0, 0}, {3, 3});
       return scaled_dot_product_attention(in[0], in[1], in[2], {.attn_mask = in[3] + holes, .is_causal = true});
     }},
    {"scaled_dot_product_attention", "keys hidden, a query without any",
     [] {
       return leaves({{3, 4}, {2, 4}, {2, 4}});
     },
     [](const Inputs& in) {
       const bool seen[] = {true, false, false, false, true, true};
       return scaled_dot_product_attention(in[0], in[1], in[2], {.attn_mask = Tensor::from<bool>(seen, {3, 2})});
     }},
    {"scaled_dot_product_attention", "query, key and value the same, heads apart in memory",
     [] {
       return leaves({{5, 2, 4}});
     },
     [](const Inputs& in) {
       const Tensor x = in[0].transpose(0, 1);
       return scaled_dot_product_attention(x, x, x, {.is_causal = true});
     }},
    {"rotary_embedding", "halves, positions shared by a batch",
     [] {
       return leaves({{2, 3, 2, 4}});
     },
     [](const Inputs& in) {
       return rotary_embedding(in[0], ids({0, 1, 7}, {3}));
     }},
    {"rotary_embedding", "interleaved",
     [] {
       return leaves({{3, 1, 6}});
     },
     [](const Inputs& in) {
       return rotary_embedding(in[0], ids({5, 0, 2}, {3}), {.base = 100, .layout = RotaryLayout::interleaved});
     }},
};

}  // namespace qing::test
