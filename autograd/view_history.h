// How the history of a view follows the writes to its base. Private to this folder.
#pragma once

#include <memory>
#include <span>

#include <qing/autograd/node.h>
#include <qing/tensor/tensor.h>

namespace qing {

/// Makes y, a view of x's elements (recorded or not), follow the writes to x's base. Does nothing if y is a copy.
void link_view(Tensor& y, const Tensor& x);

/// hang() for the result of an operation that is no view. If the result shares memory with an input, it counts as a
/// view of that input with a fixed history.
void hang_result(Tensor& output, std::span<const Tensor> inputs, std::shared_ptr<Node> node);

/// Records a write to the part of base's memory that `part` describes: it now has the elements and history of
/// `written`, which has the shape of `part` and any strides. The caller writes the memory.
void record_view_write(Tensor base, const Layout& part, const Tensor& written);

/// Whether x takes part in a graph. While gradients are recorded, AutogradError naming `op` for a leaf that requires a
/// gradient, a view of such a leaf, and a view whose history is fixed.
bool check_target(const Tensor& x, const char* op);

}  // namespace qing
