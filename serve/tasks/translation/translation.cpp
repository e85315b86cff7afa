// The task "translation": texts in other languages.
#include <string>

#include <qing/nn/models/translator.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/tasks/task.h>
#include <qing/serve/tasks/translation/translation_routes.h>
#include <qing/serve/tasks/translation/translation_training.h>

namespace qing::serve {
namespace translation {
namespace {

std::string translation_json(const nn::Translation& translation) {
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("text", translation.text).member("score", translation.score);
  json.member("tokens", translation.tokens).member("complete", translation.complete).end();
  return json.take();
}

class TranslationTask final : public Task {
 public:
  std::string_view name() const override { return nn::kTranslation; }
  const char* about() const override { return "Train a translation model on pairs of texts"; }
  optim::OptionUse options() const override { return optim::OptionUse::translation; }
  const char* data_help() const override {
    return "Training data: pairs of texts, as a table with a column for each language, or as lines of one language "
           "with --data-target";
  }
  bool holds_out() const override { return true; }
  cli::TrainingUnits units() const override { return {.examples = "pairs", .work = "tokens"}; }
  std::unique_ptr<TaskRecipe> recipe() const override { return std::make_unique<TranslationRecipe>(); }

  std::shared_ptr<const nn::TaskModel> load(const std::filesystem::path& folder, DType precision) const override {
    return nn::Translator::load(folder, precision);
  }
  std::vector<std::string> predict(const nn::TaskModel& model, std::span<const std::string> inputs,
                                   bool json) const override {
    const auto& translator = dynamic_cast<const nn::Translator&>(model);
    std::vector<std::string> lines;
    for (const nn::Translation& each :
         translator.translate(inputs, translator.direction("", ""), translator.options())) {
      lines.push_back(json ? translation_json(each) : each.text);
    }
    return lines;
  }
  void describe(const nn::TaskModel& model, JsonWriter& json) const override {
    json.key("directions").begin_array();
    for (const nn::TranslationDirection& each : dynamic_cast<const nn::Translator&>(model).directions()) {
      json.value(nn::name_of(each));
    }
    json.end();
  }
  std::vector<Route> routes(Service& service) const override { return translation_routes(service); }
  Routed::Run infer(Service& service, const Model& model, const Call& call) const override {
    return infer_translations(service, model, call);
  }
  std::string_view route() const override { return "POST /v1/models/{name}/translate"; }
};

}  // namespace
}  // namespace translation

std::unique_ptr<const Task> make_translation() { return std::make_unique<translation::TranslationTask>(); }

}  // namespace qing::serve
