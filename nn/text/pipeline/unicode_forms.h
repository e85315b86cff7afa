// Unicode's normalisation forms (UAX #15) in the version of `tokenizers`, as changes to a text. The decompositions come
// from utf8proc, since they are the same in all versions. The property table says which of them `tokenizers` has.
#pragma once

#include <vector>

#include <qing/nn/text/pipeline/aligned_text.h>

namespace qing::nn::text {

enum class Form { kNfd, kNfkd, kNfc, kNfkc };

/// Brings `text` into the form. `changes` and `scratch` are overwritten. Linear in the length, except for the sorting
/// of long runs of marks. Thread-safe.
void normalize(Form form, Chars& text, std::vector<Change>& changes, Chars& scratch);

/// No form changes the characters below this one, and none of them is a mark.
inline constexpr char32_t kFirstAffected = 0xA0;

}  // namespace qing::nn::text
