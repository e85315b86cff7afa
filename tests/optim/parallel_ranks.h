// What the tests of data-parallel training share: a small model with a table, and batches with a fixed loss.
#pragma once

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops.h>
#include <qing/nn/fingerprint.h>
#include <qing/nn/layers/layers.h>
#include <qing/optim/optimizer.h>
#include <qing/optim/training/data_parallel.h>
#include <qing/tensor/creation.h>

#include <cstdint>
#include <vector>

namespace qing::optim {

/// Words, of which each text has a few, to two labels. The table has many rows, of which a batch looks up few.
struct WordModel : nn::Module {
  static constexpr int64_t kWords = 2000, kWidth = 16;
  explicit WordModel(Generator& rng) : words(kWords, kWidth, rng), hidden(kWidth, 48, rng), out(48, 2, rng) {
    set_requires_grad(true);
  }
  void visit(Visitor& visitor) override {
    visitor.module("words", words);
    visitor.module("hidden", hidden);
    visitor.module("out", out);
  }
  nn::Embedding words;
  nn::Linear hidden, out;
};

/// 24 texts of a batch as parts: the loss of a part is its texts' mean.
struct WordBatch {
  static constexpr int64_t kTexts = 24, kLength = 3;
  explicit WordBatch(uint64_t number) {
    Generator rng(100 + number);
    ids = Tensor::empty({kTexts, kLength}, DType::i64);
    rng.fill_integers(ids, 0, WordModel::kWords);
    labels = Tensor::empty({kTexts}, DType::i64);
    rng.fill_integers(labels, 0, 2);
  }
  Tensor loss(const WordModel& model, int64_t first, int64_t last, Generator* rng = nullptr) const {
    Tensor x = sum(embedding(model.words.weight(), ids.slice(0, first, last)), {1});
    x = tanh(model.hidden(x));
    if (rng != nullptr) x = dropout(x, 0.2, *rng);
    return cross_entropy(model.out(x), labels.slice(0, first, last));
  }
  Tensor ids, labels;
};

/// The bits of all parameters of a model.
inline uint64_t bits_of(nn::Module& model) {
  uint64_t hash = nn::kFnvOffsetBasis;
  for (const auto& [name, tensor] : model.state_dict()) {
    const Tensor dense = tensor.contiguous();
    const auto values = dense.span<float>();
    hash = nn::fingerprint({reinterpret_cast<const char*>(values.data()), values.size_bytes()}, hash);
  }
  return hash;
}

}  // namespace qing::optim
