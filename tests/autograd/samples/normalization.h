#pragma once

#include <qing/autograd/ops/distances.h>
#include <qing/autograd/ops/normalization.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kNormalizationSamples[] = {
    {"layer_norm", "rows",
     [] {
       return leaves({{5, 11}, {11}, {11}});
     },
     [](const Inputs& in) { return layer_norm(in[0], in[1], in[2], 1e-5); }},
    {"layer_norm", "two dimensions, weight alone",
     [] {
       return leaves({{3, 4, 5}, {4, 5}});
     },
     [](const Inputs& in) {
       return layer_norm(in[0], Shape{4, 5}, in[1]);
     }},
    {"layer_norm", "bias alone",
     [] {
       return leaves({{3, 5}, {5}});
     },
     [](const Inputs& in) { return layer_norm(in[0], Shape{5}, {}, in[1]); }},
    {"layer_norm", "group_norm",
     [] {
       return leaves({{2, 4, 3}, {4}, {4}});
     },
     [](const Inputs& in) { return group_norm(in[0], 2, in[1], in[2]); }},
    {"layer_norm", "instance_norm",
     [] {
       return leaves({{2, 3, 2, 2}, {3}, {3}});
     },
     [](const Inputs& in) { return instance_norm(in[0], in[1], in[2]); }},
    {"div", "normalize, p = 3",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return normalize(in[0], 3, 0); }},
    {"div", "normalize, shorter than eps",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) { return normalize(in[0], 2, 1, 50); }},
    {"div", "cosine_similarity, broadcast",
     [] {
       return leaves({{2, 1, 4}, {3, 4}});
     },
     [](const Inputs& in) { return cosine_similarity(in[0], in[1], -1); }},
    {"norm", "pairwise_distance",
     [] {
       return leaves({{3, 4}, {4}});
     },
     [](const Inputs& in) { return pairwise_distance(in[0], in[1], 1.5, 0.1, true); }},
    {"rms_norm", "rows",
     [] {
       return leaves({{5, 11}, {11}});
     },
     [](const Inputs& in) { return rms_norm(in[0], in[1], 1e-5); }},
    {"rms_norm", "two dimensions without weight",
     [] {
       return leaves({{3, 2, 4}});
     },
     [](const Inputs& in) {
       return rms_norm(in[0], Shape{2, 4});
     }},
    {"batch_norm", "training, images",
     [] {
       return leaves({{3, 2, 2, 3}, {2}, {2}});
     },
     [](const Inputs& in) { return batch_norm(in[0], {}, {}, in[1], in[2], true); }},
    {"batch_norm", "training, with a residual and ReLU",
     [] {
       return leaves({{3, 2, 2, 2}, {2}, {2}, {3, 2, 2, 2}});
     },
     [](const Inputs& in) { return batch_norm_relu(in[0], in[3], {}, {}, in[1], in[2], true); }},
    {"batch_norm", "training, rows without weight",
     [] {
       return leaves({{5, 3}});
     },
     [](const Inputs& in) { return batch_norm(in[0], {}, {}, {}, {}, true); }},
    {"mul", "in batch_norm by running statistics",
     [] {
       return leaves({{3, 2, 4}, {2}, {2}});
     },
     [](const Inputs& in) {
       const Tensor mean = Tensor::from<double>({0.5, -1}, {2}), variance = Tensor::from<double>({2, 0.5}, {2});
       return batch_norm(in[0], mean, variance, in[1], in[2]);
     }},
    {"dropout_add_layer_norm", "with dropout",
     [] {
       return leaves({{5, 7}, {5, 7}, {7}, {7}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       return dropout_add_layer_norm(in[0], in[1], in[2], in[3], 1e-5, 0.3, &rng);
     }},
    {"dropout_add_layer_norm", "without, residual the input itself",
     [] {
       return leaves({{5, 7}, {7}, {7}});
     },
     [](const Inputs& in) { return dropout_add_layer_norm(in[0], in[0], in[1], in[2], 1e-5, 0, nullptr); }},
    {"dropout_add_layer_norm", "with dropout, residual the input itself",
     [] {
       return leaves({{5, 7}, {7}, {7}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       const Tensor x = in[0] * 2;
       return dropout_add_layer_norm(x, x, in[1], in[2], 1e-5, 0.3, &rng);
     }},
    {"embedding_layer_norm", "three tables, with dropout",
     [] {
       return leaves({{6, 7}, {2, 7}, {4, 7}, {7}, {7}});
     },
     [](const Inputs& in) {
       Generator rng(3);
       const Tensor ids = Tensor::from<int32_t>({5, 1, 1, 0, 5}, {5}),
                    positions = Tensor::from<int32_t>({0, 1, 2, 0, 1}, {5});
       return embedding_layer_norm({{in[0], ids}, {in[1]}, {in[2], positions}}, in[3], in[4], 1e-5, 0.3, &rng);
     }},
    {"embedding_layer_norm", "a single table",
     [] {
       return leaves({{6, 7}, {7}, {7}});
     },
     [](const Inputs& in) {
       return embedding_layer_norm({{in[0], Tensor::from<int64_t>({3, 3, 0}, {3})}}, in[1], in[2], 1e-5, 0, nullptr);
     }},
};

}  // namespace qing::test
