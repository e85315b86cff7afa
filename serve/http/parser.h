// One HTTP/1.x request from bytes, framed so strictly that no other server reads it differently (RFC 9112).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <qing/serve/common/limits.h>
#include <qing/serve/http/message.h>

namespace boost::system {
class error_code;
}

namespace qing::serve {

class HttpParser {
 public:
  /// Holds header_bytes, header_fields and body_bytes.
  explicit HttpParser(const Limits& limits);
  ~HttpParser();
  HttpParser(const HttpParser&) = delete;
  HttpParser& operator=(const HttpParser&) = delete;

  /// Forgets the request, for the next one.
  void reset();

  struct Step {
    size_t consumed = 0;                  ///< bytes; what follows belongs to the next step
    std::optional<HttpResponse> refusal;  ///< the connection cannot be trusted after this one
  };
  /// Reads on. Stops at the end of the header, and at the end of the request. `data` begins with what the step before
  /// left over.
  Step feed(std::string_view data);
  bool header_done() const;
  bool done() const;
  bool keep_alive() const;
  bool http_1_0() const;
  bool expects_continue() const;
  bool is_head() const;  ///< the method is HEAD

  /// Views of the data that the header's last step was given.
  HttpHead head() const;
  /// Empty when there is none, or the header was refused before it.
  std::string_view header(std::string_view name) const;

  std::string take_body();
  size_t body_size() const;

 private:
  class Request;
  Step feed_header(std::string_view data);
  Step feed_body(std::string_view data);
  HttpResponse refusal_for(const boost::system::error_code& error) const;
  const Limits& limits_;
  std::unique_ptr<Request> request_;
};

}  // namespace qing::serve
