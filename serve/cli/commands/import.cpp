// `qing import`.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <memory>
#include <string>

#include <qing/nn/models/import_model.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>

namespace qing::serve::cli {
namespace {

struct ImportArguments {
  std::filesystem::path source, out;
  nn::ImportOptions options;
  bool json = false;
};

std::string tokenizer_note(const nn::ImportedModel& model) {
  if (!model.has_tokenizer) {
    return "warning: there is no tokenizer, without which the model reads no texts; put tokenizer.json or vocab.txt "
           "into "
           "the folder";
  }
  return model.taken.empty() ? "" : fmt::format("also from the source's folder: {}", fmt::join(model.taken, ", "));
}

void run_import(const ImportArguments& arguments) {
  const nn::ImportedModel model = nn::import_model(arguments.source, arguments.out, arguments.options);
  if (!arguments.json) {
    print_line(fmt::format("{}: {} ({}), {} parameters", arguments.out.string(), model.task, model.model_type,
                           model.parameters));
    if (const std::string note = tokenizer_note(model); !note.empty()) print_line(note);
    return;
  }
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("out", arguments.out.string()).member("task", model.task);
  json.member("model_type", model.model_type).member("parameters", model.parameters);
  json.member("taken", model.taken).member("tokenizer", model.has_tokenizer).end();
  print_line(json.take());
}

}  // namespace

void add_import(CommandLine& line) {
  CLI::App* command = line.app.add_subcommand("import", "Import a pretrained model into a folder");
  const auto arguments = std::make_shared<ImportArguments>();
  command->add_option("source", arguments->source, "Folder of Hugging Face's layout, or an ONNX, GGUF or E5S1 file")
      ->required()
      ->type_name("SOURCE");
  command->add_option("--out", arguments->out, "Output folder of the model")->required()->type_name("FOLDER");
  command
      ->add_option_function<std::string>(
          "--pooling",
          [arguments](const std::string& name) {
            arguments->options.pooling = name == "cls" ? nn::SentencePooling::cls : nn::SentencePooling::mean;
          },
          "Pooling of sentence embeddings, for a source without modules.json")
      ->check(CLI::IsMember({"mean", "cls"}))
      ->default_str("mean");
  command->add_flag("--json", arguments->json, "Print a JSON object");
  command->callback([&line, arguments] { line.run = [arguments] { run_import(*arguments); }; });
}

}  // namespace qing::serve::cli
