#include <qing/nn/text/pipeline/graphemes.h>

#include <qing/nn/text/pipeline/unicode_properties.h>

namespace qing::nn::text {
namespace {

using enum GraphemeBreak;

bool is_control(GraphemeBreak b) { return b == kCr || b == kLf || b == kControl; }

// The rules that look at two neighbours only: GB3 to GB9b.
bool joins(GraphemeBreak a, GraphemeBreak b) {
  if (a == kCr) return b == kLf;
  if (is_control(a) || is_control(b)) return false;
  if (b == kExtend || b == kZwj || b == kSpacingMark || a == kPrepend) return true;
  if (a == kL) return b == kL || b == kV || b == kLv || b == kLvt;
  if (a == kLv || a == kV) return b == kV || b == kT;
  return (a == kLvt || a == kT) && b == kT;
}

}  // namespace

size_t grapheme_end(const Chars& text, size_t begin) {
  const PropertyTable& properties = PropertyTable::get();
  // Nothing joins two characters of ASCII but a line's end.
  if (text[begin].value < 0x80 && text[begin].value != '\r' &&
      (begin + 1 == text.size() || text[begin + 1].value < 0x80)) {
    return begin + 1;
  }
  Properties before = properties[text[begin].value];
  bool pictographic = before.grapheme_break() == kPictographic;  // GB11: a pictograph, then Extend
  bool consonant = before.conjunct_break() == ConjunctBreak::kConsonant, linked = false;  // GB9c
  size_t regional = before.grapheme_break() == kRegional ? 1 : 0;                         // GB12, GB13
  size_t end = begin + 1;
  for (; end < text.size(); ++end) {
    const Properties after = properties[text[end].value];
    const GraphemeBreak a = before.grapheme_break(), b = after.grapheme_break();
    const bool conjunct = consonant && linked && after.conjunct_break() == ConjunctBreak::kConsonant;
    const bool emoji = pictographic && a == kZwj && b == kPictographic;
    const bool flag = a == kRegional && b == kRegional && regional % 2 == 1;
    if (!joins(a, b) && !conjunct && !emoji && !flag) break;
    pictographic = b == kPictographic || (pictographic && (b == kExtend || b == kZwj));
    if (after.conjunct_break() == ConjunctBreak::kConsonant) {
      consonant = true;
      linked = false;
    } else if (after.conjunct_break() == ConjunctBreak::kLinker) {
      linked = consonant;
    } else if (after.conjunct_break() != ConjunctBreak::kExtend) {
      consonant = linked = false;
    }
    regional += b == kRegional ? 1 : 0;
    before = after;
  }
  return end;
}

}  // namespace qing::nn::text
