// The task "tagging": named entities in texts.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include <qing/nn/models/tagger.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/tasks/tagging/tagging_routes.h>
#include <qing/serve/tasks/tagging/tagging_training.h>
#include <qing/serve/tasks/task.h>

namespace qing::serve {
namespace tagging {
namespace {

std::string entities_json(const nn::TaggedText& tagged, const std::string& text) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("text", text).key("entities");
  write_entities(json, tagged, text);
  json.end();
  return json.take();
}

// The text, and below it a line for each entity: type, score and words.
std::string entities_text(const nn::TaggedText& tagged, const std::string& text) {
  const auto in_one_line = [](std::string part) {
    std::ranges::replace_if(
        part, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
    return part;
  };
  std::string lines = in_one_line(text);
  for (const nn::Entity& entity : tagged.entities) {
    lines += fmt::format("\n\t{}\t{:.4f}\t{}", entity.type, entity.score,
                         in_one_line(text.substr(entity.begin, entity.end - entity.begin)));
  }
  return lines;
}

class TaggingTask final : public Task {
 public:
  std::string_view name() const override { return nn::kTagging; }
  const char* about() const override {
    return "Train a tagger, which finds named entities, on sentences whose words have tags";
  }
  optim::OptionUse options() const override { return optim::OptionUse::tagging; }
  optim::TrainOptions defaults() const override {
    optim::TrainOptions options;
    options.batch = 32;
    options.epochs = 5;
    return options;
  }
  const char* data_help() const override {
    return "Training data: sentences, as lines of a word and its tag with a blank line after each sentence "
           "(CoNLL-2003), or as .jsonl with \"tokens\" and \"tags\". Tags are O, B-TYPE and I-TYPE, with or without "
           "E-TYPE and S-TYPE";
  }
  bool holds_out() const override { return true; }
  bool trains_in_ranks() const override { return true; }
  cli::TrainingUnits units() const override { return {.examples = "sentences", .work = "tokens"}; }
  std::unique_ptr<TaskRecipe> recipe() const override { return std::make_unique<TaggingRecipe>(); }

  std::shared_ptr<const nn::TaskModel> load(const std::filesystem::path& folder, DType precision) const override {
    return nn::Tagger::load(folder, precision);
  }
  std::vector<std::string> predict(const nn::TaskModel& model, std::span<const std::string> inputs,
                                   bool json) const override {
    const std::vector<nn::TaggedText> tagged = dynamic_cast<const nn::Tagger&>(model).tag(inputs);
    std::vector<std::string> lines;
    for (size_t i = 0; i < inputs.size(); ++i) {
      lines.push_back(json ? entities_json(tagged[i], inputs[i]) : entities_text(tagged[i], inputs[i]));
    }
    return lines;
  }
  std::vector<Route> routes(Service& service) const override { return tag_routes(service); }
  Routed::Run infer(Service& service, const Model& model, const Call& call) const override {
    return infer_entities(service, model, call);
  }
  std::string_view route() const override { return "POST /v1/models/{name}/tag"; }
};

}  // namespace
}  // namespace tagging

std::unique_ptr<const Task> make_tagging() { return std::make_unique<tagging::TaggingTask>(); }

}  // namespace qing::serve
