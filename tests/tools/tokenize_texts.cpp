// Tokenizes texts for comparison with other libraries.
//   tokenize_texts FOLDER|tokenizer.json [ROOM] < LINES
// A line is a JSON string, an array of a text and its pair, or an object with "decode", an array of ids. The answer to
// each is a line: {"windows": [{"ids", "offsets", "type_ids", "truncated"}]}, offsets of a single text in characters
// and of a pair in bytes; {"text"}; or {"error"}. {"info": true} asks for what the tokenizer is.
#include <boost/json.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include <qing/nn/text/tokenizer.h>

namespace {

namespace json = boost::json;
using qing::nn::Encoding;
using qing::nn::Tokenizer;

json::array pairs_of(const std::vector<std::pair<uint32_t, uint32_t>>& offsets) {
  json::array result;
  for (const auto& [begin, end] : offsets) result.push_back(json::array{begin, end});
  return result;
}

json::object answer(const Tokenizer& tokenizer, const json::value& line) {
  if (const json::object* object = line.if_object()) {
    if (object->contains("info")) {
      json::object info{{"vocab_size", tokenizer.vocab_size()},
                        {"max_length", tokenizer.options().max_length},
                        {"pad", tokenizer.pad_id()},
                        {"unk", tokenizer.unk_id()},
                        {"cls", tokenizer.cls_id()},
                        {"sep", tokenizer.sep_id()},
                        {"mask", tokenizer.mask_id()}};
      json::array tokens;
      for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) tokens.emplace_back(tokenizer.token(id));
      info["tokens"] = std::move(tokens);
      return info;
    }
    std::vector<int32_t> ids;
    for (const json::value& id : object->at("decode").as_array()) ids.push_back(id.to_number<int32_t>());
    const json::value* skip = object->if_contains("skip");
    return {{"text", tokenizer.decode(ids, skip != nullptr && skip->as_bool())}};
  }
  const bool is_pair = line.is_array();
  const std::string text(is_pair ? line.as_array().at(0).as_string() : line.as_string());
  std::vector<Encoding> windows;
  Encoding first;
  if (is_pair) {
    const std::string second(line.as_array().at(1).as_string());
    windows = tokenizer.windows(text, second);
    first = tokenizer.encode(text, second);
  } else {
    windows = tokenizer.windows(text);
    first = tokenizer.encode(text);
  }
  if (first.ids != windows.front().ids || first.offsets != windows.front().offsets)
    return {{"error", "encode() differs"}};
  json::array shown;
  for (const Encoding& window : windows) {
    shown.push_back(json::object{
        {"ids", json::value_from(window.ids)},
        {"offsets", pairs_of(is_pair ? window.offsets : qing::nn::character_offsets(text, window.offsets))},
        {"type_ids", json::value_from(window.type_ids)},
        {"truncated", window.truncated}});
  }
  return {{"windows", std::move(shown)}};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    const std::filesystem::path path = argv[1];
    const std::optional<int32_t> room = argc > 2 ? std::optional(std::stoi(argv[2])) : std::nullopt;
    const Tokenizer tokenizer =
        std::filesystem::is_directory(path) ? Tokenizer::load(path, room) : Tokenizer::load_file(path);
    for (std::string line; std::getline(std::cin, line);) {
      json::object result;
      try {
        result = answer(tokenizer, json::parse(line));
      } catch (const std::exception& error) { result = {{"error", error.what()}}; }
      std::cout << json::serialize(result) << "\n";
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
