#include <qing/nn/models/translation_decoder.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include <qing/autograd/autograd.h>
#include <qing/nn/models/decoding_step.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::nn {
namespace {

constexpr int64_t kEncodedTokens = 4096;  // of the sources that are encoded together

void check_ids(const char* what, std::span<const int32_t> ids, int64_t vocabulary) {
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocabulary) continue;
    throw IndexError(fmt::format("TranslationDecoder: {} {} is outside [0, {})", what, id, vocabulary));
  }
}

}  // namespace

class TranslationDecoder::Session {
 public:
  explicit Session(const TranslationModel& model) : model_(model) {}

  int64_t add(DecodingRequest request) {
    const TranslationConfig& config = model_.config();
    request.options.validate();
    const int64_t tokens = std::ssize(request.source);
    if (tokens < 1 || tokens > config.max_tokens) {
      throw ValueError(
          fmt::format("TranslationDecoder: a source of {} tokens; the model takes 1 to {}", tokens, config.max_tokens));
    }
    check_ids("token", request.source, config.vocab_size);
    check_ids("suppressed token", request.options.suppressed, config.vocab_size);
    if (request.options.forced_bos) check_ids("forced_bos", {&*request.options.forced_bos, 1}, config.vocab_size);
    if (request.options.forced_eos) check_ids("forced_eos", {&*request.options.forced_eos, 1}, config.vocab_size);
    // The last token is not an input.
    request.options.max_tokens = std::min(request.options.max_tokens, config.max_tokens);
    waiting_.emplace(next_id_, std::move(request));
    return next_id_++;
  }

  bool cancel(int64_t id) { return waiting_.erase(id) + live_.erase(id) > 0; }

  void step() {
    begin();
    if (live_.empty()) return;
    std::vector<DecodingState*> requests;
    std::vector<int64_t> first_row;
    int64_t rows = 0;
    for (auto& [id, state] : live_) {
      requests.push_back(&state);
      first_row.push_back(rows);
      rows += std::ssize(state.search.live());
    }
    const NoGradGuard guard;
    const Tensor logits = model_.logits(decoding_step(model_, requests));
    const int64_t vocabulary = logits.size(1);
    parallel_for(std::ssize(requests), 1, [&](int64_t begin, int64_t end) {
      for (auto r = static_cast<size_t>(begin); std::cmp_less(r, end); ++r) {
        DecodingState& state = *requests[r];
        state.search.choose(logits.data<float>() + first_row[r] * vocabulary, vocabulary, state.cache.alignment(),
                            state.cache.source_tokens());
      }
    });
    collect();
  }

  std::vector<DecodingResult> finished() { return std::exchange(finished_, {}); }

  std::vector<int32_t> progress(int64_t id) const {
    const auto found = live_.find(id);
    return found == live_.end() ? std::vector<int32_t>{} : found->second.search.progress();
  }

  int64_t requests() const { return std::ssize(waiting_) + std::ssize(live_); }
  int64_t hypotheses() const {
    int64_t sum = 0;
    for (const auto& [id, state] : live_) sum += std::ssize(state.search.live());
    return sum;
  }
  size_t bytes() const {
    size_t sum = 0;
    for (const auto& [id, state] : live_) sum += state.cache.bytes();
    return sum;
  }

 private:
  // Encodes the sources that wait, so many at a time that memory is bounded.
  void begin() {
    while (!waiting_.empty()) {
      std::vector<std::span<const int32_t>> sources;
      std::vector<uint8_t> alignments;
      int64_t tokens = 0;
      auto end = waiting_.begin();
      for (; end != waiting_.end(); ++end) {
        tokens += std::ssize(end->second.source);
        if (!sources.empty() && tokens > kEncodedTokens) break;
        sources.emplace_back(end->second.source);
        alignments.push_back(end->second.options.alignment ? 1 : 0);
      }
      std::vector<DecodingCache> caches = encoded_caches(model_, RaggedBatch::of(sources), alignments);
      size_t s = 0;
      for (auto each = waiting_.begin(); each != end; ++each, ++s) {
        live_.try_emplace(each->first, each->second.options, model_.config().start_id, model_.config().eos_id,
                          std::move(caches[s]));
      }
      waiting_.erase(waiting_.begin(), end);
    }
  }

  void collect() {
    for (auto each = live_.begin(); each != live_.end();) {
      DecodingSearch& search = each->second.search;
      if (!search.ended()) {
        ++each;
        continue;
      }
      finished_.push_back({.id = each->first, .sequences = search.results(), .error = search.error()});
      each = live_.erase(each);
    }
  }

  const TranslationModel& model_;
  int64_t next_id_ = 0;
  std::map<int64_t, DecodingRequest> waiting_;
  std::map<int64_t, DecodingState> live_;
  std::vector<DecodingResult> finished_;
};

TranslationDecoder::TranslationDecoder(const TranslationModel& model) : session_(std::make_unique<Session>(model)) {}
TranslationDecoder::~TranslationDecoder() = default;
TranslationDecoder::TranslationDecoder(TranslationDecoder&&) noexcept = default;
TranslationDecoder& TranslationDecoder::operator=(TranslationDecoder&&) noexcept = default;

int64_t TranslationDecoder::add(DecodingRequest request) { return session_->add(std::move(request)); }
bool TranslationDecoder::cancel(int64_t id) { return session_->cancel(id); }
void TranslationDecoder::step() { session_->step(); }
std::vector<DecodingResult> TranslationDecoder::finished() { return session_->finished(); }
std::vector<int32_t> TranslationDecoder::progress(int64_t id) const { return session_->progress(id); }
int64_t TranslationDecoder::requests() const { return session_->requests(); }
int64_t TranslationDecoder::hypotheses() const { return session_->hypotheses(); }
size_t TranslationDecoder::bytes() const { return session_->bytes(); }

std::vector<DecodingResult> decode(const TranslationModel& model, std::span<const DecodingRequest> requests,
                                   int64_t max_rows) {
  std::vector<size_t> order(requests.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order,
                           [&](size_t a, size_t b) { return requests[a].source.size() > requests[b].source.size(); });
  TranslationDecoder decoder(model);
  std::vector<DecodingResult> results(requests.size());
  int64_t planned = 0;  // rows of the requests in the decoder
  size_t next = 0;
  while (next < order.size() || decoder.requests() > 0) {
    while (next < order.size()) {
      const int64_t rows = requests[order[next]].options.beam_size;
      if (max_rows > 0 && planned > 0 && planned + rows > max_rows) break;
      decoder.add(requests[order[next++]]);
      planned += rows;
    }
    decoder.step();
    for (DecodingResult& result : decoder.finished()) {
      const size_t place = order[static_cast<size_t>(result.id)];
      planned -= requests[place].options.beam_size;
      result.id = static_cast<int64_t>(place);
      results[place] = std::move(result);
    }
  }
  return results;
}

}  // namespace qing::nn
