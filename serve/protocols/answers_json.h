// What several protocols write alike.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <qing/serve/common/json_writer.h>
#include <qing/serve/service/service.h>

namespace qing::serve::protocols {

/// Writes {"label":…,"score":…,"scores":{…},"truncated":…}, of a multi-label model with "labels":[…], of ordered labels
/// and numbers with "value":…, with "blank":true for a text without tokens and with
/// "explanation" if one was requested.
void write_prediction(JsonWriter& json, const Answer& answer, size_t i);
/// Writes the member "trial" of a model on trial, and nothing for another model.
void write_trial(JsonWriter& json, const Model& model);
/// The names of some labels as an array.
std::string labels_json(const std::vector<std::string>& labels, std::span<const std::int32_t> chosen);
/// Writes [{"label":…,"score":…}, …], the highest score first; at most `most` of them.
void write_ranking(JsonWriter& json, const std::vector<float>& scores, const std::vector<std::string>& labels,
                   size_t most);
/// Why a model or a version is not served, for a caller that may not see the server's paths if `may_administer` is
/// false.
std::string shown_reason(const std::string& reason, bool may_administer);
/// Versions as texts: ["1","2"].
std::vector<std::string> version_texts(const std::vector<std::int64_t>& versions);

}  // namespace qing::serve::protocols
