// Feedback: clients say which label, which labels or which number was right.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include <qing/nn/intervals.h>
#include <qing/serve/common/how_many.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/protocols/json_body.h>
#include <qing/serve/protocols/query.h>
#include <qing/serve/state/feedback.h>

namespace qing::serve::protocols {
namespace json = boost::json;
namespace {

constexpr std::string_view kTag = "feedback";
constexpr std::string_view kCreate = R"({"type":"object","required":["request_id","label"],
"additionalProperties":{"type":"null"},"properties":{"request_id":{"type":"string"},
"index":{"type":["integer","null"],"minimum":0},"label":{"type":["string","array","number"],"items":{"type":"string"}},"text":{"type":["string","null"]},
"keep_text":{"type":["boolean","null"]}}})";
constexpr std::string_view kFeedback = R"({"type":"object","required":["id","object","model","version","request_id",
"index","predicted","label","agreed","text_kept","created"],"properties":{"id":{"type":"string"},
"object":{"const":"feedback"},"agreed":{"type":"boolean"},"text_kept":{"type":"boolean"}}})";
constexpr std::string_view kSummary = R"({"type":"object","required":["object","data"],"properties":{
"object":{"const":"list"},"data":{"type":"array","items":{"type":"object","required":["model","version","feedback",
"agreed","agreement","interval","kept_texts","labels"],"properties":{"problem":{"type":"string"},
"agreement":{"type":["number","null"]}}}}}})";

std::int64_t index_of(const json::object& object) {
  const json::value* value = member(object, "index");
  if (value == nullptr) return 0;
  const std::optional<std::int64_t> index = integer_of(*value);
  if (!index || *index < 0) refuse_field("index: must be a whole number from 0");
  return *index;
}

HttpResponse feedback_response(const Feedback& feedback) {
  JsonWriter json;
  json.begin_object().member("id", feedback.id).member("object", "feedback").member("model", feedback.model);
  json.member("version", std::to_string(feedback.version)).member("request_id", feedback.request);
  json.member("index", feedback.index).key("predicted").raw(answer_json(feedback.predicted, feedback.problem));
  json.key("label").raw(answer_json(feedback.label, feedback.problem));
  json.member("agreed", feedback.predicted == feedback.label).member("text_kept", !feedback.text.empty());
  json.member("created", feedback.created).end();
  return {200, json.take(), {}};
}

[[noreturn]] void refuse_label(const std::vector<std::string>& labels) {
  refuse_field(fmt::format("label: the model's labels are {}", fmt::join(labels, ", ")));
}

std::string label_in(const json::value& value, const LoggedAnswer& answer, const Limits& limits) {
  if (!value.is_string()) refuse_field("label: must be a string; the model gives each text one label");
  std::string label = text_of(value, "label", limits);
  if (std::ranges::find(*answer.labels, label) == answer.labels->end()) refuse_label(*answer.labels);
  return label;
}

// In the order of the model's labels.
std::string set_in(const json::value& value, const LoggedAnswer& answer, const Limits& limits) {
  if (!value.is_array())
    refuse_field("label: must be a list of strings; the model gives each text any labels, or none");
  std::vector<std::string> given;
  for (const json::value& one : value.get_array()) {
    std::string label = text_of(one, "label", limits);
    if (std::ranges::find(*answer.labels, label) == answer.labels->end()) refuse_label(*answer.labels);
    if (std::ranges::find(given, label) != given.end()) {
      refuse_field(fmt::format("label: '{}' is given twice; give each label once", label));
    }
    given.push_back(std::move(label));
  }
  std::vector<std::string> sorted;
  for (const std::string& label : *answer.labels) {
    if (std::ranges::find(given, label) != given.end()) sorted.push_back(label);
  }
  return set_text(sorted);
}

std::string number_in(const json::value& value) {
  const double number = value.is_number() ? value.to_number<double>() : std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(number)) refuse_field("label: must be a finite number, which is what the model gives");
  return number_text(number);
}

// What is right, as Feedback has it.
std::string right_in(const json::value& value, const LoggedAnswer& answer, const Limits& limits) {
  switch (answer.problem) {
    case nn::Problem::multi_label: return set_in(value, answer, limits);
    case nn::Problem::regression: return number_in(value);
    default: return label_in(value, answer, limits);
  }
}

// What the model gave for a text.
std::string predicted_in(const LoggedAnswer& answer, size_t text) {
  if (answer.problem == nn::Problem::regression) return number_text(answer.values[text]);
  std::vector<std::string> labels;
  for (const std::int32_t label : answer.labels_of(text))
    labels.push_back((*answer.labels)[static_cast<size_t>(label)]);
  return answer.problem == nn::Problem::multi_label ? set_text(labels) : labels.front();
}

Feedback read_feedback(Service& service, const std::string& body, const std::string& key) {
  const Limits& limits = service.limits();
  const json::value parsed = parse_json(body, limits);
  const json::object& object = as_object(parsed, R"({"request_id": "...", "label": "..."})");
  check_members(object, "", {"request_id", "index", "label", "text", "keep_text"});
  const json::value *request = member(object, "request_id"), *label = member(object, "label"),
                    *text = member(object, "text");
  if (request == nullptr) refuse_field("request_id: is missing; give the X-Request-Id of the answer");
  if (label == nullptr) refuse_field("label: is missing; give the right label, list of labels, or number");
  Feedback feedback{.project = service.project(key), .request = text_of(*request, "request_id", limits)};
  feedback.index = index_of(object);
  const bool keep = flag_of(object, "", "keep_text", false);
  if (text != nullptr) {
    const std::string checked = text_of(*text, "text", limits);
    if (keep) feedback.text = checked;
  }
  if (keep && feedback.text.empty()) refuse_field("text: is missing; give the text that is to be kept");

  const std::optional<LoggedAnswer> answer = service.answers().find(feedback.project, feedback.request);
  if (!answer) {
    throw Refusal(error_response(404, "unknown_request",
                                 "request_id: no answer with this id is remembered; answers are remembered for 24 "
                                 "hours, until the server stops"));
  }
  if (feedback.index >= static_cast<std::int64_t>(answer->texts())) {
    refuse_field(
        fmt::format("index: the request had {}; the first has the index 0", how_many(answer->texts(), "text")));
  }
  feedback.model = answer->model;
  feedback.version = answer->version;
  feedback.answered = answer->answered;
  feedback.problem = answer->problem;
  feedback.label = right_in(*label, *answer, limits);
  feedback.predicted = predicted_in(*answer, static_cast<size_t>(feedback.index));
  return feedback;
}

using Counts = std::vector<FeedbackCount>;

// Micro- and macro-F1 of the labels, as scikit-learn has them with zero_division=0.
void write_f1(JsonWriter& json, const Counts& counts) {
  const auto f1 = [](std::int64_t both, std::int64_t others) {
    return others == 0 ? 0.0 : 2 * static_cast<double>(both) / static_cast<double>(others);
  };
  std::int64_t both = 0, others = 0;
  double sum = 0;
  for (const FeedbackCount& count : counts) {
    both += count.agreed;
    others += count.total + count.predicted;
    sum += f1(count.agreed, count.total + count.predicted);
  }
  json.member("micro_f1", f1(both, others));
  json.member("macro_f1", counts.empty() ? 0 : sum / static_cast<double>(counts.size()));
}

void write_version(JsonWriter& json, const FeedbackTotal& total, const Counts& counts) {
  json.begin_object().member("model", total.model).member("version", std::to_string(total.version));
  json.member("problem", name_of(total.problem)).member("feedback", total.total);
  if (total.problem == nn::Problem::regression) {
    // Numbers are hardly ever equal, so that they have errors and no agreement.
    for (const char* name : {"agreed", "agreement", "interval"}) json.key(name).raw("null");
    json.member("mean_absolute_error", total.absolute_error);
    json.member("root_mean_squared_error", std::sqrt(total.squared_error));
  } else {
    const nn::Interval interval = nn::wilson_interval(total.agreed, total.total);
    json.member("agreed", total.agreed);
    json.member("agreement", static_cast<double>(total.agreed) / static_cast<double>(total.total));
    json.key("interval").begin_array().value(interval.low).value(interval.high).end();
    if (total.problem == nn::Problem::multi_label) write_f1(json, counts);
  }
  json.member("kept_texts", total.kept).key("labels").begin_array();
  for (const FeedbackCount& count : counts) {
    json.begin_object().member("label", count.label).member("feedback", count.total);
    json.member("agreed", count.agreed).member("predicted", count.predicted).end();
  }
  json.end().end();
}

HttpResponse summary_response(FeedbackStore store, const FeedbackQuery& query) {
  const Counts all = store.counts(query);
  JsonWriter json;
  json.begin_object().member("object", "list").key("data").begin_array();
  for (const FeedbackTotal& total : store.totals(query)) {
    Counts counts;
    for (const FeedbackCount& count : all) {
      const bool same = count.model == total.model && count.version == total.version;
      if (same && total.problem != nn::Problem::regression) counts.push_back(count);
    }
    write_version(json, total, counts);
  }
  json.end().end();
  return {200, json.take(), {}};
}

}  // namespace

std::vector<Route> feedback(Service& service) {
  return {
      {.method = "POST",
       .pattern = "/v1/feedback",
       .body = BodyKind::kJson,
       .operation = {kTag, "Says which label, labels or number of an answered text is right", kCreate, kFeedback},
       .open =
           [&service](const Call&) {
             return [&service](const std::string& body, Routed::Reply reply) {
               Feedback read = read_feedback(service, body, reply.key);
               service.with_state(std::move(reply), [read = std::move(read)](Database& database) {
                 return feedback_response(FeedbackStore(database).add(read));
               });
             };
           },
       .of_project = true},
      {.method = "GET",
       .pattern = "/v1/feedback/summary",
       .operation = {kTag,
                     "How often feedback agreed with the answers, by model, version and label; of numbers the errors",
                     {},
                     kSummary},
       .open =
           [&service](const Call& call) {
             const Query asked = query_of(call.head.query);
             check_query(asked, {"model"});
             FeedbackQuery query{.project = service.project(call.key), .model = std::string(value_of(asked, "model"))};
             return [&service, query](const std::string&, Routed::Reply reply) {
               service.with_state(std::move(reply), [query](Database& database) {
                 return summary_response(FeedbackStore(database), query);
               });
             };
           },
       .of_project = true}};
}

}  // namespace qing::serve::protocols
