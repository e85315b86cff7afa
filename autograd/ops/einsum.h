// Sums of products by Einstein's convention.
#pragma once

#include <string_view>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// torch.einsum: "bij,bjk->bik" names the dimensions of each operand by letters; elements whose letters agree are
/// multiplied, and summed over the letters that the result lacks. A letter twice in an operand is its diagonal; "..."
/// stands for any dimensions, which broadcast; a dimension of 1 broadcasts too. Without "->" the result has the letters
/// that occur once, in alphabetical order, after those of "...". Spaces mean nothing. Operands are contracted from left
/// to right, each pair by permuting, reshaping and one batched matmul. ValueError for an equation that is not one,
/// ShapeError for operands that do not fit; both quote it. Differentiable twice.
Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands);

}  // namespace qing
