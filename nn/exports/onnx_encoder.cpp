#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>

#include <qing/nn/exports/onnx_parts.h>

namespace qing::nn {
namespace {

using Value = OnnxBuilder::Value;

constexpr float kMasked = -1e30F;  // added to the score of a masked key; its weight is then exactly 0
constexpr int kLargestByte = 127;
constexpr int kByteZero = 128;  // stands for 0 in the unsigned bytes of activations
// Weights of products take 7 bits. onnxruntime adds two products of an unsigned and a signed byte in 16 bits on CPUs
// without VNNI, and 255·63·2 is the most that fits (findings/onnxruntime_byte_products.sh).
constexpr int kLargestWeight = 63;
constexpr float kSmallestScale = 1e-30F;   // of a row of zeros
constexpr float kSmallestLength = 1e-12F;  // an embedding is divided by no less, as torch's normalize does

// Rows of bytes and one scale each: value = byte·scale. `rows` is f32 [n, k], `largest_byte` the bytes' greatest
// magnitude.
struct QuantizedRows {
  Tensor bytes, scales;  // i8 [n, k], f32 [n, 1]
};
QuantizedRows quantized(const Tensor& rows, int largest_byte) {
  const int64_t n = rows.size(0), k = rows.size(1);
  QuantizedRows result{Tensor::empty({n, k}, DType::i8), Tensor::empty({n, 1})};
  for (int64_t i = 0; i < n; ++i) {
    const float* const row = rows.data<float>() + i * k;
    float largest = kSmallestScale;
    for (int64_t j = 0; j < k; ++j) largest = std::max(largest, std::abs(row[j]));
    const float scale = largest / static_cast<float>(largest_byte);
    result.scales.data<float>()[i] = scale;
    for (int64_t j = 0; j < k; ++j) {
      result.bytes.data<int8_t>()[i * k + j] = static_cast<int8_t>(std::nearbyint(row[j] / scale));
    }
  }
  return result;
}

class EncoderGraph {
 public:
  EncoderGraph(OnnxBuilder& graph, const ExportSource& source, bool int8) : g_(graph), source_(source), int8_(int8) {}

  Value logits(const OnnxTokens& tokens) {
    read(tokens);
    Value x = firsts();
    // These layers stay in f32: they are small, and rounding them would change the logits most.
    x = g_.op("Tanh", {exact_linear(x, "bert.pooler.dense")});
    return g_.op("Squeeze", {exact_linear(x, "classifier"), g_.numbers({1})});
  }

  Value embedding(const OnnxTokens& tokens) {
    read(tokens);
    const Value one = g_.numbers({1});
    Value pooled;
    if (source_.sentence->pooling == SentencePooling::cls) {
      pooled = g_.op("Squeeze", {firsts(), one});
    } else {
      const Value counted = g_.op("Unsqueeze", {g_.cast(read_, OnnxType::f32), one});
      const Value sums = g_.op("MatMul", {counted, hidden_states()});
      pooled = g_.op("Squeeze", {g_.op("Div", {sums, g_.op("ReduceSum", {counted, g_.numbers({2})})}), one});
    }
    if (!source_.sentence->normalize) return pooled;
    const Value length = g_.op("Sqrt", {g_.op("ReduceSum", {g_.op("Mul", {pooled, pooled}), one})});
    return g_.op("Div", {pooled, g_.op("Max", {length, g_.real(kSmallestLength)})});
  }

 private:
  // [B, 1, width]: of the last layer only the first token is looked at; a product with 0 and 1 takes it out.
  Value firsts() {
    const Value first = g_.op("Unsqueeze", {g_.cast(first_, OnnxType::f32), g_.numbers({1})});
    const Value x = layers_before_last();
    return layer(layer_name(layers() - 1), g_.op("MatMul", {first, x}), x);
  }
  // [B, L, width].
  Value hidden_states() {
    const Value x = layers_before_last();
    return layer(layer_name(layers() - 1), x, x);
  }
  Value layers_before_last() {
    Value x = norm(embeddings(), "bert.embeddings.LayerNorm");
    for (int64_t i = 0; i + 1 < layers(); ++i) x = layer(layer_name(i), x, x);
    return x;
  }
  int64_t layers() const { return source_.config().num_hidden_layers; }
  static std::string layer_name(int64_t i) { return fmt::format("bert.encoder.layer.{}", i); }

  // Cuts each text as the tokenizer does: the first tokens, and [SEP] for the last of them. Positions count kept tokens
  // only, so that masked ones may stand anywhere.
  void read(const OnnxTokens& tokens) {
    const Value kept = g_.cast(tokens.kept, OnnxType::i64), one = g_.number(1);
    const Value most = g_.number(source_.tokenizer.options().max_length);
    const Value last = g_.op("Sub", {most, one});
    const Value position = g_.op("Sub", {g_.op("CumSum", {kept, one}), one});
    const Value count = g_.op("ReduceSum", {kept, g_.numbers({1})});
    const Value at_end = g_.op("And", {g_.op("Equal", {position, last}), g_.op("Greater", {count, most})});
    const Value ids = g_.op("Where", {at_end, g_.number(source_.tokenizer.sep_id()), tokens.ids});
    const Value is_read = g_.op("And", {tokens.kept, g_.op("Less", {position, most})});
    // Columns that no text needs are left out.
    const Value length = g_.op("Gather", {g_.op("Shape", {ids}), one});
    const Value column = g_.op("Range", {one, g_.op("Add", {length, one}), one});
    const Value needed = g_.op("Mul", {g_.cast(is_read, OnnxType::i64), column});
    const Value width =
        g_.op("Max", {g_.op("Reshape", {g_.op("ReduceMax", {needed}, {{"keepdims", int64_t{0}}}), g_.numbers({1})}),
                      g_.numbers({1})});
    const auto cut = [&](const Value& x) { return g_.op("Slice", {x, g_.numbers({0}), width, g_.numbers({1})}); };
    read_ = cut(is_read);
    ids_ = g_.op("Where", {read_, cut(ids), g_.number(source_.tokenizer.pad_id())});
    position_ = g_.op("Max", {g_.op("Min", {cut(position), last}), g_.number(0)});
    first_ = g_.op("And", {read_, g_.op("Equal", {position_, g_.number(0)})});
    const Value bias = g_.op("Where", {read_, g_.real(0), g_.real(kMasked)});
    mask_ = g_.op("Unsqueeze", {bias, g_.numbers({1, 2})});
  }

  Value embeddings() {
    const std::string names = "bert.embeddings.";
    const Value words = rows_of(source_.tensor(names + "word_embeddings.weight"), ids_);
    const Value type = g_.constant(source_.tensor(names + "token_type_embeddings.weight").select(0, 0));
    const Value positions =
        g_.op("Gather", {g_.constant(source_.tensor(names + "position_embeddings.weight")), position_});
    return g_.op("Add", {g_.op("Add", {words, type}), positions});
  }

  Value rows_of(const Tensor& table, const Value& ids) {
    if (!int8_) return g_.op("Gather", {g_.constant(table), ids});
    const QuantizedRows rows = quantized(table, kLargestByte);
    const Value bytes = g_.cast(g_.op("Gather", {g_.constant(rows.bytes), ids}), OnnxType::f32);
    return g_.op("Mul", {bytes, g_.op("Gather", {g_.constant(rows.scales), ids})});
  }

  Value norm(const Value& x, const std::string& name) {
    return g_.op("LayerNormalization",
                 {x, g_.constant(source_.tensor(name + ".weight")), g_.constant(source_.tensor(name + ".bias"))},
                 {{"axis", int64_t{-1}}, {"epsilon", static_cast<float>(source_.config().layer_norm_eps)}});
  }

  // x·Wᵀ + b in f32.
  Value exact_linear(const Value& x, const std::string& name) {
    const Value weight = g_.constant(source_.tensor(name + ".weight").transpose(0, 1));
    return g_.op("Add", {g_.op("MatMul", {x, weight}), g_.constant(source_.tensor(name + ".bias"))});
  }

  Value linear(const Value& x, const std::string& name) {
    if (!int8_) return exact_linear(x, name);
    const Tensor& weight = source_.tensor(name + ".weight");
    const Value bias = g_.constant(source_.tensor(name + ".bias"));
    const QuantizedRows columns = quantized(weight, kLargestWeight);
    const Value largest = g_.op("ReduceMax", {g_.op("Abs", {x}), g_.numbers({-1})});
    const Value scale =
        g_.op("Div", {g_.op("Max", {largest, g_.real(kSmallestScale)}), g_.real(static_cast<float>(kLargestByte))});
    // Unsigned: onnxruntime multiplies two signed bytes many times slower (findings/onnxruntime_signed_bytes.sh).
    const Value shifted =
        g_.op("Add", {g_.op("Round", {g_.op("Div", {x, scale})}), g_.real(static_cast<float>(kByteZero))});
    const Value sums =
        g_.op("MatMulInteger", {g_.cast(shifted, OnnxType::u8), g_.constant(columns.bytes.transpose(0, 1)),
                                g_.constant(Tensor::full({}, kByteZero, DType::u8))});
    // First the columns' scales, then the rows': onnxruntime 1.32 joins a product of both with the bias, and scales the
    // bias too (findings/onnxruntime_row_scales.sh).
    const Value by_column = g_.op("Mul", {g_.cast(sums, OnnxType::f32), g_.constant(columns.scales.squeeze(1))});
    return g_.op("Add", {g_.op("Mul", {by_column, scale}), bias});
  }

  // One layer's output for the rows `queries`, which attend to the rows x.
  Value layer(const std::string& name, const Value& queries, const Value& x) {
    const Value attended = linear(attention(name + ".attention.self", queries, x), name + ".attention.output.dense");
    const Value y = norm(g_.op("Add", {attended, queries}), name + ".attention.output.LayerNorm");
    const Value wide = gelu(linear(y, name + ".intermediate.dense"));
    return norm(g_.op("Add", {linear(wide, name + ".output.dense"), y}), name + ".output.LayerNorm");
  }

  Value attention(const std::string& name, const Value& queries, const Value& x) {
    const int64_t heads = source_.config().num_attention_heads, width = source_.config().hidden_size;
    const int64_t head_size = width / heads;
    const auto split = [&](const Value& rows, const std::vector<int64_t>& order) {
      const Value parts = g_.op("Reshape", {rows, g_.numbers({0, 0, heads, head_size})});
      return g_.op("Transpose", {parts}, {{"perm", order}});
    };
    const Value q = split(linear(queries, name + ".query"), {0, 2, 1, 3});
    const Value k = split(linear(x, name + ".key"), {0, 2, 3, 1});
    const Value v = split(linear(x, name + ".value"), {0, 2, 1, 3});
    const Value scale = g_.real(1 / std::sqrt(static_cast<float>(head_size)));
    const Value scores = g_.op("Add", {g_.op("Mul", {g_.op("MatMul", {q, k}), scale}), mask_});
    const Value sums = g_.op("MatMul", {g_.op("Softmax", {scores}, {{"axis", int64_t{-1}}}), v});
    const Value joined = g_.op("Transpose", {sums}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    return g_.op("Reshape", {joined, g_.numbers({0, 0, width})});
  }

  Value gelu(const Value& x) {
    const Value erf = g_.op("Erf", {g_.op("Mul", {x, g_.real(static_cast<float>(1 / std::numbers::sqrt2))})});
    return g_.op("Mul", {g_.op("Mul", {x, g_.real(0.5F)}), g_.op("Add", {erf, g_.real(1)})});
  }

  OnnxBuilder& g_;
  const ExportSource& source_;
  bool int8_;
  Value read_, ids_, position_, first_;  // [B, L]: bool, i64, i64, bool
  Value mask_;                           // f32 [B, 1, 1, L]
};

}  // namespace

Value onnx_embedding(OnnxBuilder& graph, const ExportSource& source, const OnnxTokens& tokens, bool int8) {
  return EncoderGraph(graph, source, int8).embedding(tokens);
}

Value onnx_encoder(OnnxBuilder& graph, const ExportSource& source, const OnnxTokens& tokens, bool int8) {
  return EncoderGraph(graph, source, int8).logits(tokens);
}

}  // namespace qing::nn
