// LoRA (Hu et al. 2022): a change of low rank beside a weight that is not trained.
#pragma once

#include <cstdint>

#include <qing/nn/module.h>

namespace qing::nn {

/// x·Aᵀ·Bᵀ·(alpha/rank) for x [..., in]: the change of a linear map in → out. A [rank, in] begins uniform in
/// ±1/sqrt(in), as PEFT's does, and B [out, rank] at zero, so that nothing changes at first. Safe to call from many
/// threads.
class Lora final : public UnaryModule {
 public:
  /// ValueError unless rank ≥ 1.
  Lora(int64_t in_features, int64_t out_features, int64_t rank, double alpha, Generator& rng);
  void visit(Visitor& visitor) override;
  Tensor delta() const;  ///< B·A·(alpha/rank) [out, in]: what it adds to the weight of the linear map

 private:
  Tensor compute(const Tensor& x, Generator* rng) const override;
  Tensor a_, b_;
  double scale_;
};

}  // namespace qing::nn
