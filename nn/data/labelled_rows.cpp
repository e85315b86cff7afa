#include <qing/nn/data/labelled_rows.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <tuple>
#include <utility>
#include <vector>

#include <qing/nn/data/blanks.h>
#include <qing/nn/data/json_examples.h>
#include <qing/nn/data/json_objects.h>
#include <qing/nn/data/label_guesses.h>
#include <qing/nn/data/label_sets.h>
#include <qing/nn/text/normalizer.h>

namespace qing::nn {
namespace {

namespace json = boost::json;

const std::vector<std::string> kTextNames = {"sentence", "content", "review", "comment", "comment_text", "message",
                                             "tweet",    "body",    "文本",   "内容",    "评论",         "句子"};
const std::vector<std::string> kLabelNames = {"labels", "sentiment", "emotion", "category", "class", "stars",
                                              "rating", "标签",      "情感",    "类别",     "情绪"};
const std::string kUsualText = "text", kUsualLabel = "label";

std::vector<std::string> other_names(const std::string& column, const std::string& usual,
                                     const std::vector<std::string>& others) {
  if (column != usual) return {};
  std::vector<std::string> names = {usual};
  names.insert(names.end(), others.begin(), others.end());
  return names;
}
std::vector<std::string> text_names(const RowOptions& options) {
  return other_names(options.text_column, kUsualText, kTextNames);
}
std::vector<std::string> label_names(const RowOptions& options) {
  return other_names(options.label_column, kUsualLabel, kLabelNames);
}

// The options of the table that follow from those of the rows.
TableOptions table_options(const RowOptions& options) {
  TableOptions table = options.table;
  table.max_row_bytes = options.max_line_bytes;
  table.lines_without_suffix = !options.needs_label;
  table.several_labels = options.several_labels;
  for (const auto& names : {text_names(options), label_names(options)}) {
    table.known_columns.insert(table.known_columns.end(), names.begin(), names.end());
  }
  std::vector<std::string> given = options.label_columns;
  given.insert(given.end(), {options.text_column, options.label_column});
  for (const std::string& name : given) table.known_columns.push_back(lowered(name));
  return table;
}

// What separates the labels in fields of the file: the first of kLabelSeparators that some field has outside of a list,
// and '|' if none has. Rows that cannot be read do not count.
char guessed_label_separator(const std::filesystem::path& file, RowOptions options) {
  if (!std::filesystem::is_regular_file(file)) {
    throw DataError(
        fmt::format("{}: is read twice to find what separates labels; save it in a file, or give "
                    "the option label_separator",
                    file.string()));
  }
  options.label_separator = kLabelSeparators.front();
  LabelledRowReader rows(file, std::move(options));
  const auto next = [&]() -> std::optional<LabelledRow> {
    for (;;) {
      try {
        return rows.next();
      } catch (const LineError&) {}  // the second reading says what is wrong
    }
  };
  size_t best = kLabelSeparators.size();
  while (const std::optional<LabelledRow> row = next()) {
    if (row->is_list || is_label_list(row->label)) continue;
    for (size_t i = 0; i < best; ++i) {
      if (row->label.find(kLabelSeparators[i]) != row->label.npos) best = i;
    }
    if (best == 0) break;
  }
  return best < kLabelSeparators.size() ? kLabelSeparators[best] : kLabelSeparators.front();
}

}  // namespace

std::string shortened(std::string text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  text.resize(most);
  return text;
}

std::string_view name_of(LabelledFormat format) {
  switch (format) {
    case LabelledFormat::tsv: return "tsv";
    case LabelledFormat::csv: return "csv";
    case LabelledFormat::chat: return "openai-chat";
    case LabelledFormat::label_studio: return "label-studio";
    case LabelledFormat::text: return "text";
    case LabelledFormat::fasttext: return "fasttext";
    case LabelledFormat::xlsx: return "xlsx";
    default: return "json";
  }
}

LabelledRowReader::LabelledRowReader(const std::filesystem::path& path, RowOptions options)
    : path_(path), options_(std::move(options)), table_(path, table_options(options_)) {
  switch (table_.format()) {
    case TableFormat::tsv: format_ = LabelledFormat::tsv; break;
    case TableFormat::csv: format_ = LabelledFormat::csv; break;
    case TableFormat::text: format_ = LabelledFormat::text; break;
    case TableFormat::fasttext: format_ = LabelledFormat::fasttext; break;
    case TableFormat::xlsx: format_ = LabelledFormat::xlsx; break;
    case TableFormat::json: break;
  }
  if (options_.several_labels) {
    find_label_columns();
  } else {
    options_.label_columns.clear();
  }
  if (table_.format() != TableFormat::json) find_columns();
  if (!options_.several_labels || options_.label_separator != 0 || format_ == LabelledFormat::fasttext) return;
  if (!options_.label_columns.empty()) return;
  options_.label_separator = guessed_label_separator(path, options_);
  separator_guessed_ = true;
}

std::optional<size_t> LabelledRowReader::place_of(const std::string& column,
                                                  const std::vector<std::string>& others) const {
  const std::vector<std::string>& names = table_.columns();
  auto found = std::ranges::find(names, column);
  for (size_t i = 0; i < others.size() && found == names.end(); ++i) {
    found = std::ranges::find_if(names, [&](const std::string& name) { return same_letters(name, others[i]); });
  }
  if (found == names.end()) return std::nullopt;
  if (std::find(found + 1, names.end(), *found) != names.end()) {
    table_.fail_at_header(fmt::format("the column '{}' appears twice in the header; rename or remove one", *found));
  }
  return static_cast<size_t>(found - names.begin());
}

void LabelledRowReader::fail_without(const std::string& column) const {
  std::vector<std::string> shown;
  for (const std::string& name : table_.columns()) shown.push_back(fmt::format("'{}'", shortened(visible(name), 64)));
  std::vector<std::string> marked;
  if (column == options_.label_column && !options_.several_labels) marked = guessed_columns();
  table_.fail_at_header(fmt::format(
      "no column '{}' in the header, which has: {}; name the column with the option {}{}{}", column,
      fmt::join(shown, ", "),
      column == options_.text_column    ? "text_column"
      : column == options_.label_column ? "label_column"
                                        : "label_columns",
      column == options_.text_column ? ". If the file has no names of columns, put a line with them first; if that is "
                                       "a title, remove what stands above the names"
                                     : "",
      marked.empty() ? ""
                     : fmt::format(". The columns {} seem to mark a label each: the option multi_label learns them",
                                   visible(fmt::format("{}", fmt::join(marked, ", "))))));
}

std::vector<std::string> LabelledRowReader::guessed_columns() const {
  std::vector<std::string> others = text_names(options_), labels = label_names(options_);
  others.insert(others.end(), {options_.text_column, options_.source_column});
  labels.push_back(options_.label_column);
  return guessed_label_columns(path_, table_options(options_), labels, others);
}

void LabelledRowReader::find_label_columns() {
  const TableFormat format = table_.format();
  const bool has_columns = format != TableFormat::text && format != TableFormat::fasttext;
  if (!options_.label_columns.empty() && !has_columns) {
    table_.fail_at_header("the lines of the file have no columns; leave the option label_columns out");
  }
  const bool has_label = format != TableFormat::json && place_of(options_.label_column, label_names(options_));
  if (options_.label_columns.empty() && options_.guesses_label_columns && has_columns && !has_label) {
    options_.label_columns = guessed_columns();
    columns_guessed_ = !options_.label_columns.empty();
  }
  if (format == TableFormat::json) return;
  for (const std::string& column : options_.label_columns) {
    const std::optional<size_t> at = place_of(column, {});
    if (!at) fail_without(column);
    marks_at_.push_back(*at);
  }
}

void LabelledRowReader::find_columns() {
  // Lines of text have no columns to choose from.
  text_at_ = format_ == LabelledFormat::text ? size_t{0} : place_of(options_.text_column, text_names(options_));
  if (!text_at_) fail_without(options_.text_column);
  if (std::ranges::count(marks_at_, *text_at_) > 0) {
    table_.fail_at_header(
        fmt::format("the column '{}' holds the texts and marks no label; take it out of the option label_columns",
                    visible(table_.columns()[*text_at_])));
  }
  const bool marked = !options_.label_columns.empty();
  if (!marked) label_at_ = place_of(options_.label_column, label_names(options_));
  if (label_at_ == text_at_) {
    if (options_.label_column != kUsualLabel) {
      table_.fail_at_header(
          fmt::format("the column '{}' cannot hold both the texts and the labels; name another one with the option "
                      "text_column or the option label_column",
                      visible(options_.label_column)));
    }
    label_at_.reset();
  }
  if (!label_at_ && !marked && options_.needs_label) {
    if (format_ == LabelledFormat::text) {
      table_.fail_at_header("a file of plain texts has no labels; give a table, or lines of \"__label__NAME text\"");
    }
    fail_without(options_.label_column);
  }
  source_at_ = place_of(options_.source_column, {});
  text_found_ = table_.columns()[*text_at_];
  if (label_at_) label_found_ = table_.columns()[*label_at_];
}

std::optional<LabelledRow> LabelledRowReader::next() {
  if (!table_.next()) return std::nullopt;
  LabelledRow row = table_.object() != nullptr ? of_object(*table_.object()) : of_fields();
  row.line = table_.line();
  if (options_.several_labels) split(row);
  check(row);
  return row;
}

void LabelledRowReader::split(LabelledRow& row) const {
  if (row.is_list) {
    row.label = joined_labels(row.labels);
  } else {
    row.labels = split_labels(row.label, format_ == LabelledFormat::fasttext ? ' ' : options_.label_separator);
  }
}

LabelledRow LabelledRowReader::of_fields() {
  std::vector<std::string>& fields = table_.fields();
  const auto take = [&](std::optional<size_t> at) {
    if (!at) return std::string();
    return options_.keeps_fields ? fields[*at] : std::move(fields[*at]);
  };
  LabelledRow row;
  row.is_list = !marks_at_.empty();
  for (size_t i = 0; i < marks_at_.size(); ++i) mark(row, options_.label_columns[i], fields[marks_at_[i]]);
  row.label = take(label_at_);
  row.text = take(text_at_);
  row.source = take(source_at_);
  return row;
}

void LabelledRowReader::mark(LabelledRow& row, const std::string& column, std::string_view cell) const {
  const std::optional<bool> value = mark_of(cell);
  if (!value) {
    const std::string shown =
        cell.empty() ? "is empty" : fmt::format("holds '{}'", shortened(visible(std::string(cell)), 64));
    fail(fmt::format("the column '{}' {}; write 1 or 0, true or false, or yes or no, or remove the row",
                     visible(column), shown));
  }
  if (*value) row.labels.push_back(column);
}

std::string LabelledRowReader::guesses() const {
  std::vector<std::string> parts;
  const bool text = !text_found_.empty() && text_found_ != options_.text_column && format_ != LabelledFormat::text;
  const bool label = !label_found_.empty() && label_found_ != options_.label_column;
  if (table_.is_guessed()) parts.push_back(table_.description());
  if (text) parts.push_back(fmt::format("text '{}'", visible(text_found_)));
  if (label) parts.push_back(fmt::format("label '{}'", visible(label_found_)));
  if (columns_guessed_) {
    parts.push_back(fmt::format("a label in each of the columns {}",
                                visible(fmt::format("'{}'", fmt::join(options_.label_columns, "', '")))));
  }
  if (separator_guessed_ && options_.label_separator != '|') {
    parts.push_back(fmt::format("labels separated by '{}'", options_.label_separator));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

void LabelledRowReader::check(const LabelledRow& row) const {
  if (row.label.empty() && options_.needs_label && !options_.several_labels)
    fail(fmt::format("the {} is empty; give the text one, or remove the row", options_.label_column));
  if (!options_.needs_text || !is_blank(row.text)) return;
  fail(fmt::format("the {} is {}; remove the row", options_.text_column,
                   row.text.empty() ? "empty" : "blank: it has no visible character"));
}

LabelledRow LabelledRowReader::of_object(const json::object& object) {
  if (options_.label_columns.empty() && is_chat(object)) {
    format_ = LabelledFormat::chat;
    return of_chat(object);
  }
  if (options_.label_columns.empty() && is_task(object)) {
    format_ = LabelledFormat::label_studio;
    return of_task(object);
  }
  format_ = LabelledFormat::columns;
  return of_columns(object);
}

LabelledRow LabelledRowReader::of_columns(const json::object& object) {
  const auto fault = [&](const std::string& name, const json::value& value) {
    fail(fmt::format("field '{}' is not a string; {}", name,
                     value.is_object()  ? "it is an object; name a field of it, or write one object a row"
                     : value.is_array() ? "it is an array or an object; give one string"
                                        : "write it in quotes"));
  };
  const auto string_of = [&](const std::string& name, const json::value& value) {
    if (value.is_null()) return std::string();
    if (!value.is_string()) fault(name, value);
    return std::string(value.get_string());
  };
  auto [text_name, text] = find_field(object, options_.text_column, text_names(options_));
  if (const json::value* data = object.if_contains("data"); text == nullptr && data != nullptr && data->is_object()) {
    std::tie(text_name, text) = find_field(data->get_object(), options_.text_column, text_names(options_));
    text_name = "data." + text_name;
  }
  if (text == nullptr) fail(no_field(object, options_.text_column));
  LabelledRow row;
  row.text = string_of(text_name, *text);
  const auto name_of_value = [&](const std::string& field, const json::value& value) {
    if (value.is_bool()) return std::string(value.get_bool() ? "true" : "false");
    if (value.is_double()) return fmt::format("{}", value.get_double());
    return value.is_number() ? json::serialize(value) : string_of(field, value);
  };
  if (const json::value* source = object.if_contains(options_.source_column)) {
    row.source = string_of(options_.source_column, *source);
  }
  if (text_found_.empty()) text_found_ = text_name;
  for (const std::string& column : options_.label_columns) {
    const json::value* value = find_field(object, column, {}).second;
    if (value == nullptr) fail(no_field(object, column));
    row.is_list = true;
    mark(row, column, name_of_value(column, *value));
  }
  if (row.is_list) return row;
  auto [label_name, label] = find_field(object, options_.label_column, label_names(options_));
  if (label == nullptr && (options_.several_labels || options_.needs_label)) {
    for (const std::string& usual : label_names(options_)) {
      for (const auto& entry : object) {
        const json::value& value = entry.value();
        const bool is_label =
            value.is_number() || (value.is_array() ? options_.several_labels : list_of_choices(&value) != nullptr);
        if (label != nullptr || !is_label || !same_letters(entry.key(), usual)) continue;
        label_name = entry.key();
        label = &value;
      }
    }
  }
  if (label == nullptr && options_.needs_label) fail(no_field(object, options_.label_column));
  const json::array* list = label != nullptr && label->is_array() ? &label->get_array() : list_of_choices(label);
  if (list != nullptr && options_.several_labels) {
    row.is_list = true;
    for (const json::value& one : *list) {
      std::string name(trimmed(name_of_value(label_name, one)));
      if (name.empty()) fail(fmt::format("field '{}' has an empty label in its list; remove it", label_name));
      if (std::ranges::find(row.labels, name) == row.labels.end()) row.labels.push_back(std::move(name));
    }
  } else if (label != nullptr) {
    const json::value* one = list == nullptr ? label : list->size() == 1 ? &list->front() : nullptr;
    if (one == nullptr && options_.needs_label) {
      fail(fmt::format("field '{}' is a list of {} labels; give one string, or train with the option multi_label",
                       label_name, list->size()));
    }
    // A row that is predicted needs no label, so that any other value stands for none.
    const bool named = one != nullptr && (one->is_string() || one->is_number() || one->is_bool());
    if (named || options_.needs_label) row.label = name_of_value(label_name, *one);
  }
  if (label_found_.empty() && label != nullptr) label_found_ = label_name;
  return row;
}

LabelledRow LabelledRowReader::of_chat(const json::object& object) const {
  const json::array& messages = object.at("messages").get_array();
  const json::object* last = messages.empty() ? nullptr : messages.back().if_object();
  const bool answered = last != nullptr && view_of(last->if_contains("role")) == "assistant";
  LabelledRow row;
  if (options_.needs_label || answered) {
    if (!answered) fail("the last message is not the assistant's; its content is the label");
    if (const json::value* weight = last->if_contains("weight"); weight != nullptr && *weight == 0) {
      fail("the last message has the weight 0; remove the row, or the weight");
    }
    const std::optional<std::string> label = content_of(*last);
    if (!label) fail("the content of the last message is not a text; it is the label");
    row.label = trimmed(*label);
  }
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

bool LabelledRowReader::names_a_question() const { return options_.label_column != RowOptions().label_column; }

// The answers to the question that the option label_column names. Without that option the first task that has a label
// decides whether choices or ratings are the labels.
std::set<std::string> LabelledRowReader::answers_in(const json::array& annotations) {
  const bool asks = names_a_question();
  const std::string question = asks ? options_.label_column : std::string();
  std::set<std::string> answers = choices_of(annotations, options_.several_labels, question);
  const bool rated = answers.empty();
  if (rated) answers = ratings_of(annotations, question);
  if (asks || answers.empty()) return answers;
  if (!rated_) rated_ = rated;
  if (*rated_ == rated) return answers;
  if (options_.needs_label && !(rated && options_.several_labels)) {
    fail(
        fmt::format("the task has a {0} and no {1}, and tasks before it have a {1}; name one question with "
                    "the option label_column",
                    rated ? "rating" : "choice", rated ? "choice" : "rating"));
  }
  return {};
}

LabelledRow LabelledRowReader::of_task(const json::object& object) {
  const json::object& data = object.at("data").get_object();
  auto [name, text] = find_field(data, options_.text_column, text_names(options_));
  if (text == nullptr && data.size() == 1 && options_.text_column == RowOptions().text_column) {
    text = &data.begin()->value();
  }
  if (text == nullptr) fail("data: " + no_field(data, options_.text_column));
  if (!text->is_string()) fail(fmt::format("data: field '{}' is not a string; only texts are classified", name));
  const json::array& annotations = object.at("annotations").get_array();
  const bool asks = names_a_question();
  const std::set<std::string> choices = answers_in(annotations);
  // Only a row without one label needs its questions, for the message.
  if (choices.empty() && asks && options_.needs_label) {
    const std::set<std::string> questions = questions_of(annotations);
    if (!questions.empty() && !questions.contains(options_.label_column)) {
      fail(fmt::format(
          "the task has no question '{}' with choices or a rating, but {}; name one with the option label_column",
          options_.label_column, fmt::join(questions, ", ")));
    }
  }
  if (options_.several_labels) {
    return {.label = {},
            .text = std::string(text->get_string()),
            .source = {},
            .labels = {choices.begin(), choices.end()},
            .is_list = true};
  }
  if (!options_.needs_label && choices.size() != 1)
    return {.label = {}, .text = std::string(text->get_string()), .source = {}};
  if (choices.empty()) fail("the task has no annotation with one choice or rating; annotate it, or remove it");
  if (choices.size() > 1) {
    const std::set<std::string> questions = questions_of(annotations);
    if (!asks && questions.size() > 1) {
      fail(fmt::format("the annotations answer the questions {}; name one with the option label_column",
                       fmt::join(questions, ", ")));
    }
    fail(
        fmt::format("the annotations give {} different labels; leave one, mark one as the ground truth, or train "
                    "with the option multi_label",
                    choices.size()));
  }
  return {.label = *choices.begin(), .text = std::string(text->get_string()), .source = {}};
}

}  // namespace qing::nn
