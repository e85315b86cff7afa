// Random chains of views and in-place writes compared with a model that has neither. In the model every memory is a
// value, a view is a list of positions in it, and a write makes a new value by scatter().
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/tensor/random.h>

namespace qing {
namespace {

struct Modelled {
  Tensor tensor;     // under test
  size_t memory;     // of the model
  Tensor positions;  // i64, of the tensor's shape: its elements in the memory
};

class Chain {
 public:
  explicit Chain(Tensor leaf) : leaf_(std::move(leaf)) {
    add_new(leaf_ * 2.0, leaf_ * 2.0);
    add_new(Tensor::full(leaf_.shape(), 0.5, DType::f64), Tensor::full(leaf_.shape(), 0.5, DType::f64));
  }

  size_t size() const { return all_.size(); }
  const Tensor& tensor(size_t i) const { return all_[i].tensor; }

  void view(size_t i, const std::function<Tensor(const Tensor&)>& view) {
    all_.push_back({view(all_[i].tensor), all_[i].memory, view(all_[i].positions)});
  }
  void result(size_t i, const std::function<Tensor(const Tensor&)>& f) { add_new(f(all_[i].tensor), f(value(i))); }

  // `write` changes a tensor in place; `after` is the same as a function of its value.
  void write(size_t i, const std::function<void(Tensor&)>& write, const std::function<Tensor(const Tensor&)>& after) {
    const Modelled& target = all_[i];
    const Tensor next = expand(after(value(i)), target.tensor.shape());
    Tensor& memory = memories_[target.memory];
    memory = scatter(memory, 0, target.positions.contiguous().reshape({-1}), reshape(next, {-1}));
    write(all_[i].tensor);
  }

  // The value of an element in the model.
  Tensor value(size_t i) const {
    const Tensor& at = all_[i].positions;
    return reshape(index_select(memories_[all_[i].memory], 0, at.contiguous().reshape({-1})), at.shape());
  }

  void check() const {
    Tensor total = sum(leaf_), wanted = sum(leaf_);
    for (size_t i = 0; i < size(); ++i) {
      expect_close(all_[i].tensor, value(i));
      Tensor weights = Tensor::empty(all_[i].tensor.shape(), DType::f64);
      Generator rng(i);
      rng.fill_uniform(weights, -1, 1);
      total = total + sum(all_[i].tensor * weights);
      wanted = wanted + sum(value(i) * weights);
    }
    expect_close(gradients(total, {leaf_}, {.create_graph = true})[0], gradients(wanted, {leaf_})[0]);
  }

 private:
  void add_new(const Tensor& tensor, const Tensor& value) {
    memories_.push_back(reshape(value, {-1}));
    all_.push_back({tensor, memories_.size() - 1, Tensor::arange(tensor.numel()).reshape(tensor.shape())});
  }

  static void expect_close(const Tensor& found, const Tensor& wanted) {
    const Tensor a = found.alias().contiguous(), b = wanted.alias().contiguous();
    RC_ASSERT(a.shape() == b.shape());
    for (size_t j = 0; j < a.span<double>().size(); ++j) {
      const double x = a.span<double>()[j], y = b.span<double>()[j];
      RC_ASSERT(std::abs(x - y) <= 1e-12 * std::max(1.0, std::abs(y)));
    }
  }

  Tensor leaf_;
  std::vector<Tensor> memories_;
  std::vector<Modelled> all_;
};

int64_t below(int64_t n) { return *rc::gen::inRange<int64_t>(0, n); }
// Near 1, so that long products neither underflow nor cancel.
double number() { return (0.8 + static_cast<double>(below(1000)) / 2200) * (below(2) == 0 ? 1 : -1); }

Tensor random_mask(const Shape& shape) {
  Tensor mask = Tensor::empty(shape, DType::boolean);
  for (bool& bit : mask.span<bool>()) bit = below(2) == 0;
  return mask;
}

bool is_large(const Tensor& x) {
  const Tensor dense = x.alias().contiguous();
  return std::ranges::any_of(dense.span<double>(), [](double value) { return std::abs(value) > 100; });
}

void draw_view(Chain& chain, size_t i) {
  const Tensor& x = chain.tensor(i);
  if (x.dim() == 0) return chain.view(i, [](const Tensor& v) { return v.unsqueeze(0); });
  const int64_t dim = below(x.dim()), size = x.size(dim), other = below(x.dim()), start = below(size);
  switch (below(8)) {
    case 0: return chain.view(i, [=](const Tensor& v) { return v.slice(dim, start, size); });
    case 1: return chain.view(i, [=](const Tensor& v) { return v.slice(dim, 0, size, 2); });
    case 2: return chain.view(i, [=](const Tensor& v) { return v.select(dim, start); });
    case 3: return chain.view(i, [=](const Tensor& v) { return transpose(v, dim, other); });
    case 4: return chain.view(i, [=](const Tensor& v) { return v[{Ellipsis, Slice(0, 1)}]; });
    case 5: return chain.view(i, [](const Tensor& v) { return v.unsqueeze(-1).squeeze(-1); });
    case 6: return chain.view(i, [=](const Tensor& v) { return v.unfold(dim, size, 1).movedim(0, -1); });
    default:
      if (dim == other) return;
      return chain.view(i, [=](const Tensor& v) { return v.diagonal(0, dim, other); });
  }
}

void draw_write(Chain& chain, size_t i) {
  const double a = number();
  const auto constant = [a](const Tensor& v) { return Tensor::full(v.shape(), a, DType::f64); };
  const auto j = static_cast<size_t>(below(static_cast<int64_t>(chain.size())));
  // The operand's model, and a copy of the operand, so that the saved tensor does not change.
  const Tensor operand = chain.value(j).shape() == chain.tensor(i).shape() ? chain.value(j) : Tensor();
  const Tensor other = operand.defined() ? chain.tensor(j).clone() : operand;
  const int64_t kind = below(operand.defined() ? 13 : 9);
  switch (kind) {
    case 0:
      return chain.write(
          i, [a](Tensor& x) { x.mul_(a); }, [a](const Tensor& v) { return v * a; });
    case 1:
      return chain.write(
          i, [a](Tensor& x) { x.add_(a); }, [a](const Tensor& v) { return v + a; });
    case 2:
      return chain.write(
          i, [a](Tensor& x) { x.sub_(a); }, [a](const Tensor& v) { return v - a; });
    case 3:
      return chain.write(
          i, [a](Tensor& x) { x.div_(a); }, [a](const Tensor& v) { return v / a; });
    case 4:
      return chain.write(
          i, [a](Tensor& x) { x.fill(a); }, constant);
    case 5:
      return chain.write(
          i, [](Tensor& x) { x.zero_(); }, [](const Tensor& v) { return v * 0.0; });
    case 6:
      return chain.write(
          i, [a](Tensor& x) { x.clamp_(-std::abs(a), std::abs(a)); },
          [a](const Tensor& v) { return clamp(v, -std::abs(a), std::abs(a)); });
    case 7: {
      const Tensor mask = random_mask(chain.tensor(i).shape());
      return chain.write(
          i, [&](Tensor& x) { x.masked_fill_(mask, a); }, [&](const Tensor& v) { return where(mask, constant(v), v); });
    }
    case 8:
      return chain.write(
          i, [](Tensor& x) { x.mul_(x); }, [](const Tensor& v) { return v * v; });
    case 9:
      return chain.write(
          i, [&](Tensor& x) { x.add_(other, a); }, [&](const Tensor& v) { return v + operand * a; });
    case 10:
      return chain.write(
          i, [&](Tensor& x) { x.sub_(other); }, [&](const Tensor& v) { return v - operand; });
    case 11:
      return chain.write(
          i, [&](Tensor& x) { x.mul_(other); }, [&](const Tensor& v) { return v * operand; });
    default:
      return chain.write(
          i, [&](Tensor& x) { x.copy_from(chain.tensor(j)); }, [&](const Tensor&) { return operand; });
  }
}

TEST(InPlaceProperty, ChainsOfViewsAndWritesAreTheirFunctionalModel) {
  EXPECT_TRUE(rc::check([] {
    const Shape shape = *rc::gen::element(Shape{4}, Shape{2, 3}, Shape{3, 3}, Shape{2, 1, 3});
    Tensor leaf = Tensor::empty(shape, DType::f64);
    Generator rng(static_cast<uint64_t>(below(1000)));
    rng.fill_uniform(leaf, -1, 1);
    set_requires_grad(leaf);
    Chain chain(leaf);
    const int64_t steps = below(25);
    for (int64_t step = 0; step < steps; ++step) {
      const auto i = static_cast<size_t>(below(static_cast<int64_t>(chain.size())));
      switch (below(5)) {
        case 0:
        case 1: draw_view(chain, i); break;
        // tanh() saves its result, which no other operation has.
        case 2: chain.result(i, [](const Tensor& v) { return tanh(v) * 1.5; }); break;
        default:
          if (!chain.tensor(i).layout().may_overlap_itself()) draw_write(chain, i);
      }
      if (is_large(chain.value(i))) break;
    }
    chain.check();
  }));
}

}  // namespace
}  // namespace qing
