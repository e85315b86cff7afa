// `qing export`.
#include <fmt/format.h>

#include <qing/nn/exports/export_model.h>
#include <qing/serve/cli/commands.h>
#include <qing/serve/cli/shipped_model.h>
#include <qing/serve/common/output.h>

namespace qing::serve::cli {

void run_export(const ExportArguments& arguments) {
  const auto format = nn::export_format_of(arguments.format);
  if (!format) throw UsageError(fmt::format("--format: '{}' is no format; see qing export --help", arguments.format));
  nn::export_model(model_or_shipped(arguments.model), *format, arguments.out);
  print_line(fmt::format("exported to {}", arguments.out.string()));
}

}  // namespace qing::serve::cli
