// One HTTP request of a client, on its own connection.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include <qing/tensor/errors.h>

namespace qing::serve {

/// A failure that is not retried. After a timeout the service may still be computing, and a peer that sends malformed
/// HTTP will send it again.
class FinalError : public IoError {
 public:
  using IoError::IoError;
};

/// What the texts of errors call the two ends, and their remedies.
struct PeerWords {
  std::string_view asker = "Client";
  std::string_view service = "a qing service";
  std::string_view authority_option = "--certificate-authority";
  std::string_view when_late = "raise the timeout or send fewer texts";
};

/// Where a request goes.
struct HttpPeer {
  std::string host;
  std::uint16_t port = 0;
  bool tls = false;                                  ///< https: the certificate must be valid for `host`
  std::filesystem::path certificate_authority = {};  ///< as client_tls()
  std::string bearer = {};                           ///< token of the header Authorization; empty: none is sent
  std::chrono::milliseconds timeout{30'000};         ///< of connecting, and of each piece of a body
  PeerWords words = {};
  std::function<bool()> stopped = {};  ///< ends the request with an IoError soon after it says true
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

/// Sends the request and reads the answer. Pieces of a body of status 200 go to `sink`, if there is one, and its
/// exceptions pass through. FinalError, also for a certificate that is not accepted; IoError when the service cannot be
/// reached, or a file not read. No text of an error holds the token.
ClientAnswer exchange(const HttpPeer& peer, const ClientRequest& request,
                      const std::function<void(std::string_view)>& sink = {});

}  // namespace qing::serve
