// The options of `qing serve`, which `qing check-config` reads, too.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <qing/serve/cli/cluster_options.h>
#include <qing/serve/cli/state_option.h>
#include <qing/serve/server.h>

namespace qing::serve::cli {

struct ServeArguments {
  std::filesystem::path models = {};  ///< empty: the shipped ones
  DType precision = DType::f32;
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;
  std::filesystem::path state = default_state();
  bool state_given = false;  ///< by the command line, the environment or the configuration file
  JobOptions jobs = {.worker = "/proc/self/exe", .limits = {}};
  ClusterArguments clusters = {};
  std::filesystem::path keys = {};
  bool allow_no_keys = false;
  WebhookOptions webhook = {};
  std::filesystem::path certificate = {}, tls_key = {};  ///< both or none
  SiteOptions site = {};
  RequestLogOptions request_log = {};
  Limits limits = {};
};

/// Adds all options but --config. `arguments` must outlive the command.
void add_serve_options(CLI::App& command, ServeArguments& arguments);
/// Checks the state folder by check_state() and throws its errors. The default folder may be unusable, as in a
/// container whose file system is read-only. If it holds no state yet, arguments.state becomes empty, and the reason is
/// returned.
std::string choose_state(ServeArguments& arguments);
ServerOptions server_options(const ServeArguments& arguments);
/// The registry of the models' folder and of those that jobs made. Nothing is loaded yet. IoError without a model that
/// comes with qing; DataError as ModelsRoot.
std::shared_ptr<Registry> registry_of(const ServeArguments& arguments);

}  // namespace qing::serve::cli
