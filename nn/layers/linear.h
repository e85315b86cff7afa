// Linear layers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include <qing/nn/module.h>

namespace qing::nn {

class Lora;

struct LinearOptions {
  bool bias = true;
  /// Initialise weights as normal(0, stddev) and the bias as zero, like BERT (Devlin et al. 2019), instead of PyTorch's
  /// initialisation.
  std::optional<double> stddev = std::nullopt;
};

/// y = x·Wᵀ + b for x [..., in]; weight [out, in], bias [out]. forward throws ShapeError unless x's last dimension is
/// in_features, and DTypeError unless x has the weight's dtype, f32 or f64. It is const: it may be called from many
/// threads.
class Linear : public UnaryModule {
 public:
  /// ValueError unless in_features ≥ 0 and out_features ≥ 0.
  Linear(int64_t in_features, int64_t out_features, Generator& rng, LinearOptions options = {});
  void visit(Visitor& visitor) override;
  Tensor forward_gelu(const Tensor& x) const;  ///< gelu(forward(x)), in one operation; errors as forward.
  /// Keeps a copy of an f32 weight as the kernels of products read it, which few rows need most. Results without
  /// gradients (NoGradGuard) come from it until the weight is written by any operation or replaced; after writes
  /// through data(), call it again. In f32 they have the same bits and it takes the weight's memory once more. In bf16
  /// and i8 it takes half and a quarter of that and products are faster where the processor has instructions for them;
  /// weights and inputs are then rounded as tensor/ops/low_precision.h says. A row's results depend on it alone in any
  /// case. ValueError for another dtype. Not while others use the layer.
  void pack(DType precision = DType::f32);
  /// Adds LoRA (see lora.h), whose parameters are the only ones here that gradients are computed for. ValueError unless
  /// rank ≥ 1, or when there is one.
  void add_lora(int64_t rank, double alpha, Generator& rng);
  /// Puts a weight that includes LoRA's change in the place of the weight and LoRA; restore_lora() puts them back, to
  /// the bit. Nothing without LoRA.
  void merge_lora();
  void restore_lora();
  /// Whether forward() also takes x in bf16. The results are in f32 and equal to those of the same numbers in f32. It
  /// is so for a layer that is packed in bf16, without gradients and LoRA, and with an even number of in_features.
  bool takes_bf16() const;
  const Tensor& weight() const { return weight_; }
  int64_t packed_bytes() const;                 ///< of the weight as pack() has laid it out, or as it is
  size_t copy_bytes() const;                    ///< that pack() has added to the weight; 0 without pack()
  const Tensor& bias() const { return bias_; }  ///< undefined without a bias

 private:
  struct Packed;
  Tensor compute(const Tensor& x, Generator* rng) const override;
  friend Tensor forward_joined(const Tensor& x, std::span<const Linear* const> layers);
  friend Tensor forward_joined_bf16(const Tensor& x, std::span<const Linear* const> layers);
  friend Tensor forward_gelu_through(const Tensor& x, const Linear& wide, const Linear& narrow);
  bool packed_is_usable() const;
  bool packed_fits(const Tensor& x) const;
  template <class Matrix> const Matrix* packed_as() const;  // null when packed in another way
  const float* bias_data() const { return bias_.defined() ? bias_.data<float>() : nullptr; }
  template <class Matrix, class Result>
  static bool write_joined(const Tensor& x, std::span<const Linear* const> layers, const Tensor& y);
  template <class Matrix> static Tensor feed_forward_through(const Tensor& x, const Linear& wide, const Linear& narrow);
  Tensor packed_product(const Tensor& x, bool gelu) const;
  Tensor product_of_bf16(const Tensor& x) const;
  void write_packed_product(const Tensor& x, float* y, int64_t row_stride, bool gelu) const;
  bool adapted() const { return lora_ != nullptr && !unmerged_.defined(); }
  Tensor weight_, bias_;
  std::shared_ptr<const Packed> packed_;
  std::shared_ptr<Lora> lora_;
  Tensor unmerged_;  // the weight while LoRA is merged
};

/// The outputs of layers side by side, [..., sum of their out], for one input x [..., in]: faster than one by one.
/// ShapeError without layers, unless all take x's features, or when one has no bias; DTypeError as Linear's forward.
Tensor forward_joined(const Tensor& x, std::span<const Linear* const> layers);

/// forward_joined() rounded to bf16, to nearest even. Undefined unless all layers take bf16 and x's features, and x is
/// f32.
Tensor forward_joined_bf16(const Tensor& x, std::span<const Linear* const> layers);

/// narrow.forward(wide.forward_gelu(x)), the feed-forward of a transformer. With both packed in i8 or both in bf16 it
/// is one operation whose GELU is that of feed_forward() in tensor/ops/low_precision.h. Errors as forward's.
Tensor forward_gelu_through(const Tensor& x, const Linear& wide, const Linear& narrow);

/// Calls Linear::pack for the module, if it is a Linear, and for all modules below.
void pack_linear_layers(Module& module, DType precision = DType::f32);

/// Bytes of all parameters and buffers of a module and of the copies that Linear::pack has made of its weights.
size_t bytes_with_copies(Module& module);

/// Linear::add_lora for the module, if it is one, and for all below.
void add_lora(Module& module, int64_t rank, double alpha, Generator& rng);

/// While one lives, LoRA is merged in the module, if it is a Linear, and in all below: the state is then a plain
/// model's. The module must outlive it, and no other thread may use the module.
class MergedLora {
 public:
  explicit MergedLora(Module& module);
  ~MergedLora();
  MergedLora(const MergedLora&) = delete;
  MergedLora& operator=(const MergedLora&) = delete;

 private:
  Module& module_;
};

/// y[o] = x1ᵀ·W[o]·x2 + b[o] for x1 [..., in1], x2 [..., in2] of the same leading shape; weight [out, in1, in2].
class Bilinear : public Module {
 public:
  /// ValueError unless all sizes are positive.
  Bilinear(int64_t in1_features, int64_t in2_features, int64_t out_features, Generator& rng, bool bias = true);
  void visit(Visitor& visitor) override;
  /// [..., out]. ShapeError naming both inputs when they do not fit, DTypeError unless both have the weight's dtype. It
  /// may be called from many threads.
  Tensor forward(const Tensor& x1, const Tensor& x2) const;
  Tensor operator()(const Tensor& x1, const Tensor& x2) const { return forward(x1, x2); }

 private:
  Tensor weight_, bias_;
};

}  // namespace qing::nn
