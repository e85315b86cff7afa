// Prints the rows that LabelledRowReader reads from a file, so that tests/python/test_messy_files.py can compare them.
// Each is one line of JSON. A row that cannot be used is {"line", "reason"}, and a file {"error": "..."}. The last line
// is {"guesses": "..."}.
//   read_table FILE [TEXT_COLUMN LABEL_COLUMN [DELIMITER [ENCODING [SHEET]]]]     an empty argument is the default
#include <boost/json.hpp>
#include <iostream>
#include <string>
#include <vector>

#include <qing/nn/data/labelled_rows.h>
#include <qing/tensor/errors.h>

int main(int count, char** arguments) {
  namespace json = boost::json;
  const std::vector<std::string> given(arguments + 1, arguments + count);
  if (given.empty()) {
    std::cerr << "usage: read_table FILE [TEXT_COLUMN LABEL_COLUMN [DELIMITER [ENCODING [SHEET]]]]\n";
    return 2;
  }
  const auto argument = [&](size_t i) { return i < given.size() ? given[i] : std::string(); };
  qing::nn::RowOptions options;
  if (!argument(1).empty()) options.text_column = argument(1);
  if (!argument(2).empty()) options.label_column = argument(2);
  if (!argument(3).empty()) options.table.delimiter = argument(3).front();
  options.table.encoding = argument(4);
  options.table.sheet = argument(5);
  try {
    qing::nn::LabelledRowReader reader(given[0], options);
    for (;;) {
      try {
        const auto row = reader.next();
        if (!row) break;
        std::cout << json::object{{"label", row->label}, {"text", row->text}, {"line", row->line}} << '\n';
      } catch (const qing::nn::LineError& error) {
        std::cout << json::object{{"line", error.line()}, {"reason", error.reason()}} << '\n';
      }
    }
    std::cout << json::object{{"guesses", reader.guesses()}} << '\n';
  } catch (const qing::DataError& error) { std::cout << json::object{{"error", error.what()}} << '\n'; }
}
