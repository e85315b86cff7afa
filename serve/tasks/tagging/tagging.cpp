// The task "tagging": named entities in texts.
#include <qing/nn/models/tagger.h>
#include <qing/serve/tasks/tagging/tagging_training.h>
#include <qing/serve/tasks/task.h>

namespace qing::serve {
namespace tagging {
namespace {

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
  std::vector<Route> routes(Service&) const override { return {}; }
  std::string_view route() const override { return "POST /v1/models/{name}/tag"; }
};

}  // namespace
}  // namespace tagging

std::unique_ptr<const Task> make_tagging() { return std::make_unique<tagging::TaggingTask>(); }

}  // namespace qing::serve
