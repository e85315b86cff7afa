// `qing import`.
#include <fmt/format.h>

#include <qing/nn/models/import_model.h>
#include <qing/serve/cli/commands.h>
#include <qing/serve/common/output.h>

namespace qing::serve::cli {

void run_import(const ImportArguments& arguments) {
  const nn::ImportedModel model = nn::import_model(arguments.source, arguments.out);
  print_line(arguments.json ? JsonObject()
                                  .text("out", arguments.out.string())
                                  .text("task", model.task)
                                  .text("model_type", model.model_type)
                                  .integer("parameters", model.parameters)
                                  .str()
                            : fmt::format("{}: {} ({}), {} parameters", arguments.out.string(), model.task,
                                          model.model_type, model.parameters));
}

}  // namespace qing::serve::cli
