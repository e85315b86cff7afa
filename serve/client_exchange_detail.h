// One HTTP request of a client, on its own connection.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <qing/serve/connection_options.h>
#include <qing/tensor/errors.h>

namespace qing::serve {

/// A failure that is not retried. After a timeout the service may still be computing, and a peer that sends malformed
/// HTTP will send it again.
class FinalError : public IoError {
 public:
  using IoError::IoError;
};

struct ClientRequest {
  std::string method = "POST";
  std::string target;  ///< path and query
  std::string content_type = {};
  std::string body = {};            ///< or what precedes the bytes of the file
  std::filesystem::path file = {};  ///< empty: none
  std::string end = {};             ///< follows the bytes of the file
};

struct ClientAnswer {
  int status = 0;
  std::string retry_after;  ///< the header; empty: none
  std::string body;         ///< empty when it went to the sink
};

/// Sends the request and reads the answer. options.timeout bounds connecting, and each piece of a body. Pieces of a
/// body of status 200 go to `sink`, if there is one, and its exceptions pass through. FinalError,
/// also for a certificate that is not accepted; IoError when the service cannot be reached, or a file not read.
ClientAnswer exchange(const ClientOptions& options, const ClientRequest& request,
                      const std::function<void(std::string_view)>& sink = {});

}  // namespace qing::serve
