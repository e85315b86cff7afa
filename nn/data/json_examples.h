// Parts of the JSON that other programs write for labelled texts: OpenAI's chat examples and Label Studio's tasks.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>

#include <boost/json/fwd.hpp>

namespace qing::nn {

/// Whether the object is a chat example, which has a list of `messages`.
bool is_chat(const boost::json::object& object);
/// Whether the object is a task of Label Studio, which has `data` and a list of `annotations`.
bool is_task(const boost::json::object& object);

/// The string; empty if the value is none, or null.
std::string_view view_of(const boost::json::value* value);

/// The text of a chat message: a string, or a list of parts of the type "text". Nothing for any other content.
std::optional<std::string> content_of(const boost::json::object& message);

/// The list of an answer {"choices": [...]}, the form in which Label Studio writes several choices into a task's result
/// and into a column of its JSON_MIN. Null for any other value, and for null.
const boost::json::array* list_of_choices(const boost::json::value* answer);

/// The choices of a task's annotations: those of the ground truth if there is one, else those of all annotators. A
/// result with more than one choice counts only if there may be `several`.
/// Only those of the `question`, the name of a Choices tag, count; of all if it is empty.
std::set<std::string> choices_of(const boost::json::array& annotations, bool several, std::string_view question);

/// The same for ratings, such as a number of stars: "4".
std::set<std::string> ratings_of(const boost::json::array& annotations, std::string_view question);

/// The names of the questions that the annotations answer by choices or ratings.
std::set<std::string> questions_of(const boost::json::array& annotations);

}  // namespace qing::nn
