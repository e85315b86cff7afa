#include <qing/autograd/ops/gradient_checkpoint.h>

#include <utility>

#include <qing/autograd/autocast.h>
#include <qing/autograd/autograd.h>
#include <qing/autograd/graph.h>

namespace qing {
namespace {

struct RandomState {
  uint64_t seed, stream;
};

// While it lives, sets a generator back to an earlier state.
class Rewound {
 public:
  Rewound(Generator* rng, RandomState state) : rng_(rng) {
    if (rng_ == nullptr) return;
    now_ = {rng_->seed(), rng_->stream()};
    rng_->restore(state.seed, state.stream);
  }
  ~Rewound() {
    if (rng_ != nullptr) rng_->restore(now_.seed, now_.stream);
  }
  Rewound(const Rewound&) = delete;
  Rewound& operator=(const Rewound&) = delete;

 private:
  Generator* rng_;
  RandomState now_{};
};

thread_local bool recomputes = false;

// While the function is recomputed, restores the generator and autocast dtype of the first run.
class SecondTime {
 public:
  SecondTime(Generator* rng, RandomState state, DType products)
      : rewound_(rng, state), autocast_(products), outer_(std::exchange(recomputes, true)) {}
  ~SecondTime() { recomputes = outer_; }
  SecondTime(const SecondTime&) = delete;
  SecondTime& operator=(const SecondTime&) = delete;

 private:
  Rewound rewound_;
  AutocastGuard autocast_;
  bool outer_;
};

// A leaf on the elements of an input, if the input's gradient is wanted.
Tensor stand_in(const Tensor& input, bool wanted) {
  Tensor leaf = input.alias();
  if (wanted) set_requires_grad(leaf);
  return leaf;
}

}  // namespace

Tensor checkpoint(const TensorFunction& function, const std::vector<Tensor>& inputs, Generator* rng) {
  if (!grad_enabled()) return function(inputs);
  const RandomState state = rng != nullptr ? RandomState{rng->seed(), rng->stream()} : RandomState{};
  const DType products = autocast_dtype();
  Tensor y;
  {
    const NoGradGuard guard;
    y = function(inputs).alias();
  }
  std::vector<Saved> saved;
  std::vector<bool> wanted;
  for (const Tensor& input : inputs) {
    saved.emplace_back(input);
    wanted.push_back(requires_grad(input));
  }
  record("checkpoint", y, inputs, [=](const Tensor& dy, GradSink& grad) {
    if (grad.captures()) {
      throw AutogradError("checkpoint: gradients() would miss the leaves that its function captures; use backward()");
    }
    std::vector<Tensor> leaves;
    for (size_t i = 0; i < saved.size(); ++i) leaves.push_back(stand_in(saved[i].get(grad), wanted[i]));
    const EnableGradGuard enable;
    Tensor again;
    {
      const SecondTime second(rng, state, products);
      again = function(leaves);
    }
    if (!requires_grad(again)) return;
    // Captured tensors may belong to the outer graph, which is still being walked.
    backward(again, {.retain_graph = true, .gradient = dy});
    for (size_t i = 0; i < leaves.size(); ++i) {
      if (wanted[i] && qing::grad(leaves[i]).defined()) grad.add(i, qing::grad(leaves[i]));
    }
  });
  return y;
}

bool recomputing() { return recomputes; }

}  // namespace qing
