#include <qing/serve/runs/list_text.h>

namespace qing::serve::cli {
namespace {

bool is_escaped(char c) { return c == ',' || c == '\\'; }

}  // namespace

std::vector<std::string> list_items(std::string_view text) {
  std::vector<std::string> items(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && is_escaped(text[i + 1])) {
      items.back() += text[++i];
    } else if (text[i] == ',') {
      items.emplace_back();
    } else {
      items.back() += text[i];
    }
  }
  return items;
}

std::string list_text(std::span<const std::string> items) {
  std::string text;
  for (const std::string& item : items) {
    if (&item != &items.front()) text += ',';
    for (const char c : item) {
      if (is_escaped(c)) text += '\\';
      text += c;
    }
  }
  return text;
}

}  // namespace qing::serve::cli
