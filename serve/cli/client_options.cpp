#include <qing/serve/cli/client_options.h>

#include <cstdint>
#include <cstdlib>
#include <optional>

#include <qing/serve/cli/number_from.h>
#include <qing/serve/common/usage_error.h>
#include <qing/serve/http/url.h>

namespace qing::serve::cli {

void add_client(CLI::App* command, ClientArguments& arguments) {
  command->add_option("--url", arguments.url, "Address of the server, with http or https")
      ->capture_default_str()
      ->envname("QING_URL");
  command
      ->add_option("--key", arguments.key, "API key. A key on the command line is seen by other users of the machine")
      ->envname("QING_API_KEY");
  command
      ->add_option("--certificate-authority", arguments.certificate_authority,
                   "Certificates (PEM) of the authorities that may sign the server's. The default is the system's")
      ->type_name("FILE")
      ->envname("QING_CERTIFICATE_AUTHORITY");
  command->add_option("--timeout", arguments.timeout, "Timeout in seconds of connecting, and of each piece of a body")
      ->capture_default_str()
      ->check(number_from(0.001, 1e6));
}

Client client_of(const ClientArguments& arguments) {
  const std::optional<Url> url = Url::parse(arguments.url);
  if (!url || url->target != "/") {
    throw UsageError("--url: give an address such as http://127.0.0.1:8080 or https://qing.example.org");
  }
  // The one of the environment is for other addresses.
  const char* const of_environment = std::getenv("QING_CERTIFICATE_AUTHORITY");
  if (!arguments.certificate_authority.empty() && !url->tls &&
      (of_environment == nullptr || arguments.certificate_authority != of_environment)) {
    throw UsageError("--certificate-authority: is for an address with https; change --url, or leave it out");
  }
  ClientOptions options;
  options.host = url->host;
  options.port = url->port;
  options.tls = url->tls;
  options.certificate_authority = arguments.certificate_authority;
  // A key from a file often ends with a line break, which no header may have.
  options.api_key = arguments.key.substr(0, arguments.key.find_last_not_of(" \t\r\n") + 1);
  options.timeout = std::chrono::milliseconds(static_cast<std::int64_t>(arguments.timeout * 1000));
  return Client(options);
}

}  // namespace qing::serve::cli
