// An explanation as JSON, alike in all protocols and on the command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <qing/nn/models/text_classifier.h>

namespace qing::serve {

/// {"label":…,"score":…,"baseline":…,"gap":…,"encoder_end":…,"ngram_end":…,
/// "spans":[{"begin":…,"end":…,"text":…,"weight":…}, …]}; positions count Unicode characters, as Python does. `text` is
/// what was explained.
std::string explanation_json(const nn::Explanation& explanation, std::string_view text,
                             const std::vector<std::string>& labels);

}  // namespace qing::serve
