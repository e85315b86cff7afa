// Sums of products in Einstein's notation.
#pragma once

#include <string_view>
#include <vector>

#include <qing/tensor/tensor.h>

namespace qing {

/// torch.einsum. "bij,bjk->bik" names each operand's dimensions by letters. Elements with equal letters are multiplied;
/// letters that the result lacks are summed over. A letter twice in one operand takes its diagonal. "..." stands for
/// any number of dimensions, which broadcast; a dimension of size 1 broadcasts too. Without "->" the result has the
/// dimensions of "...", then the letters that occur once, in alphabetical order. Spaces are ignored. Operands are
/// contracted from left to right, each pair by permuting, reshaping and one batched matmul. ValueError for a malformed
/// equation, ShapeError for operands that do not fit; both quote the equation. Differentiable twice.
Tensor einsum(std::string_view equation, const std::vector<Tensor>& operands);

}  // namespace qing
