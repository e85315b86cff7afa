#include <qing/nn/text/pipeline/unicode_forms.h>

#include <utf8proc.h>

#include <algorithm>
#include <unordered_map>

#include <qing/nn/text/pipeline/unicode_properties.h>

namespace qing::nn::text {
namespace {

// Hangul is composed by arithmetic (The Unicode Standard, 3.12).
constexpr char32_t kSyllable = 0xAC00, kLead = 0x1100, kVowel = 0x1161, kTail = 0x11A7;
constexpr char32_t kLeads = 19, kVowels = 21, kTails = 28, kSyllables = kLeads * kVowels * kTails;

constexpr int kLongest = 18;  // characters of the longest decomposition, that of U+FDFA

// The full decomposition, at most kLongest characters.
int decompose(char32_t c, bool compatibly, char32_t* parts) {
  utf8proc_int32_t found[kLongest];
  int boundary = 0;
  const auto options =
      static_cast<utf8proc_option_t>(compatibly ? UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT : UTF8PROC_DECOMPOSE);
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), found, kLongest, options, &boundary);
  if (count < 1 || count > kLongest) {
    parts[0] = c;
    return 1;
  }
  std::copy_n(found, count, parts);
  return static_cast<int>(count);
}

// The pairs of characters that compose, as `tokenizers` has them.
class Compositions {
 public:
  static const Compositions& get() {
    static const Compositions all;
    return all;
  }

  /// 0 when the two do not compose.
  char32_t operator()(char32_t a, char32_t b) const {
    if (b < 0x300) return 0;
    if (a - kLead < kLeads && b - kVowel < kVowels) return kSyllable + ((a - kLead) * kVowels + (b - kVowel)) * kTails;
    if (a - kSyllable < kSyllables && (a - kSyllable) % kTails == 0 && b - kTail - 1 < kTails - 1)
      return a + (b - kTail);
    const auto found = pairs_.find(key(a, b));
    return found == pairs_.end() ? 0 : found->second;
  }

 private:
  Compositions() {
    const PropertyTable& properties = PropertyTable::get();
    std::vector<std::pair<int, char32_t>> composites;  // by length, so that a pair's first part is known before
    for (char32_t c = kFirstAffected; c < 0x30000; ++c) {
      if (c >= kSyllable && c < 0xE000) continue;
      char32_t parts[kLongest];
      if (properties[c].composite()) composites.emplace_back(decompose(c, false, parts), c);
    }
    std::stable_sort(composites.begin(), composites.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (const auto& [length, c] : composites) {
      char32_t parts[kLongest];
      decompose(c, false, parts);
      if (length < 2) continue;
      char32_t first = parts[0];
      bool known = true;
      for (int i = 1; i + 1 < length && known; ++i) {
        const char32_t joined = (*this)(first, parts[i]);
        known = joined != 0;
        first = joined;
      }
      if (known) pairs_.emplace(key(first, parts[length - 1]), c);
    }
  }
  static uint64_t key(char32_t a, char32_t b) { return static_cast<uint64_t>(a) << 32 | b; }

  std::unordered_map<uint64_t, char32_t> pairs_;
};

// Decompositions with their marks in canonical order.
void decompose_all(bool compatibly, const Chars& text, std::vector<Change>& out) {
  const PropertyTable& properties = PropertyTable::get();
  size_t pending = 0;  // start of the run of marks at the end of the output
  const auto sort_marks = [&](size_t end) {
    if (end - pending > 1) {
      std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(pending),
                       out.begin() + static_cast<std::ptrdiff_t>(end), [&](const Change& a, const Change& b) {
                         return properties[a.value].combining_class() < properties[b.value].combining_class();
                       });
    }
  };
  const auto push = [&](char32_t c, int32_t change) {
    out.push_back({c, change});
    if (c < 0x300 || properties[c].combining_class() == 0) {
      sort_marks(out.size() - 1);
      pending = out.size();
    }
  };
  for (const Char& character : text) {
    const char32_t c = character.value;
    if (c < kFirstAffected) {
      push(c, 0);
      continue;
    }
    const Properties p = properties[c];
    if (!(compatibly ? p.decomposes_compatibly() : p.decomposes())) {
      push(c, 0);
      continue;
    }
    char32_t parts[kLongest];
    const int count = decompose(c, compatibly, parts);
    for (int i = 0; i < count; ++i) push(parts[i], i == 0 ? 0 : 1);
  }
  sort_marks(out.size());
}

// In place: what is written never passes what is read.
void recompose(std::vector<Change>& text) {
  const PropertyTable& properties = PropertyTable::get();
  const Compositions& composed = Compositions::get();
  const size_t none = text.size();
  size_t starter = none, written = 0;
  int last_class = -1;  // of the last mark that was kept behind the starter
  for (size_t i = 0; i < text.size(); ++i) {
    const Change next = text[i];
    const int combining = next.value < 0x300 ? 0 : properties[next.value].combining_class();
    if (starter != none && last_class < combining) {
      if (const char32_t joined = composed(text[starter].value, next.value); joined != 0) {
        text[starter] = {joined, text[starter].change + next.change - 1};
        continue;
      }
    }
    if (combining == 0) {
      starter = written;
      last_class = -1;
    } else if (starter != none) {
      last_class = combining;
    }
    text[written++] = next;
  }
  text.resize(written);
}

}  // namespace

void normalize(Form form, Chars& text, std::vector<Change>& changes, Chars& scratch) {
  if (std::all_of(text.begin(), text.end(), [](const Char& c) { return c.value < kFirstAffected; })) return;
  changes.clear();
  decompose_all(form == Form::kNfkd || form == Form::kNfkc, text, changes);
  if (form == Form::kNfc || form == Form::kNfkc) recompose(changes);
  apply_changes(changes, text, scratch);
}

}  // namespace qing::nn::text
