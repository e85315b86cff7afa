// A view names its base (Tensor::base()). A recorded write through a view gives the base a new node, "view_write". A
// view whose node is older gets a new one, "view", on its next use. The two layouts on the common storage tell which
// elements of the base a view has, so a view need not remember how it was made.
#include <qing/autograd/view_history.h>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/graph.h>
#include <qing/autograd/ops/views_detail.h>

namespace qing {
namespace {

// The node of a view's base, if recorded writes can change it: a leaf's node never changes. Null without a base.
const Node* followed(const Tensor& tensor) {
  const Tensor& base = tensor.base();
  if (!base.defined()) return nullptr;
  const GradMeta* meta = meta_of(base);
  const Node* node = meta == nullptr ? nullptr : meta->node.get();
  return node == nullptr || node->leaf ? nullptr : node;
}

// Whether a recorded write has changed the base since the tensor's history was made.
bool behind(const Tensor& tensor) {
  const Node* base = followed(tensor);
  const GradMeta* meta = meta_of(tensor);
  return base != nullptr && (meta == nullptr || meta->base_sequence_number != base->sequence_number);
}

// Storage as one row of elements, as far as two layouts on it extend.
struct Extent {
  int64_t first, count;
  Extent(const Layout& a, const Layout& b) {
    if (a.numel() == 0 || b.numel() == 0) {
      const Layout& some = a.numel() == 0 ? b : a;
      first = some.extent().first;
      count = some.extent().second - first + 1;
    } else {
      first = std::min(a.extent().first, b.extent().first);
      count = std::max(a.extent().second, b.extent().second) - first + 1;
    }
  }
  Tensor seen(const Tensor& row, const Layout& layout) const {
    const int64_t start = layout.numel() == 0 ? 0 : layout.offset - first;
    return row.as_strided(layout.sizes, layout.strides, row.layout().offset + start);
  }
};

// A row of zeros with x at the positions of `layout`; where the layout meets an element more than once, the sum. May
// share x's memory.
Tensor spread(const Tensor& x, const Layout& layout, const Extent& extent) {
  if (layout.is_contiguous() && layout.numel() == extent.count) return x.alias().contiguous().reshape({extent.count});
  Tensor row = Tensor::zeros({extent.count}, x.dtype());
  if (Tensor seen = extent.seen(row, layout); !layout.may_overlap_itself()) {
    seen.copy_from(x.alias());
  } else {
    add_at(row, extent.seen(Tensor::arange(extent.count), layout), x.alias());
  }
  return row;
}

// The elements of a tensor of layout `to` in terms of x, a tensor of layout `from` on the same storage; 0 where `from`
// has no element. Exchanging the layouts gives the transpose.
Tensor seen_through(const Tensor& x, const Layout& from, const Layout& to) {
  const Extent extent(from, to);
  Tensor y = extent.seen(spread(x, from, extent), to).contiguous();
  if (recording({x})) {
    record("view", y, {x}, [from, to](const Tensor& dy, GradSink& grad) { grad.add(0, seen_through(dy, to, from)); });
  }
  return y;
}

// x, of layout `whole`, with 0 where `part` has an element. It is its own transpose.
Tensor without(const Tensor& x, const Layout& whole, const Layout& part) {
  const Extent extent(whole, part);
  const Tensor row = spread(x.alias().clone(), whole, extent);
  extent.seen(row, part).fill(0);
  Tensor y = extent.seen(row, whole).contiguous();
  if (recording({x})) {
    record("view_write", y, {x},
           [whole, part](const Tensor& dy, GradSink& grad) { grad.add(0, without(dy, whole, part)); });
  }
  return y;
}

}  // namespace

std::shared_ptr<Node> node_of(const Tensor& tensor) {
  GradMeta* const meta = meta_of(tensor);
  if (!behind(tensor)) return meta == nullptr ? nullptr : meta->node;
  const Tensor& base = tensor.base();
  if (meta != nullptr && meta->node != nullptr && meta->node->leaf) {
    throw AutogradError(
        fmt::format("this leaf (shape {}) is a view of a tensor that {} later changed in place; create the leaf "
                    "from a clone",
                    to_string(tensor.shape()), followed(tensor)->op));
  }
  if (meta != nullptr && meta->fixed) {
    throw AutogradError(fmt::format(
        "this tensor (shape {}) shares memory with a tensor that {} changed in place, and its gradient "
        "history cannot be updated because {}; clone it before the write",
        to_string(tensor.shape()), followed(tensor)->op,
        meta->node == nullptr ? "it is a view made under NoGradGuard"
                              : fmt::format("it is the result of {}, which is not a view", meta->node->op)));
  }
  Tensor view = tensor.alias();
  record("view", view, {base}, [from = base.layout(), to = tensor.layout()](const Tensor& dy, GradSink& grad) {
    grad.add(0, seen_through(dy, to, from));
  });
  Tensor handle = tensor;
  replace_node(handle, meta_of(view)->node);
  return meta_of(tensor)->node;
}

bool requires_grad(const Tensor& tensor) {
  if (const GradMeta* meta = meta_of(tensor); meta != nullptr && meta->node != nullptr) return true;
  return behind(tensor);
}

void hang(Tensor& tensor, std::shared_ptr<Node> node) {
  auto meta = std::make_unique<GradMeta>();
  meta->node = std::move(node);
  if (const Node* base = followed(tensor)) meta->base_sequence_number = base->sequence_number;
  if (const GradMeta* before = meta_of(tensor)) meta->fixed = before->fixed;
  tensor.set_autograd_meta(std::move(meta));
}

void replace_node(Tensor& tensor, std::shared_ptr<Node> node) {
  if (const GradMeta* before = meta_of(tensor); before != nullptr && before->node != nullptr) {
    node->retain = std::exchange(before->node->retain, false);
  }
  hang(tensor, std::move(node));
}

void link_view(Tensor& y, const Tensor& x) {
  if (!y.shares_storage(x)) return;
  y.set_base(x);
  const Node* const base = followed(y);
  if (meta_of(y) == nullptr) {
    if (base == nullptr) return;  // neither the view nor the tensor was recorded
    hang(y, nullptr);
  }
  const GradMeta* const of = meta_of(x);
  meta_of(y)->fixed = !grad_enabled() || (of != nullptr && of->fixed);
  meta_of(y)->base_sequence_number = base == nullptr ? 0 : base->sequence_number;
}

void hang_result(Tensor& output, std::span<const Tensor> inputs, std::shared_ptr<Node> node) {
  const auto shared = std::find_if(inputs.begin(), inputs.end(), [&](const Tensor& input) {
    return input.defined() && input.shares_storage(output);
  });
  output.set_base(shared == inputs.end() ? Tensor() : *shared);
  hang(output, std::move(node));
  meta_of(output)->fixed = shared != inputs.end();
}

void record_view_write(Tensor base, const Layout& part, const Tensor& written) {
  Tensor after = base.alias();
  record("view_write", after, {base, written}, [whole = base.layout(), part](const Tensor& dy, GradSink& grad) {
    if (grad.needs(0)) grad.add(0, without(dy, whole, part));
    if (grad.needs(1)) grad.add(1, seen_through(dy, whole, part));
  });
  replace_node(base, meta_of(after)->node);
}

bool check_target(const Tensor& x, const char* op) {
  const GradMeta* const meta = meta_of(x);
  if (meta != nullptr && meta->node != nullptr && meta->node->leaf) {
    throw AutogradError(fmt::format(
        "{}: a leaf that requires a gradient is used in an in-place operation (shape {}); write to it under "
        "NoGradGuard, or to a clone",
        op, to_string(x.shape())));
  }
  const Tensor& base = x.base();
  const GradMeta* const of = base.defined() ? meta_of(base) : nullptr;
  if (of != nullptr && of->node != nullptr && of->node->leaf) {
    throw AutogradError(
        fmt::format("{}: a view of a leaf that requires a gradient is used in an in-place operation "
                    "(shape {} of {}); write to it under NoGradGuard, or to a clone",
                    op, to_string(x.shape()), to_string(base.shape())));
  }
  if (meta != nullptr && meta->fixed) {
    throw AutogradError(fmt::format(
        "{}: an in-place operation on {}, whose history cannot follow (shape {}); write to a clone", op,
        meta->node == nullptr ? "a view made under NoGradGuard of a recorded tensor"
                              : fmt::format("a result of {} that shares memory with its input", meta->node->op),
        to_string(x.shape())));
  }
  return requires_grad(x) || (of != nullptr && of->node != nullptr);
}

}  // namespace qing
