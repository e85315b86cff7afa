#include <qing/nn/text/pipeline/normalizers.h>

#include <algorithm>
#include <utility>

#include <qing/nn/text/pipeline/bert_characters.h>
#include <qing/nn/text/pipeline/byte_level.h>
#include <qing/nn/text/pipeline/unicode_properties.h>
#include <qing/nn/utf8.h>

namespace qing::nn::text {
namespace {

void decode(std::string_view piece, uint32_t base, Chars& text) {
  text.clear();
  text.reserve(piece.size());
  for (size_t at = 0; at < piece.size();) {
    const size_t begin = at;
    const char32_t c = next_character(piece, at);
    text.push_back({c, {base + static_cast<uint32_t>(begin), base + static_cast<uint32_t>(at)}});
  }
}

void lower(Chars& text, NormalizerScratch& scratch) {
  const PropertyTable& properties = PropertyTable::get();
  bool longer = false;
  for (Char& c : text) {
    if (c.value < 0x80) {
      if (c.value >= 'A' && c.value <= 'Z') c.value += 'a' - 'A';
    } else if (c.value == 0x130) {
      longer = true;
    } else if (properties[c.value].lowered()) {
      c.value = properties.lower(c.value);
    }
  }
  if (!longer) return;
  scratch.other.clear();
  for (const Char& c : text) {
    scratch.other.push_back({c.value == 0x130 ? U'i' : c.value, c.origin});
    if (c.value == 0x130) scratch.other.push_back({0x307, c.origin});
  }
  text.swap(scratch.other);
}

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<std::unique_ptr<Normalizer>> stages) : stages_(std::move(stages)) {}
  void apply(Chars& text, NormalizerScratch& scratch) const override {
    for (const auto& stage : stages_) stage->apply(text, scratch);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> stages_;
};

class Bert final : public Normalizer {
 public:
  explicit Bert(const BertNormalizerOptions& options)
      : options_(options), strip_accents_(options.strip_accents.value_or(options.lowercase)) {
    for (char32_t c = 0; c < 0x80; ++c) {
      const bool removed = options.clean_text && PropertyTable::get()[c].removed();
      const bool white = options.clean_text && (c == '\t' || c == '\n' || c == '\r');
      const bool upper = options.lowercase && c >= 'A' && c <= 'Z';
      ascii_[c] = removed ? kRemoved : white ? ' ' : static_cast<int16_t>(upper ? c + 'a' - 'A' : c);
    }
  }

  void apply(Chars& text, NormalizerScratch& scratch) const override {
    const PropertyTable& properties = PropertyTable::get();
    if (options_.clean_text) {
      std::erase_if(text, [&](const Char& c) { return properties[c.value].removed(); });
      for (Char& c : text) {
        if (properties[c.value].space()) c.value = ' ';
      }
    }
    if (options_.handle_chinese_chars) set_chinese_apart(text, scratch);
    if (strip_accents_) {
      normalize(Form::kNfd, text, scratch.changes, scratch.other);
      std::erase_if(text, [&](const Char& c) { return c.value >= 0x300 && properties[c.value].nonspacing(); });
    }
    if (options_.lowercase) lower(text, scratch);
  }

  // Characters of ASCII stand for themselves; what lies between them goes the long way.
  void append(std::string_view piece, uint32_t base, AlignedText& to, NormalizerScratch& scratch) const override {
    for (size_t at = 0; at < piece.size();) {
      size_t run = at;
      while (run < piece.size() && static_cast<unsigned char>(piece[run]) < 0x80) ++run;
      uint32_t written = to.size();
      to.bytes.resize(written + (run - at));
      to.origins.resize(to.bytes.size());
      for (; at < run; ++at) {
        const int16_t c = ascii_[static_cast<unsigned char>(piece[at])];
        to.bytes[written] = static_cast<char>(c);
        to.origins[written] = {base + static_cast<uint32_t>(at), base + static_cast<uint32_t>(at) + 1};
        written += c == kRemoved ? 0 : 1;
      }
      to.bytes.resize(written);
      to.origins.resize(written);
      const size_t begin = at;
      while (at < piece.size()) {
        const auto byte = static_cast<unsigned char>(piece[at]);
        // Marks on both sides of a removed character come together.
        if (byte < 0x80 && ascii_[byte] != kRemoved) break;
        ++at;
      }
      if (at > begin)
        Normalizer::append(piece.substr(begin, at - begin), base + static_cast<uint32_t>(begin), to, scratch);
    }
  }

 private:
  static constexpr int16_t kRemoved = -1;

  static void set_chinese_apart(Chars& text, NormalizerScratch& scratch) {
    if (std::none_of(text.begin(), text.end(), [](const Char& c) { return is_chinese(c.value); })) return;
    scratch.other.clear();
    for (const Char& c : text) {
      const bool apart = is_chinese(c.value);
      if (apart) scratch.other.push_back({' ', c.origin});
      scratch.other.push_back(c);
      if (apart) scratch.other.push_back({' ', c.origin});
    }
    text.swap(scratch.other);
  }

  BertNormalizerOptions options_;
  bool strip_accents_;
  int16_t ascii_[0x80];  // what becomes of a character of ASCII
};

class FormNormalizer final : public Normalizer {
 public:
  explicit FormNormalizer(Form form) : form_(form) {}
  void apply(Chars& text, NormalizerScratch& scratch) const override {
    normalize(form_, text, scratch.changes, scratch.other);
  }

 private:
  Form form_;
};

class Lowercase final : public Normalizer {
  void apply(Chars& text, NormalizerScratch& scratch) const override { lower(text, scratch); }
};

class StripAccents final : public Normalizer {
  void apply(Chars& text, NormalizerScratch&) const override {
    std::erase_if(text, [](const Char& c) { return c.value >= 0x300 && PropertyTable::get()[c.value].mark(); });
  }
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void apply(Chars& text, NormalizerScratch&) const override {
    const auto kept = [](const Char& c) { return !PropertyTable::get()[c.value].space(); };
    if (right_) text.erase(std::find_if(text.rbegin(), text.rend(), kept).base(), text.end());
    if (left_) text.erase(text.begin(), std::find_if(text.begin(), text.end(), kept));
  }

 private:
  bool left_, right_;
};

class Replace final : public Normalizer {
 public:
  Replace(TextPattern pattern, std::string_view content) : pattern_(std::move(pattern)) {
    for (size_t at = 0; at < content.size();) content_.push_back(next_character(content, at));
  }
  // The content has the origin of the last character that it replaces.
  void apply(Chars& text, NormalizerScratch& scratch) const override {
    scratch.values.clear();
    for (const Char& c : text) scratch.values.push_back(c.value);
    size_t from = 0, begin = 0, end = 0;
    if (!pattern_.find(scratch.values, from, begin, end)) return;
    scratch.other.clear();
    do {
      scratch.other.insert(scratch.other.end(), text.begin() + static_cast<std::ptrdiff_t>(from),
                           text.begin() + static_cast<std::ptrdiff_t>(begin));
      for (const char32_t c : content_) scratch.other.push_back({c, text[end - 1].origin});
      from = end;
    } while (pattern_.find(scratch.values, from, begin, end));
    scratch.other.insert(scratch.other.end(), text.begin() + static_cast<std::ptrdiff_t>(from), text.end());
    text.swap(scratch.other);
  }

 private:
  TextPattern pattern_;
  std::u32string content_;
};

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string_view prefix) {
    for (size_t at = 0; at < prefix.size();) prefix_.push_back({next_character(prefix, at), {}});
  }
  void apply(Chars& text, NormalizerScratch&) const override {
    if (text.empty()) return;
    const Origin origin = text.front().origin;
    text.insert(text.begin(), prefix_.begin(), prefix_.end());
    for (size_t i = 0; i < prefix_.size(); ++i) text[i].origin = origin;
  }

 private:
  Chars prefix_;
};

// The rules of the normalizer Nmt: control characters go, other white space becomes a space.
class Nmt final : public Normalizer {
  void apply(Chars& text, NormalizerScratch&) const override {
    std::erase_if(text, [](const Char& character) {
      const char32_t c = character.value;
      return (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
    });
    for (Char& character : text) {
      const char32_t c = character.value;
      const bool white = c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1680 ||
                         (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF ||
                         c == 0xFFFD;
      if (white) character.value = ' ';
    }
  }
};

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(Charsmap map) : map_(std::move(map)) {}
  void apply(Chars& text, NormalizerScratch& scratch) const override {
    map_.apply(text, scratch.changes, scratch.other);
  }

 private:
  Charsmap map_;
};

class ByteLevelNormalizer final : public Normalizer {
  void apply(Chars& text, NormalizerScratch& scratch) const override {
    scratch.other.clear();
    std::string bytes;
    for (const Char& c : text) {
      bytes.clear();
      append_utf8(bytes, c.value);
      for (const char byte : bytes)
        scratch.other.push_back({byte_character(static_cast<unsigned char>(byte)), c.origin});
    }
    text.swap(scratch.other);
  }
};

}  // namespace

void Normalizer::append(std::string_view piece, uint32_t base, AlignedText& to, NormalizerScratch& scratch) const {
  Chars& text = scratch.text;
  decode(piece, base, text);
  apply(text, scratch);
  for (const auto& [value, origin] : text) to.append(value, origin);
}

std::unique_ptr<Normalizer> bert_normalizer(const BertNormalizerOptions& options) {
  return std::make_unique<Bert>(options);
}
std::unique_ptr<Normalizer> normalizer_sequence(std::vector<std::unique_ptr<Normalizer>> stages) {
  return std::make_unique<Sequence>(std::move(stages));
}
std::unique_ptr<Normalizer> form_normalizer(Form form) { return std::make_unique<FormNormalizer>(form); }
std::unique_ptr<Normalizer> lowercase_normalizer() { return std::make_unique<Lowercase>(); }
std::unique_ptr<Normalizer> strip_accents_normalizer() { return std::make_unique<StripAccents>(); }
std::unique_ptr<Normalizer> strip_normalizer(bool left, bool right) { return std::make_unique<Strip>(left, right); }
std::unique_ptr<Normalizer> replace_normalizer(TextPattern pattern, std::string_view content) {
  return std::make_unique<Replace>(std::move(pattern), content);
}
std::unique_ptr<Normalizer> prepend_normalizer(std::string_view prefix) { return std::make_unique<Prepend>(prefix); }
std::unique_ptr<Normalizer> nmt_normalizer() { return std::make_unique<Nmt>(); }
std::unique_ptr<Normalizer> charsmap_normalizer(Charsmap map) { return std::make_unique<Precompiled>(std::move(map)); }
std::unique_ptr<Normalizer> byte_level_normalizer() { return std::make_unique<ByteLevelNormalizer>(); }

}  // namespace qing::nn::text
