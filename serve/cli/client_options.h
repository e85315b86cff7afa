// The options of commands that talk to a server.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include <qing/serve/client.h>

namespace qing::serve::cli {

struct ClientArguments {
  std::string url = "http://127.0.0.1:8080";
  std::string key;
  double timeout = 600;  ///< seconds
};

/// Adds --url, --key and --timeout. The first two also come from QING_URL and QING_API_KEY.
void add_client(CLI::App* command, ClientArguments& arguments);
/// UsageError for an address that is not http://HOST[:PORT].
Client client_of(const ClientArguments& arguments);

}  // namespace qing::serve::cli
