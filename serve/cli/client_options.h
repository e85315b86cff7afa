// The options of commands that talk to a server.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include <qing/serve/client.h>

namespace qing::serve::cli {

struct ClientArguments {
  std::string url = "http://127.0.0.1:8080";
  std::string key;
  std::filesystem::path certificate_authority;  ///< empty: the system's
  double timeout = 600;                         ///< seconds
};

/// Adds --url, --key, --certificate-authority and --timeout. The first three also come from QING_URL, QING_API_KEY and
/// QING_CERTIFICATE_AUTHORITY.
void add_client(CLI::App* command, ClientArguments& arguments);
/// UsageError for an address that is not http://HOST[:PORT] or https://HOST[:PORT], and for an authority without https.
Client client_of(const ClientArguments& arguments);

}  // namespace qing::serve::cli
