// Unicode's normalisation forms (UAX #15) of the version that `tokenizers` has, as changes to a text. utf8proc knows
// the decompositions, which never change once they are there; the property table says which of them `tokenizers` knows.
#pragma once

#include <vector>

#include <qing/nn/text/pipeline/aligned_text.h>

namespace qing::nn::text {

enum class Form { kNfd, kNfkd, kNfc, kNfkc };

/// Brings `text` into the form. `changes` and `scratch` are overwritten. Linear in the length, except for the sorting
/// of long runs of marks. Thread-safe.
void normalize(Form form, Chars& text, std::vector<Change>& changes, Chars& scratch);

/// Whether no form of any text changes the characters below this one, and none of them is a mark.
inline constexpr char32_t kFirstAffected = 0xA0;

}  // namespace qing::nn::text
