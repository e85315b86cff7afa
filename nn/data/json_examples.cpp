#include <qing/nn/data/json_examples.h>

#include <fmt/format.h>

#include <boost/json.hpp>
#include <vector>

namespace qing::nn {
namespace {

namespace json = boost::json;

// A result of Label Studio of one type, "choices" or "rating": null for one of another type.
const json::object* result_of(const json::value& result, std::string_view type) {
  const json::object* object = result.if_object();
  return object != nullptr && view_of(object->if_contains("type")) == type ? object : nullptr;
}

bool answers(const json::object& result, std::string_view question) {
  return question.empty() || view_of(result.if_contains("from_name")) == question;
}

// The choices of a result that answers the question, one unless there may be several. Empty for another result.
std::vector<std::string> choices_in(const json::value& result, bool several, std::string_view question) {
  const json::object* object = result_of(result, "choices");
  if (object == nullptr || !answers(*object, question)) return {};
  const json::array* choices = list_of_choices(object->if_contains("value"));
  if (choices == nullptr || (!several && choices->size() != 1)) return {};
  std::vector<std::string> names;
  for (const json::value& choice : *choices) {
    if (choice.is_string()) names.emplace_back(choice.get_string());
  }
  return names;
}

// The rating of a result that answers the question, or nothing.
std::vector<std::string> ratings_in(const json::value& result, std::string_view question) {
  const json::object* object = result_of(result, "rating");
  if (object == nullptr || !answers(*object, question)) return {};
  const json::value* value = object->if_contains("value");
  if (value == nullptr || !value->is_object()) return {};
  const json::value* rating = value->get_object().if_contains("rating");
  if (rating == nullptr || !rating->is_number()) return {};
  return {rating->is_double() ? fmt::format("{}", rating->get_double()) : json::serialize(*rating)};
}

bool holds(const json::object& object, std::string_view name, json::kind kind) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->kind() == kind;
}

bool flag(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// Calls visit(annotation, result) for the results of the annotations that are not cancelled.
void for_each_result(const json::array& annotations, const auto& visit) {
  for (const json::value& annotation : annotations) {
    const json::object* object = annotation.if_object();
    const json::value* results = object == nullptr ? nullptr : object->if_contains("result");
    if (results == nullptr || !results->is_array() || flag(*object, "was_cancelled")) continue;
    for (const json::value& result : results->get_array()) visit(*object, result);
  }
}

// What answer_in(result) gives for the annotations: of the ground truth if there is one, else of all annotators.
std::set<std::string> answers_of(const json::array& annotations, const auto& answer_in) {
  std::set<std::string> all, truth;
  for_each_result(annotations, [&](const json::object& annotation, const json::value& result) {
    for (const std::string& answer : answer_in(result)) {
      all.insert(answer);
      if (flag(annotation, "ground_truth")) truth.insert(answer);
    }
  });
  return truth.empty() ? all : truth;
}

}  // namespace

bool is_chat(const json::object& object) { return holds(object, "messages", json::kind::array); }

bool is_task(const json::object& object) {
  return holds(object, "data", json::kind::object) && holds(object, "annotations", json::kind::array);
}

std::string_view view_of(const json::value* value) {
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

std::optional<std::string> content_of(const json::object& message) {
  const json::value* content = message.if_contains("content");
  if (content == nullptr) return std::nullopt;
  if (content->is_string()) return std::string(content->get_string());
  if (!content->is_array()) return std::nullopt;
  std::string text;
  for (const json::value& part : content->get_array()) {
    const json::object* object = part.if_object();
    const json::value* found = object == nullptr ? nullptr : object->if_contains("text");
    if (found == nullptr || !found->is_string() || view_of(object->if_contains("type")) != "text") return std::nullopt;
    text += found->get_string();
  }
  return text;
}

const json::array* list_of_choices(const json::value* answer) {
  const json::object* object = answer == nullptr ? nullptr : answer->if_object();
  const json::value* choices = object == nullptr ? nullptr : object->if_contains("choices");
  return choices == nullptr ? nullptr : choices->if_array();
}

std::set<std::string> choices_of(const json::array& annotations, bool several, std::string_view question) {
  return answers_of(annotations, [&](const json::value& result) { return choices_in(result, several, question); });
}

std::set<std::string> ratings_of(const json::array& annotations, std::string_view question) {
  return answers_of(annotations, [&](const json::value& result) { return ratings_in(result, question); });
}

std::set<std::string> questions_of(const json::array& annotations) {
  std::set<std::string> names;
  for_each_result(annotations, [&](const json::object&, const json::value& result) {
    for (const char* type : {"choices", "rating"}) {
      const json::object* answer = result_of(result, type);
      if (answer != nullptr) names.emplace(view_of(answer->if_contains("from_name")));
    }
  });
  return names;
}

}  // namespace qing::nn
