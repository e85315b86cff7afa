// One HTTP/1.x request from bytes, framed so strictly that no other server reads it differently (RFC 9112).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
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
  /// The limit of the body of this request, if it is not body_bytes.
  using BodyLimit = std::function<std::optional<std::uint64_t>(const HttpHead&)>;

  /// Holds header_bytes, header_fields and body_bytes. `limits` must outlive it.
  explicit HttpParser(const Limits& limits, BodyLimit body_limit = {});
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
  std::string_view last_header(std::string_view name) const;  ///< the last field of the name

  /// The bytes of the body that have come since the last call. A body in pieces is taken after every step.
  std::string take_body();
  size_t body_size() const;  ///< of these bytes

 private:
  class Request;
  Step feed_header(std::string_view data);
  Step feed_body(std::string_view data);
  HttpResponse refusal_for(const boost::system::error_code& error) const;
  std::optional<HttpResponse> set_body_limit();
  HttpResponse body_too_large() const;
  const Limits& limits_;
  const BodyLimit body_limit_;
  std::unique_ptr<Request> request_;
};

}  // namespace qing::serve
