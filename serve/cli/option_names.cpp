#include <qing/serve/cli/option_names.h>

#include <algorithm>
#include <utility>

#include <qing/optim/classifier/train_option_table.h>

namespace qing::serve::cli {
namespace {

constexpr std::string_view kPhrase = "the option ", kOfNames = "abcdefghijklmnopqrstuvwxyz0123456789_";

// Options that are not in the table of training options, or that the command sets in another way.
constexpr std::pair<std::string_view, std::string_view> kOtherNames[] = {{"text_column", "text-column"},
                                                                         {"label_column", "label-column"},
                                                                         {"label_columns", "label-columns"},
                                                                         {"label_separator", "label-separator"},
                                                                         {"encoding", "encoding"},
                                                                         {"map", "map"},
                                                                         {"pooling", "pooling"},
                                                                         {"multi_label", "multi-label 1"},
                                                                         {"extra_groups", "extra"},
                                                                         {"unlabelled_groups", "unlabelled"}};
constexpr std::string_view kImageSize = "the options height and width";

// Empty if the command has no such option.
std::string name_on_the_command_line(std::string_view name) {
  for (const auto& [member, option] : kOtherNames) {
    if (member == name) return std::string(option);
  }
  for (const optim::TrainOption& option : optim::train_option_table()) {
    if (option.name == name) return option.option_name();
  }
  return {};
}

}  // namespace

std::string with_option_names(std::string_view message) {
  std::string text;
  while (!message.empty()) {
    if (message.starts_with(kImageSize)) {
      text += "--image-size";
      message.remove_prefix(kImageSize.size());
      continue;
    }
    if (message.starts_with(kPhrase)) {
      const std::string_view rest = message.substr(kPhrase.size());
      const std::string_view name = rest.substr(0, std::min(rest.find_first_not_of(kOfNames), rest.size()));
      if (const std::string option = name_on_the_command_line(name); !option.empty()) {
        text += "--" + option;
        message = rest.substr(name.size());
        continue;
      }
    }
    text += message.front();
    message.remove_prefix(1);
  }
  return text;
}

}  // namespace qing::serve::cli
