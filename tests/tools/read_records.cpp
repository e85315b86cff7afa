// Prints the records that RecordReader reads from a file, so that tests/python/test_csv_parity.py can compare them.
// Each is one line of JSON, the header first. An error is {"error": "..."}.
#include <boost/json.hpp>
#include <iostream>

#include <qing/nn/data/record_reader.h>
#include <qing/tensor/errors.h>

int main(int count, char** arguments) {
  namespace json = boost::json;
  if (count != 2) {
    std::cerr << "usage: read_records FILE\n";
    return 2;
  }
  try {
    qing::nn::RecordReader reader{std::filesystem::path(arguments[1])};
    std::cout << json::value_from(reader.header()) << '\n';
    while (const auto record = reader.next()) std::cout << json::value_from(*record) << '\n';
  } catch (const qing::DataError& error) { std::cout << json::object{{"error", error.what()}} << '\n'; }
}
