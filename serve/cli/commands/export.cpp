// `qing export`.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include <qing/nn/exports/export_model.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/cli/model_options.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/usage_error.h>

namespace qing::serve::cli {
namespace {

struct ExportArguments {
  std::filesystem::path model, out;
  std::string format;
};

void run_export(const ExportArguments& arguments) {
  const auto format = nn::export_format_of(arguments.format);
  if (!format) throw UsageError(fmt::format("--format: '{}' is no format; see qing export --help", arguments.format));
  nn::export_model(model_or_shipped(arguments.model), *format, arguments.out);
  print_line(fmt::format("exported to {}", arguments.out.string()));
}

}  // namespace

void add_export(CommandLine& line) {
  CLI::App* command = line.app.add_subcommand("export", "Export a model for other programs");
  const auto arguments = std::make_shared<ExportArguments>();
  add_model(command, arguments->model);
  command->add_option("--format", arguments->format, "Export format")
      ->required()
      ->check(CLI::IsMember(nn::export_format_names()));
  command->add_option("--out", arguments->out, "Output folder. Existing files of the same names are replaced")
      ->required()
      ->type_name("FOLDER");
  command->callback([&line, arguments] { line.run = [arguments] { run_export(*arguments); }; });
}

}  // namespace qing::serve::cli
