// `qing info`.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <filesystem>
#include <memory>
#include <thread>

#include <qing/nn/unique_keys.h>
#include <qing/serve/cli/command_line.h>
#include <qing/serve/common/json_text.h>
#include <qing/serve/common/json_writer.h>
#include <qing/serve/common/output.h>
#include <qing/serve/common/version.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/files.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

boost::json::object config_of(const std::filesystem::path& model) {
  const std::filesystem::path path = model / "config.json";
  const std::string text = read_file(path);
  try {
    const boost::json::value value = nn::parse_file_json(text);
    if (value.is_object()) return value.get_object();
  } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", path.string(), error.what())); }
  throw DataError(fmt::format("{}: not a JSON object; is {} a model's folder?", path.string(), model.string()));
}

void run_info(const std::filesystem::path& model, bool as_json) {
  const char* isa = kernels::name_of(kernels::active_isa());
  const unsigned cpus = std::thread::hardware_concurrency();
  JsonWriter json(JsonWriter::Style::kSpaced);
  json.begin_object().member("version", kVersion).member("isa", isa).member("threads", num_threads());
  json.member("cpus", cpus).member("cpu", cpu_name());
  std::string text =
      fmt::format("qing {}\nisa      {}\nthreads  {} (QING_THREADS changes it)\ncpu      {} ({} visible)", kVersion,
                  isa, num_threads(), cpu_name(), cpus);
  if (!model.empty()) {
    const boost::json::object config = config_of(model);
    json.member("model", model.string()).key("config").raw(json_text(config));
    text += "\nmodel    " + model.string();
    for (const auto& member : config) {
      text += fmt::format("\n  {} = {}", std::string_view(member.key()), json_text(member.value()));
    }
  }
  json.end();
  print_line(as_json ? json.take() : text);
}

}  // namespace

void add_info(CommandLine& line) {
  CLI::App* command =
      line.app.add_subcommand("info", "Show version, instruction set, threads and the configuration of a model");
  const auto model = std::make_shared<std::filesystem::path>();
  command->add_option("--model", *model, "Model folder")->type_name("FOLDER");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print a JSON object");
  command->callback([&line, model, json] { line.run = [model, json] { run_info(*model, *json); }; });
}

}  // namespace qing::serve::cli
