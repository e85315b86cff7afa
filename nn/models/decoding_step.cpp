#include <qing/nn/models/decoding_step.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/autograd/ops/joining.h>
#include <qing/autograd/ops/views.h>
#include <qing/tensor/ops/decoding_attention.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

// The fewest rows for each thread that computes requests of its own: every thread reads all weights, which costs more
// than waiting for other threads when its rows do not fill a strip of the products.
constexpr int64_t kFewestRows = 16;

// The last tokens of the hypotheses of some requests, one below the other, on their way through the decoder.
class Rows {
 public:
  Rows(const TranslationModel& model, std::span<DecodingState* const> requests)
      : parts_(model.parts()), heads_(model.config().decoder_heads), requests_(requests) {
    std::vector<int32_t> ids;
    std::vector<int64_t> positions;
    for (DecodingState* const request : requests_) {
      request->search.take_slots();
      request->cache.reserve(request->search.slots());
      first_row_.push_back(std::ssize(ids));
      for (const Hypothesis& hypothesis : request->search.live()) {
        ids.push_back(hypothesis.tokens.back());
        positions.push_back(std::ssize(hypothesis.tokens) - 1);
      }
    }
    ids_ = Tensor::from<int32_t>(ids, {std::ssize(ids)});
    positions_ = Tensor::from<int64_t>(positions, {std::ssize(positions)});
    add_scores(positions);
  }

  Tensor hidden() const {
    const auto& stack = parts_.decoder;
    Tensor x = stack.embedded(parts_.embeddings(ids_), positions_, nullptr);
    for (size_t i = 0; i < stack.layers().size(); ++i) {
      const TranslationDecoderLayer& layer = stack.layers()[i];
      x = layer.around(
          x, [&](const Tensor& in) { return attend(layer.attention(), i, in); },
          [&](const Tensor& in) {
            return attend_memory(layer.memory_attention(), i, i + 1 == stack.layers().size(), in);
          });
    }
    return stack.normed(x);
  }

 private:
  void add_scores(const std::vector<int64_t>& positions) {
    const int64_t reach = positions.empty() ? 1 : *std::ranges::max_element(positions) + 1;
    const Tensor bias = parts_.decoder.relative_bias(reach);
    const Tensor dense = bias.defined() ? bias.contiguous() : bias;
    for (const DecodingState* const request : requests_) {
      scores_.push_back(slot_scores(request->search.live(), request->search.slots(), dense));
    }
    head_scores_ = bias.defined();
  }

  // The queries of request r, which are rows of `queries`.
  CachedQueries queries_of(size_t r, const Tensor& queries, const Tensor& out) const {
    const int64_t count = std::ssize(requests_[r]->search.live());
    const int64_t step = queries.strides()[0], out_step = out.size(1);
    return {.q = queries.data<float>() + first_row_[r] * step,
            .queries = count,
            .q_step = step,
            .keys_values = nullptr,
            .keys = 0,
            .out = out.data<float>() + first_row_[r] * out_step,
            .out_step = out_step};
  }

  // Copies the new keys and values into their slots.
  void store(size_t layer, const Tensor& keys, const Tensor& values) const {
    const int64_t width = keys.size(1);
    const auto bytes = sizeof(float) * static_cast<size_t>(width);
    for (size_t r = 0; r < requests_.size(); ++r) {
      int64_t row = first_row_[r];
      for (const Hypothesis& hypothesis : requests_[r]->search.live()) {
        float* const to = requests_[r]->cache.row(static_cast<int64_t>(layer), hypothesis.slots.back());
        std::memcpy(to, keys.data<float>() + row * keys.strides()[0], bytes);
        std::memcpy(to + width, values.data<float>() + row * values.strides()[0], bytes);
        ++row;
      }
    }
  }

  Tensor attend(const TranslationAttention& attention, size_t layer, const Tensor& in) const {
    const Tensor qkv = attention.queries_keys_values(in);
    const int64_t width = qkv.size(1) / 3;
    const Tensor queries = attention.at_positions(slice(qkv, 1, 0, width), positions_);
    const Tensor keys = attention.at_positions(slice(qkv, 1, width, 2 * width), positions_);
    store(layer, keys, slice(qkv, 1, 2 * width, 3 * width));
    const Tensor mixed = Tensor::empty({in.size(0), width});
    std::vector<CachedQueries> all;
    for (size_t r = 0; r < requests_.size(); ++r) {
      CachedQueries each = queries_of(r, queries, mixed);
      each.keys_values = requests_[r]->cache.row(static_cast<int64_t>(layer), 0);
      each.keys = requests_[r]->search.slots();
      if (!scores_[r].empty()) each.added = scores_[r].data();
      each.head_step = head_scores_ ? each.queries * each.keys : 0;
      all.push_back(each);
    }
    decoding_attention(all, heads_, width / heads_);
    return attention.output().forward(mixed);
  }

  Tensor attend_memory(const TranslationAttention& attention, size_t layer, bool last, const Tensor& in) const {
    const Tensor queries = attention.queries(in);
    const int64_t width = queries.size(1);
    const Tensor mixed = Tensor::empty({in.size(0), width});
    std::vector<CachedQueries> all;
    for (size_t r = 0; r < requests_.size(); ++r) {
      CachedQueries each = queries_of(r, queries, mixed);
      each.keys_values = requests_[r]->cache.memory(layer);
      each.keys = requests_[r]->cache.source_tokens();
      all.push_back(each);
      if (last) keep_alignment(r, each, width);
    }
    decoding_attention(all, heads_, width / heads_);
    return attention.output().forward(mixed);
  }

  void keep_alignment(size_t r, const CachedQueries& queries, int64_t width) const {
    const DecodingCache& cache = requests_[r]->cache;
    if (cache.alignment() == nullptr) return;
    CachedQueries one = queries;
    one.queries = 1;
    for (const Hypothesis& hypothesis : requests_[r]->search.live()) {
      decoding_attention_weights(one, heads_, width / heads_, cache.alignment(hypothesis.slots.back()));
      one.q += one.q_step;
    }
  }

  const TranslationParts& parts_;
  int64_t heads_;
  std::span<DecodingState* const> requests_;
  std::vector<int64_t> first_row_;          // of each request
  std::vector<std::vector<float>> scores_;  // see slot_scores()
  bool head_scores_ = false;
  Tensor ids_, positions_;
};

// Where each thread's requests begin, and the end. Threads have nearly equal numbers of rows.
std::vector<size_t> shares(std::span<DecodingState* const> requests, int64_t rows, int64_t threads) {
  std::vector<size_t> bounds{0};
  int64_t before = 0;
  for (size_t r = 0; r < requests.size(); ++r) {
    const auto own = std::ssize(requests[r]->search.live());
    const int64_t wanted = rows * std::ssize(bounds) / threads;
    if (std::ssize(bounds) < threads && before > 0 && before + own / 2 >= wanted && r > bounds.back()) {
      bounds.push_back(r);
    }
    before += own;
  }
  bounds.push_back(requests.size());
  return bounds;
}

}  // namespace

std::vector<DecodingCache> encoded_caches(const TranslationModel& model, const RaggedBatch& sources,
                                          std::span<const uint8_t> alignments) {
  const NoGradGuard guard;
  const Tensor memory = model.encode(sources);
  const auto& layers = model.parts().decoder.layers();
  std::vector<std::vector<Tensor>> rows(static_cast<size_t>(sources.sequences()));
  for (size_t i = 0; i < layers.size(); ++i) {
    const Tensor all = layers[i].memory_attention().keys_values(memory);
    for (size_t s = 0; s < rows.size(); ++s) {
      // A copy, so that a request that ends frees its memory.
      rows[s].push_back(all.slice(0, sources.offsets[s], sources.offsets[s + 1]).clone());
    }
  }
  std::vector<DecodingCache> caches;
  for (size_t s = 0; s < rows.size(); ++s) caches.emplace_back(std::move(rows[s]), alignments[s] != 0);
  return caches;
}

Tensor decoding_step(const TranslationModel& model, std::span<DecodingState* const> requests) {
  const NoGradGuard guard;
  int64_t rows = 0;
  for (const DecodingState* const request : requests) rows += std::ssize(request->search.live());
  const int64_t threads = num_threads();
  if (requests.size() < 2 || rows < kFewestRows * threads) return Rows(model, requests).hidden();
  const std::vector<size_t> bounds = shares(requests, rows, threads);
  std::vector<Tensor> hidden(bounds.size() - 1);
  parallel_for(std::ssize(hidden), 1, [&](int64_t begin, int64_t end) {
    const NoGradGuard within;
    const ThreadLimit alone(1);
    for (auto p = static_cast<size_t>(begin); std::cmp_less(p, end); ++p) {
      hidden[p] = Rows(model, requests.subspan(bounds[p], bounds[p + 1] - bounds[p])).hidden();
    }
  });
  return hidden.size() == 1 ? hidden.front() : cat(hidden);
}

}  // namespace qing::nn
