// Feedback: clients say which label was right.
#include <qing/serve/protocols/protocols.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <boost/json.hpp>

#include <qing/nn/intervals.h>
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
"index":{"type":["integer","null"],"minimum":0},"label":{"type":"string"},"text":{"type":["string","null"]},
"keep_text":{"type":["boolean","null"]}}})";
constexpr std::string_view kFeedback = R"({"type":"object","required":["id","object","model","version","request_id",
"index","predicted","label","agreed","text_kept","created"],"properties":{"id":{"type":"string"},
"object":{"const":"feedback"},"agreed":{"type":"boolean"},"text_kept":{"type":"boolean"}}})";
constexpr std::string_view kSummary = R"({"type":"object","required":["object","data"],"properties":{
"object":{"const":"list"},"data":{"type":"array","items":{"type":"object","required":["model","version","feedback",
"agreed","agreement","interval","kept_texts","labels"]}}}})";

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
  json.member("index", feedback.index).member("predicted", feedback.predicted).member("label", feedback.label);
  json.member("agreed", feedback.predicted == feedback.label).member("text_kept", !feedback.text.empty());
  json.member("created", feedback.created).end();
  return {200, json.take(), {}};
}

Feedback read_feedback(Service& service, const std::string& body, const std::string& key) {
  const Limits& limits = service.limits();
  const json::value parsed = parse_json(body, limits);
  const json::object& object = as_object(parsed, R"({"request_id": "...", "label": "..."})");
  check_members(object, "", {"request_id", "index", "label", "text", "keep_text"});
  const json::value *request = member(object, "request_id"), *label = member(object, "label"),
                    *text = member(object, "text");
  if (request == nullptr) refuse_field("request_id: is missing; give the X-Request-Id of the answer");
  if (label == nullptr) refuse_field("label: is missing; give the right label");
  Feedback feedback{.project = service.project(key), .request = text_of(*request, "request_id", limits)};
  feedback.index = index_of(object);
  feedback.label = text_of(*label, "label", limits);
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
  if (!answer->one_label) {
    refuse_field("request_id: its model gives several labels or a number, and feedback is for models of one label");
  }
  if (feedback.index >= static_cast<std::int64_t>(answer->predicted.size())) {
    refuse_field(fmt::format("index: the request had {} texts; the first has the index 0", answer->predicted.size()));
  }
  if (std::ranges::find(*answer->labels, feedback.label) == answer->labels->end()) {
    refuse_field(fmt::format("label: the model's labels are {}", fmt::join(*answer->labels, ", ")));
  }
  feedback.model = answer->model;
  feedback.version = answer->version;
  feedback.answered = answer->answered;
  const std::int32_t predicted = answer->predicted[static_cast<size_t>(feedback.index)];
  feedback.predicted = (*answer->labels)[static_cast<size_t>(predicted)];
  return feedback;
}

using Counts = std::vector<FeedbackCount>;

// The counts of one version.
void write_version(JsonWriter& json, Counts::const_iterator begin, Counts::const_iterator end) {
  std::int64_t total = 0, agreed = 0, kept = 0;
  for (auto count = begin; count != end; ++count) {
    total += count->total;
    agreed += count->agreed;
    kept += count->kept;
  }
  const nn::Interval interval = nn::wilson_interval(agreed, total);
  json.begin_object().member("model", begin->model).member("version", std::to_string(begin->version));
  json.member("feedback", total).member("agreed", agreed);
  json.member("agreement", static_cast<double>(agreed) / static_cast<double>(total));
  json.key("interval").begin_array().value(interval.low).value(interval.high).end();
  json.member("kept_texts", kept).key("labels").begin_array();
  for (auto count = begin; count != end; ++count) {
    json.begin_object().member("label", count->label).member("feedback", count->total);
    json.member("agreed", count->agreed).end();
  }
  json.end().end();
}

HttpResponse summary_response(const Counts& counts) {
  JsonWriter json;
  json.begin_object().member("object", "list").key("data").begin_array();
  for (auto begin = counts.begin(); begin != counts.end();) {
    const auto end = std::find_if(begin, counts.end(), [&](const FeedbackCount& count) {
      return count.model != begin->model || count.version != begin->version;
    });
    write_version(json, begin, end);
    begin = end;
  }
  json.end().end();
  return {200, json.take(), {}};
}

}  // namespace

std::vector<Route> feedback(Service& service) {
  return {{.method = "POST",
           .pattern = "/v1/feedback",
           .body = BodyKind::kJson,
           .operation = {kTag, "Says which label of an answered text is right", kCreate, kFeedback},
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
           .operation = {kTag, "How often feedback agreed with the answers, by model, version and label", {}, kSummary},
           .open =
               [&service](const Call& call) {
                 const Query asked = query_of(call.head.query);
                 check_query(asked, {"model"});
                 FeedbackQuery query{.project = service.project(call.key),
                                     .model = std::string(value_of(asked, "model"))};
                 return [&service, query](const std::string&, Routed::Reply reply) {
                   service.with_state(std::move(reply), [query](Database& database) {
                     return summary_response(FeedbackStore(database).counts(query));
                   });
                 };
               },
           .of_project = true}};
}

}  // namespace qing::serve::protocols
