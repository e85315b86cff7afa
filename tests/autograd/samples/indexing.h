#pragma once

#include <qing/autograd/ops/indexing.h>
#include <qing/autograd/ops/sorting.h>

#include "autograd/samples/inputs.h"

namespace qing::test {

inline constexpr OpSample kIndexingSamples[] = {
    {"index_select", "rows, with a repetition",
     [] {
       return leaves({{4, 3}});
     },
     [](const Inputs& in) {
       return index_select(in[0], 0, ids({2, 0, 2}, {3}));
     }},
    {"index_select", "the middle of a transposed tensor",
     [] {
       return leaves({{2, 4, 3}});
     },
     [](const Inputs& in) {
       return index_select(in[0].transpose(0, 2), 1, ids({3, 3, 1}, {3}));
     }},
    {"index_add", "columns, with a repetition",
     [] {
       return leaves({{2, 4}, {2, 3}});
     },
     [](const Inputs& in) {
       return index_add(in[0], 1, ids({2, 0, 2}, {3}), in[1], 1.5);
     }},
    {"scatter", "index_copy with a repetition",
     [] {
       return leaves({{4, 2}, {3, 2}});
     },
     [](const Inputs& in) {
       return index_copy(in[0], 0, ids({2, 0, 2}, {3}), in[1]);
     }},
    {"gather", "along columns, fewer rows",
     [] {
       return leaves({{3, 4}});
     },
     [](const Inputs& in) {
       return gather(in[0], 1, ids({3, 0, 0, 1, 1, 1}, {2, 3}));
     }},
    {"gather", "take_along_dim, broadcast",
     [] {
       return leaves({{3, 1, 4}});
     },
     [](const Inputs& in) {
       return take_along_dim(in[0], ids({3, 0, 1, 1}, {1, 2, 2}), 2);
     }},
    {"scatter", "along rows, with a collision",
     [] {
       return leaves({{3, 2}, {3, 3}});
     },
     [](const Inputs& in) {
       return scatter(in[0], 0, ids({2, 0, 2, 1}, {2, 2}), in[1]);
     }},
    {"scatter", "a number",
     [] {
       return leaves({{3, 2}});
     },
     [](const Inputs& in) {
       return scatter(in[0], 1, ids({1, 0}, {2, 1}), 7);
     }},
    {"scatter_add", "with a collision",
     [] {
       return leaves({{3, 2}, {3, 3}});
     },
     [](const Inputs& in) {
       return scatter_add(in[0], 0, ids({2, 0, 2, 1}, {2, 2}), in[1]);
     }},
    {"scatter_add", "scatter_reduce, sum without what was there",
     [] {
       return leaves({{3, 2}, {3, 3}});
     },
     [](const Inputs& in) {
       return scatter_reduce(in[0], 0, ids({2, 0, 2, 1}, {2, 2}), in[1], ScatterReduce::sum, false);
     }},
    {"div", "scatter_reduce, mean",
     [] {
       return leaves({{2, 3}, {2, 4}});
     },
     [](const Inputs& in) {
       return scatter_reduce(in[0], 1, ids({2, 0, 2, 2, 1, 1, 0, 1}, {2, 4}), in[1], ScatterReduce::mean);
     }},
    {"div", "scatter_reduce, mean without what was there",
     [] {
       return leaves({{4}, {5}});
     },
     [](const Inputs& in) {
       return scatter_reduce(in[0], 0, ids({2, 0, 2, 2, 1}, {5}), in[1], ScatterReduce::mean, false);
     }},
    {"scatter_reduce", "largest",
     [] {
       return leaves({{2, 3}, {2, 4}});
     },
     [](const Inputs& in) {
       return scatter_reduce(in[0], 1, ids({2, 0, 2, 2, 1, 1, 0, 1}, {2, 4}), in[1], ScatterReduce::amax);
     }},
    {"scatter_reduce", "smallest without what was there",
     [] {
       return leaves({{4}, {5}});
     },
     [](const Inputs& in) {
       return scatter_reduce(in[0], 0, ids({2, 0, 2, 2, 1}, {5}), in[1], ScatterReduce::amin, false);
     }},
    {"mul", "scatter_reduce, product with one and with two zeros",
     [] {
       Inputs in = leaves({{4}, {7}});
       in[0].data<double>()[1] = in[1].data<double>()[1] = in[1].data<double>()[5] = 0;
       return in;
     },
     [](const Inputs& in) {
       return scatter_reduce(in[0], 0, ids({2, 1, 2, 2, 1, 2, 0}, {7}), in[1], ScatterReduce::prod);
     }},
    {"mul", "scatter_reduce, product without what was there",
     [] {
       return leaves({{3, 2}, {4, 2}});
     },
     [](const Inputs& in) {
       return scatter_reduce(in[0], 0, ids({2, 0, 2, 0, 2, 0, 1, 0}, {4, 2}), in[1], ScatterReduce::prod, false);
     }},
    {"index_select", "index by two tensors apart",
     [] {
       return leaves({{3, 2, 4}});
     },
     [](const Inputs& in) {
       return index(in[0], {ids({2, -1}, {2}), Tensor(), ids({0, 3, 3}, {3, 1})});
     }},
    {"index_select", "index by a mask, then a tensor",
     [] {
       return leaves({{2, 3, 4}});
     },
     [](const Inputs& in) {
       return index(in[0], {Tensor(), Tensor::from<bool>({true, false, true}, {3}), ids({1, -1}, {2})});
     }},
    {"scatter", "index_put, broadcast, with a repetition",
     [] {
       return leaves({{3, 2, 4}, {3, 1}});
     },
     [](const Inputs& in) {
       return index_put(in[0], {Tensor(), Tensor(), ids({2, 0, 2}, {3})}, in[1].select(1, 0));
     }},
    {"index_add", "index_put, accumulated, with a repetition",
     [] {
       return leaves({{3, 2, 4}, {2, 3}});
     },
     [](const Inputs& in) {
       return index_put(in[0].transpose(0, 1), {ids({1, 0, 1}, {3}), ids({2, 2, 2}, {3}), Tensor()},
                        in[1].transpose(0, 1).select(1, 1).unsqueeze(1), true);
     }},
    {"index_select", "masked_select",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) {
       return masked_select(in[0], Tensor::from<bool>({true, false, true}, {3}));
     }},
    {"embedding", "with repetitions",
     [] {
       return leaves({{5, 3}});
     },
     [](const Inputs& in) {
       return embedding(in[0], ids({4, 1, 1, 0}, {2, 2}));
     }},
    {"embedding", "a padding row that nothing looks at",
     [] {
       return leaves({{5, 3}});
     },
     [](const Inputs& in) {
       return embedding(in[0], ids({4, 1, 1, 0}, {2, 2}), 2);
     }},
    {"index_add", "embedding_bag, mean with padding and an empty bag",
     [] {
       return leaves({{5, 3}});
     },
     [](const Inputs& in) {
       return embedding_bag(in[0], ids({4, 1, 1, 0, 2}, {5}), ids({0, 3, 3}, {3}), BagMode::mean, 2);
     }},
    {"index_add", "embedding_bag, sum with weights of samples, in rows",
     [] {
       return leaves({{5, 3}, {2, 3}});
     },
     [](const Inputs& in) {
       return embedding_bag(in[0], ids({4, 1, 1, 0, 2, 4}, {2, 3}), {}, BagMode::sum, 2, in[1]);
     }},
    {"gather", "embedding_bag, largest with an empty bag",
     [] {
       return leaves({{5, 3}});
     },
     [](const Inputs& in) {
       return embedding_bag(in[0], ids({4, 1, 1, 0, 2}, {5}), ids({0, 3, 3}, {3}), BagMode::max, 2);
     }},
    {"sort", "descending, first dimension",
     [] {
       return leaves({{5, 2}});
     },
     [](const Inputs& in) { return sort(in[0], 0, true).values; }},
    {"topk", "smallest",
     [] {
       return leaves({{2, 5}});
     },
     [](const Inputs& in) { return topk(in[0], 3, -1, false).values; }},
    {"kthvalue", "second",
     [] {
       return leaves({{2, 5}});
     },
     [](const Inputs& in) { return kthvalue(in[0], 2).values; }},
    {"median", "of an even count",
     [] {
       return leaves({{4, 2}});
     },
     [](const Inputs& in) { return median(in[0], 0, true).values; }},
    {"max", "middle",
     [] {
       return leaves({{2, 3, 2}});
     },
     [](const Inputs& in) { return max(in[0], 1).values; }},
    {"min", "last, kept",
     [] {
       return leaves({{2, 3}});
     },
     [](const Inputs& in) { return min(in[0], -1, true).values; }},
    {"cummax", "first",
     [] {
       return leaves({{5, 2}});
     },
     [](const Inputs& in) { return cummax(in[0], 0).values; }},
    {"cummin", "last",
     [] {
       return leaves({{2, 5}});
     },
     [](const Inputs& in) { return cummin(in[0], 1).values; }},
};

}  // namespace qing::test
