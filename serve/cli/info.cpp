// `qing info`.
#include <fmt/format.h>

#include <boost/json.hpp>
#include <thread>

#include <qing/nn/unique_keys.h>
#include <qing/serve/cli/commands.h>
#include <qing/serve/common/output.h>
#include <qing/tensor/files.h>
#include <qing/tensor/kernels/kernels.h>
#include <qing/tensor/machine.h>
#include <qing/tensor/threads.h>

namespace qing::serve::cli {
namespace {

boost::json::object read_config(const std::filesystem::path& model) {
  const std::filesystem::path path = model / "config.json";
  const std::string text = read_file(path);
  try {
    const boost::json::value value = nn::parse_file_json(text);
    if (value.is_object()) return value.get_object();
  } catch (const DataError& error) { throw DataError(fmt::format("{}: {}", path.string(), error.what())); }
  throw DataError(fmt::format("{}: not a JSON object; is {} a model's folder?", path.string(), model.string()));
}

}  // namespace

void run_info(const InfoArguments& arguments) {
  const char* isa = kernels::name_of(kernels::active_isa());
  const unsigned cpus = std::thread::hardware_concurrency();
  JsonObject object;
  object.text("version", kVersion).text("isa", isa).integer("threads", num_threads());
  object.integer("cpus", cpus).text("cpu", cpu_name());
  std::string text =
      fmt::format("qing {}\nisa      {}\nthreads  {} (QING_THREADS changes it)\ncpu      {} ({} visible)", kVersion,
                  isa, num_threads(), cpu_name(), cpus);
  if (!arguments.model.empty()) {
    const boost::json::object config = read_config(arguments.model);
    object.text("model", arguments.model.string()).raw("config", boost::json::serialize(config));
    text += "\nmodel    " + arguments.model.string();
    for (const auto& member : config) {
      text += fmt::format("\n  {} = {}", std::string_view(member.key()), boost::json::serialize(member.value()));
    }
  }
  print_line(arguments.json ? object.str() : text);
}

}  // namespace qing::serve::cli
