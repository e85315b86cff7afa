#include <qing/nn/text/pipeline/added_tokens.h>

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/tensor/errors.h>

namespace qing::nn::text {
namespace {

Properties first_character(std::string_view text) {
  size_t at = 0;
  return PropertyTable::get()[next_character(text, at)];
}

Properties last_character(std::string_view text) {
  return first_character(text.substr(previous_begin(text, text.size())));
}

}  // namespace

void AddedTokens::add(std::span<const AddedToken> tokens, const TokenModel& model) {
  const auto vocabulary_size = static_cast<int32_t>(model.size());
  int32_t next = id_end_ > vocabulary_size || vocabulary_size == 0 ? id_end_ : vocabulary_size;
  for (const AddedToken& token : tokens) {
    if (token.content.empty()) continue;
    if (const auto same = by_content_.find(token.content); same != by_content_.end()) {
      entries_[same->second].token = token;
      continue;
    }
    int32_t id = model.vocabulary().find(token.content);
    if (id < 0) id = next++;
    id_end_ = std::max(id_end_, id + 1);
    const auto [place, fresh] = by_id_.emplace(id, entries_.size());
    if (fresh) entries_.emplace_back();
    entries_[place->second] = {token, id, {}};
    by_content_.emplace(token.content, place->second);
  }
}

void AddedTokens::finish(const Normalizer* normalizer, bool split_special) {
  split_special_ = split_special;
  std::map<std::string_view, size_t> seen[2];
  for (size_t i = 0; i < entries_.size(); ++i) {
    auto& [token, id, text] = entries_[i];
    text.clear();
    if (token.normalized && normalizer != nullptr) {
      AlignedText normal;
      NormalizerScratch scratch;
      normalizer->append(token.content, 0, normal, scratch);
      if (normal.bytes.empty()) {
        throw DataError(fmt::format("added_tokens: '{}' is empty once it is normalised", token.content));
      }
      if (normal.bytes != token.content) text = normal.bytes;
    }
  }
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& entry = entries_[i];
    const std::string& text = entry.normalized.empty() ? entry.token.content : entry.normalized;
    const auto [other, fresh] = seen[entry.token.normalized ? 1 : 0].emplace(text, i);
    if (!fresh) {
      throw DataError(fmt::format("added_tokens: '{}' and '{}' are the same once they are normalised",
                                  entries_[other->second].token.content, entry.token.content));
    }
  }
  for (const bool normalized : {false, true}) {
    Finder& finder = normalized ? normalized_ : raw_;
    std::vector<std::pair<std::string_view, int32_t>> keys;
    for (const auto& [text, i] : seen[normalized ? 1 : 0]) {
      keys.emplace_back(text, static_cast<int32_t>(i));
      finder.first[static_cast<unsigned char>(text[0])] = true;
    }
    finder.trie = DoubleArray::build(std::move(keys));
  }
}

int32_t AddedTokens::find(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found == by_content_.end() ? -1 : entries_[found->second].id;
}

const AddedTokens::Entry* AddedTokens::entry(int32_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &entries_[found->second];
}

const AddedToken* AddedTokens::token(int32_t id) const {
  const Entry* found = entry(id);
  return found == nullptr ? nullptr : &found->token;
}

std::string_view AddedTokens::shown(int32_t id) const {
  const Entry* found = entry(id);
  if (found == nullptr) return {};
  return found->normalized.empty() ? found->token.content : found->normalized;
}

bool AddedTokens::is_special(std::string_view content) const {
  const auto found = by_content_.find(std::string(content));
  return found != by_content_.end() && entries_[found->second].token.special;
}

void AddedTokens::split(std::string_view text, uint32_t begin, uint32_t end, bool normalized,
                        std::vector<Piece>& pieces) const {
  if (begin == end) return;
  const Finder& finder = normalized ? normalized_ : raw_;
  const auto part = [&](size_t from, size_t to) { return text.substr(from, to - from); };
  size_t open = begin;
  for (size_t at = begin; at < end;) {
    if (!finder.first[static_cast<unsigned char>(text[at])]) {
      ++at;
      continue;
    }
    // The longest token that begins here.
    int32_t found = -1;
    size_t start = at, stop = at;
    uint32_t node = DoubleArray::kRoot;
    for (size_t i = at; i < end; ++i) {
      node = finder.trie.step(node, static_cast<unsigned char>(text[i]));
      if (node == DoubleArray::kNone) break;
      if (finder.trie.value(node) >= 0) {
        found = finder.trie.value(node);
        stop = i + 1;
      }
    }
    if (found < 0) {
      ++at;
      continue;
    }
    at = stop;
    const auto& [token, id, _] = entries_[static_cast<size_t>(found)];
    if (split_special_ && token.special) continue;
    if (token.single_word) {
      if (start > begin && last_character(part(begin, start)).word()) continue;
      if (stop < end && first_character(part(stop, end)).word()) continue;
    }
    if (token.lstrip) {
      while (start > open && last_character(part(open, start)).space()) start = previous_begin(text, start);
    }
    if (token.rstrip) {
      while (stop < end && first_character(part(stop, end)).space()) next_character(text, stop);
    }
    if (open < start) pieces.push_back({static_cast<uint32_t>(open), static_cast<uint32_t>(start)});
    pieces.push_back({static_cast<uint32_t>(start), static_cast<uint32_t>(stop), id});
    open = stop;
  }
  if (open < end) pieces.push_back({static_cast<uint32_t>(open), end});
}

}  // namespace qing::nn::text
