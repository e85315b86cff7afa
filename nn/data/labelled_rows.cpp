#include <qing/nn/data/labelled_rows.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include <qing/nn/text/normalizer.h>
#include <qing/tensor/files.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

const std::vector<std::string> kTextNames = {"sentence", "content", "review", "comment", "message",
                                             "tweet",    "文本",    "内容",   "评论",    "句子"};
const std::vector<std::string> kLabelNames = {"labels", "sentiment", "emotion", "category", "class",
                                              "标签",   "情感",      "类别",    "情绪"};

std::vector<std::string> other_names(const std::string& column, const std::string& usual,
                                     const std::vector<std::string>& others) {
  return column == usual ? others : std::vector<std::string>();
}
std::vector<std::string> text_names(const RowOptions& options) {
  return other_names(options.text_column, RowOptions().text_column, kTextNames);
}
std::vector<std::string> label_names(const RowOptions& options) {
  return other_names(options.label_column, RowOptions().label_column, kLabelNames);
}

// The format of a file without a suffix. Nothing for JSON.
std::optional<RecordFormat> format_of_bytes(const std::filesystem::path& path) {
  std::array<char, 4096> bytes{};
  const std::string_view front(bytes.data(), FileReader(path).read(bytes));
  const size_t begin = front.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (begin != front.npos && (front[begin] == '{' || front[begin] == '[')) return std::nullopt;
  return front.substr(0, front.find('\n')).find('\t') != front.npos ? RecordFormat::tsv : RecordFormat::csv;
}

std::string without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(kBlanks);
  if (begin == text.npos) return {};
  return std::string(text.substr(begin, text.find_last_not_of(kBlanks) + 1 - begin));
}

std::string_view view_of(const json::value* value) {
  return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : std::string_view();
}

// The text of a chat message: a string, or a list of parts of the type "text". Nothing for any other content.
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

// The single choice of a result of Label Studio. Nothing for a result of another kind.
std::optional<std::string> choice_of(const json::value& result) {
  const json::object* object = result.if_object();
  if (object == nullptr || view_of(object->if_contains("type")) != "choices") return std::nullopt;
  const json::value* value = object->if_contains("value");
  const json::value* choices =
      value == nullptr || !value->is_object() ? nullptr : value->get_object().if_contains("choices");
  if (choices == nullptr || !choices->is_array() || choices->get_array().size() != 1) return std::nullopt;
  const json::value& choice = choices->get_array().front();
  return choice.is_string() ? std::optional(std::string(choice.get_string())) : std::nullopt;
}

bool flag(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

// The choices of a task's annotations: those of the ground truth if there is one, else those of all annotators.
std::set<std::string> choices_of(const json::array& annotations) {
  std::set<std::string> all, truth;
  for (const json::value& annotation : annotations) {
    const json::object* object = annotation.if_object();
    const json::value* results = object == nullptr ? nullptr : object->if_contains("result");
    if (results == nullptr || !results->is_array() || flag(*object, "was_cancelled")) continue;
    for (const json::value& result : results->get_array()) {
      const std::optional<std::string> choice = choice_of(result);
      if (!choice) continue;
      all.insert(*choice);
      if (flag(*object, "ground_truth")) truth.insert(*choice);
    }
  }
  return truth.empty() ? all : truth;
}

}  // namespace

std::string_view name_of(LabelledFormat format) {
  switch (format) {
    case LabelledFormat::tsv: return "tsv";
    case LabelledFormat::csv: return "csv";
    case LabelledFormat::chat: return "openai-chat";
    case LabelledFormat::label_studio: return "label-studio";
    default: return "json";
  }
}

LabelledRowReader::LabelledRowReader(const std::filesystem::path& path, RowOptions options)
    : options_(std::move(options)) {
  const std::string suffix = path.extension().string();
  const bool json_file = suffix.size() == 5 && std::equal(suffix.begin(), suffix.end(), ".json", [](char a, char b) {
                           return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
                         });
  std::optional<RecordFormat> format;
  if (suffix.empty()) {
    format = format_of_bytes(path);
  } else if (!json_file) {
    format = record_format_of(path);
  }
  if (!format || format == RecordFormat::jsonl) {
    const auto layout = format ? JsonObjectReader::Layout::kLines : JsonObjectReader::Layout::kDetect;
    objects_.emplace(path.string(), layout, input_of(path), options_.max_line_bytes);
    return;
  }
  format_ = format == RecordFormat::tsv ? LabelledFormat::tsv : LabelledFormat::csv;
  RecordOptions columns{.columns = {options_.text_column, options_.label_column},
                        .optional_columns = {options_.source_column},
                        .max_line_bytes = options_.max_line_bytes};
  columns.other_names = {{options_.text_column, text_names(options_)}, {options_.label_column, label_names(options_)}};
  records_.emplace(path, *format, std::move(columns));
}

void LabelledRowReader::fail(const std::string& what) const { records_ ? records_->fail(what) : objects_->fail(what); }

std::optional<LabelledRow> LabelledRowReader::next() {
  LabelledRow row;
  if (records_) {
    std::optional<Record> record = records_->next();
    if (!record) return std::nullopt;
    row = {std::move((*record)[1]), std::move((*record)[0]), std::move((*record)[2]), records_->line()};
  } else {
    const json::object* object = objects_->next();
    if (object == nullptr) return std::nullopt;
    row = of_object(*object);
    row.line = objects_->line();
  }
  check(row);
  return row;
}

void LabelledRowReader::check(const LabelledRow& row) const {
  if (row.label.empty())
    fail(fmt::format("the {} is empty; give the text one, or remove the row", options_.label_column));
  if (!is_blank(row.text)) return;
  fail(fmt::format("the {} is {}; remove the row", options_.text_column,
                   row.text.empty() ? "empty" : "blank: it has no visible character"));
}

LabelledRow LabelledRowReader::of_object(const json::object& object) {
  const auto holds = [&](const char* name, json::kind kind) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->kind() == kind;
  };
  if (holds("messages", json::kind::array)) {
    format_ = LabelledFormat::chat;
    return of_chat(object);
  }
  if (holds("data", json::kind::object) && holds("annotations", json::kind::array)) {
    format_ = LabelledFormat::label_studio;
    return of_task(object);
  }
  format_ = LabelledFormat::columns;
  return of_columns(object);
}

LabelledRow LabelledRowReader::of_columns(const json::object& object) const {
  const auto string_of = [&](const std::string& name, const json::value& value) {
    if (value.is_string()) return std::string(value.get_string());
    fail(fmt::format("field '{}' is not a string; {}", name,
                     value.is_structured() ? "it is an array or an object; give one string" : "write it in quotes"));
  };
  const auto [text_name, text] = find_field(object, options_.text_column, text_names(options_));
  if (text == nullptr) fail(no_field(object, options_.text_column));
  LabelledRow row;
  row.text = string_of(text_name, *text);
  auto [label_name, label] = find_field(object, options_.label_column, label_names(options_));
  if (label == nullptr) fail(no_field(object, options_.label_column));
  if (const json::array* list = label->if_array()) {
    if (list->size() != 1) {
      fail(fmt::format("field '{}' is a list of {} labels; give one string", label_name, list->size()));
    }
    label = &list->front();
  }
  row.label = string_of(label_name, *label);
  if (const json::value* source = object.if_contains(options_.source_column)) {
    row.source = string_of(options_.source_column, *source);
  }
  return row;
}

LabelledRow LabelledRowReader::of_chat(const json::object& object) const {
  const json::array& messages = object.at("messages").get_array();
  const json::object* last = messages.empty() ? nullptr : messages.back().if_object();
  if (last == nullptr || view_of(last->if_contains("role")) != "assistant") {
    fail("the last message is not the assistant's; its content is the label");
  }
  if (const json::value* weight = last->if_contains("weight"); weight != nullptr && *weight == 0) {
    fail("the last message has the weight 0; remove the row, or the weight");
  }
  LabelledRow row;
  const std::optional<std::string> label = content_of(*last);
  if (!label) fail("the content of the last message is not a text; it is the label");
  row.label = without_blanks(*label);
  for (size_t i = messages.size(); i-- > 0;) {
    const json::object* message = messages[i].if_object();
    if (message == nullptr) fail(fmt::format("messages[{}] is not an object", i));
    if (view_of(message->if_contains("role")) != "user") continue;
    std::optional<std::string> text = content_of(*message);
    if (!text) fail(fmt::format("the content of messages[{}] is not a text; only texts are classified", i));
    row.text = *std::move(text);
    return row;
  }
  fail("there is no message of the user; its content is the text");
}

LabelledRow LabelledRowReader::of_task(const json::object& object) const {
  const json::object& data = object.at("data").get_object();
  auto [name, text] = find_field(data, options_.text_column, text_names(options_));
  if (text == nullptr && data.size() == 1) text = &data.begin()->value();
  if (text == nullptr) fail("data: " + no_field(data, options_.text_column));
  if (!text->is_string()) fail(fmt::format("data: field '{}' is not a string; only texts are classified", name));
  const std::set<std::string> choices = choices_of(object.at("annotations").get_array());
  if (choices.empty()) fail("the task has no annotation with one choice; annotate it, or remove it");
  if (choices.size() > 1) {
    fail(fmt::format("the annotations choose {} different labels; leave one, or mark one as the ground truth",
                     choices.size()));
  }
  return {*choices.begin(), std::string(text->get_string()), {}, 0};
}

}  // namespace qing::nn
