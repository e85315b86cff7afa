#include <qing/serve/cli/client_options.h>

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <string_view>

#include <qing/serve/cli/number_from.h>
#include <qing/serve/common/usage_error.h>

namespace qing::serve::cli {

void add_client(CLI::App* command, ClientArguments& arguments) {
  command->add_option("--url", arguments.url, "Address of the server")->capture_default_str()->envname("QING_URL");
  command
      ->add_option("--key", arguments.key, "API key. A key on the command line is seen by other users of the machine")
      ->envname("QING_API_KEY");
  command->add_option("--timeout", arguments.timeout, "Timeout in seconds of connecting, and of each piece of a body")
      ->capture_default_str()
      ->check(number_from(0.001, 1e6));
}

Client client_of(const ClientArguments& arguments) {
  constexpr std::string_view kScheme = "http://";
  const auto refuse = [&] {
    throw UsageError("--url: give an address such as http://127.0.0.1:8080; TLS ends at a proxy on this machine");
  };
  std::string_view rest = arguments.url;
  if (!rest.starts_with(kScheme)) refuse();
  rest.remove_prefix(kScheme.size());
  if (rest.ends_with('/')) rest.remove_suffix(1);
  ClientOptions options;
  options.port = 80;
  size_t colon = rest.rfind(':');
  if (rest.starts_with('[')) {
    const size_t close = rest.find(']');
    if (close == rest.npos) refuse();
    options.host = rest.substr(1, close - 1);
    colon = close + 1 < rest.size() ? close + 1 : rest.npos;
    if (colon != rest.npos && rest[colon] != ':') refuse();
  } else {
    options.host = rest.substr(0, colon);
  }
  if (colon != rest.npos) {
    const std::string_view port = rest.substr(colon + 1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), options.port);
    if (error != std::errc() || end != port.data() + port.size() || options.port == 0) refuse();
  }
  if (options.host.empty() || options.host.find_first_of("/?#@ ") != std::string::npos) refuse();
  options.api_key = arguments.key;
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.timeout * 1000));
  return Client(options);
}

}  // namespace qing::serve::cli
