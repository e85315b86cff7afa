#include <qing/optim/averaged_model.h>

#include <fmt/format.h>
#include <qing/autograd/autograd.h>
#include <qing/tensor/dispatch.h>
#include <qing/tensor/ops/apply.h>

#include <algorithm>
#include <utility>

namespace qing::optim {
namespace {

void check_decay(const char* op, double decay) {
  if (!(decay >= 0 && decay < 1)) throw ValueError(fmt::format("{}: decay is {}; it must be in [0, 1)", op, decay));
}

// Both are contiguous, of equal size and of dtype T, as the constructor of AveragedModel checks.
template <class T> void swap_elements(const Tensor& a, const Tensor& b) noexcept {
  T* const elements = a.data<T>();
  std::swap_ranges(elements, elements + a.numel(), b.data<T>());
}

}  // namespace

Averaging ema(double decay) {
  check_decay("ema", decay);
  return [decay](int64_t) { return decay; };
}

Averaging ema_with_warmup(double decay) {
  check_decay("ema_with_warmup", decay);
  return [decay](int64_t n) { return std::min(decay, static_cast<double>(1 + n) / static_cast<double>(10 + n)); };
}

Averaging swa() {
  return [](int64_t n) { return static_cast<double>(n - 1) / static_cast<double>(n); };
}

AveragedModel::AveragedModel(std::vector<Tensor> parameters, Averaging averaging) : averaging_(std::move(averaging)) {
  if (parameters.empty())
    throw ValueError("AveragedModel: there are no parameters; does the module report its parts in visit()?");
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Tensor& parameter = parameters[i];
    dispatch_floating(parameter.dtype(), "AveragedModel", [](auto) {});
    if (!parameter.is_contiguous()) {
      throw ValueError(
          fmt::format("AveragedModel: a parameter of shape {} is not contiguous", to_string(parameter.shape())));
    }
    // A parameter listed twice would be swapped twice and lose its weights.
    const auto here = parameters.begin() + static_cast<ptrdiff_t>(i);
    if (std::any_of(parameters.begin(), here, [&](const Tensor& other) { return other.same_as(parameter); })) {
      throw ValueError(fmt::format("AveragedModel: a parameter of shape {} is listed twice; list it once",
                                   to_string(parameter.shape())));
    }
    parameters_.push_back(detach(parameter));
    averages_.push_back(parameters_.back().clone());
  }
}

void AveragedModel::update() {
  const double decay = ++updates_ == 1 ? 0 : averaging_(updates_);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    dispatch_floating(parameters_[i].dtype(), "AveragedModel", [&](auto zero) {
      using T = decltype(zero);
      const T keep = static_cast<T>(decay), rest = static_cast<T>(1 - decay);
      T* average = averages_[i].data<T>();
      const T* weight = parameters_[i].data<T>();
      parallel_for(parameters_[i].numel(), kElementGrain, [=](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; ++k) {
          average[k] = keep == 0 ? weight[k] : keep * average[k] + rest * weight[k];
        }
      });
    });
    averages_[i].bump_version();
  }
}

void AveragedModel::exchange() noexcept {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (parameters_[i].dtype() == DType::f32) {
      swap_elements<float>(parameters_[i], averages_[i]);
    } else {
      swap_elements<double>(parameters_[i], averages_[i]);
    }
    parameters_[i].bump_version();
    averages_[i].bump_version();
  }
}

AveragedModel::Swap::Swap(AveragedModel& average) : average_(average) {
  if (average.updates_ == 0) throw ValueError("AveragedModel: there is no average before the first update()");
  average_.exchange();
}

AveragedModel::Swap::~Swap() { average_.exchange(); }

StateDict AveragedModel::state_dict() const {
  StateDict dict = {{"updates", integer_state(updates_)}};
  for (size_t i = 0; i < averages_.size(); ++i) dict[fmt::format("average.{}", i)] = averages_[i];
  return dict;
}

void AveragedModel::load_state_dict(const StateDict& state) {
  StateReader from("AveragedModel: load_state_dict", state);
  const int64_t updates = from.integer("updates", 0);
  std::vector<Tensor> averages;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    averages.push_back(from.tensor(fmt::format("average.{}", i), parameters_[i].shape(), parameters_[i].dtype()));
  }
  from.finish();
  for (Tensor& average : averages) average = average.clone();
  averages_ = std::move(averages);
  updates_ = updates;
}

}  // namespace qing::optim
