#include <qing/nn/text/pipeline/vocabulary.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

constexpr int32_t kMostIds = 1 << 24;

}  // namespace

void Vocabulary::grow(size_t slots) {
  slots_.assign(slots, {0, -1});
  for (size_t i = 0; i < entries_.size(); ++i) {
    const auto hash = static_cast<uint32_t>(hash_bytes(entries_[i].text));
    size_t at = hash & (slots - 1);
    while (slots_[at].second >= 0) at = (at + 1) & (slots - 1);
    slots_[at] = {hash, static_cast<int32_t>(i)};
  }
}

void Vocabulary::reserve(size_t tokens) {
  const size_t wanted = std::bit_ceil(std::max<size_t>(64, 2 * tokens));
  if (wanted > slots_.size()) grow(wanted);
}

void Vocabulary::add(std::string_view text, int32_t id, bool keep_old_id) {
  if (id < 0 || id >= kMostIds) throw DataError(fmt::format("the id {} is outside [0, {})", id, kMostIds));
  reserve(size_ + 1);
  const auto hash = static_cast<uint32_t>(hash_bytes(text));
  size_t at = hash & (slots_.size() - 1);
  while (slots_[at].second >= 0) {
    const auto [other, entry] = slots_[at];
    if (other == hash && entries_[static_cast<size_t>(entry)].text == text) break;
    at = (at + 1) & (slots_.size() - 1);
  }
  if (static_cast<size_t>(id) >= by_id_.size()) by_id_.resize(static_cast<size_t>(id) + 1, -1);
  if (slots_[at].second >= 0) {  // the same text again
    Entry& entry = entries_[static_cast<size_t>(slots_[at].second)];
    if (!keep_old_id) by_id_[static_cast<size_t>(entry.id)] = -1;
    entry.id = id;
  } else {
    slots_[at] = {hash, static_cast<int32_t>(entries_.size())};
    entries_.push_back({std::string(text), id});
    ++size_;
  }
  by_id_[static_cast<size_t>(id)] = slots_[at].second;
}

void Vocabulary::check() const {
  if (by_id_.size() > 16 * size_ + 65536) {
    throw DataError(fmt::format("{} tokens have ids up to {}, far above their number", size_, by_id_.size() - 1));
  }
}

int32_t Vocabulary::find(std::string_view text) const {
  if (slots_.empty()) return -1;
  const auto hash = static_cast<uint32_t>(hash_bytes(text));
  for (size_t at = hash & (slots_.size() - 1); slots_[at].second >= 0; at = (at + 1) & (slots_.size() - 1)) {
    const auto [other, index] = slots_[at];
    if (other != hash) continue;
    const Entry& entry = entries_[static_cast<size_t>(index)];
    if (entry.text == text) return entry.id;
  }
  return -1;
}

const std::string& Vocabulary::text(int32_t id) const {
  static const std::string none;
  return has(id) ? entries_[static_cast<size_t>(by_id_[static_cast<size_t>(id)])].text : none;
}

}  // namespace qing::nn::text
