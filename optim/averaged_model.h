// Running averages of weights for evaluation: exponential (EMA) or with equal shares (SWA).
#pragma once

#include <qing/optim/state.h>
#include <qing/tensor/tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

namespace qing::optim {

/// The decay at update n: the share of the old average that stays. n counts from 1. The first update copies the weights
/// whatever the decay is.
using Averaging = std::function<double(int64_t n)>;

Averaging ema(double decay = 0.999);  ///< ValueError unless 0 ≤ decay < 1
/// min(decay, (1 + n)/(10 + n)): a young average forgets faster.
Averaging ema_with_warmup(double decay = 0.999);
Averaging swa();  ///< n−1 of n: the plain mean (Izmailov et al. 2018)

/// average ← d·average + (1−d)·weights after every step, in the weights' dtype. Not thread-safe.
class AveragedModel : public Stateful {
 public:
  /// ValueError when there are no parameters, or one is not contiguous or is listed twice, as tied weights listed by
  /// hand are (Module::parameters() lists each once). DTypeError for a parameter that is neither f32 nor f64.
  explicit AveragedModel(std::vector<Tensor> parameters, Averaging averaging = swa());

  void update();
  int64_t updates() const { return updates_; }
  std::vector<Tensor> averages() const { return averages_; }  ///< in the parameters' order

  /// Gives the model the averages as weights while this object lives. The destructor restores the model's own weights.
  /// Evaluate or save meanwhile; do not train or call update(). ValueError before the first update.
  class Swap {
   public:
    explicit Swap(AveragedModel& average);
    ~Swap();
    Swap(const Swap&) = delete;
    Swap& operator=(const Swap&) = delete;

   private:
    AveragedModel& average_;
  };

  StateDict state_dict() const override;  ///< "updates", "average.0", ...
  void load_state_dict(const StateDict& state) override;

 private:
  void exchange() noexcept;

  std::vector<Tensor> parameters_, averages_;
  Averaging averaging_;
  int64_t updates_ = 0;
};

}  // namespace qing::optim
