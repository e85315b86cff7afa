// What several protocols write alike.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// ["a","b"] of any texts.
std::string json_list(const std::vector<std::string>& texts);
/// {"label":…,"score":…,"scores":{…},"truncated":…}, "blank":true for a text without tokens and, when there is one,
/// "explanation".
std::string prediction_json(const Answer& answer, std::size_t i);
/// A member "trial" to go on with after others, or nothing without a trial.
std::string trial_member(const Model& model);
/// [{"label":…,"score":…}, …], the most likely first; at most `most`.
std::string ranked_json(const std::vector<float>& scores, const std::vector<std::string>& labels, std::size_t most);

}  // namespace qing::serve::protocols
