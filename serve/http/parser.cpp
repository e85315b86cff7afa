// The only file of the server that includes Beast, which is slow to compile.
#include "parser.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <qing/serve/common/characters.h>
#include <qing/serve/http/lines.h>

namespace qing::serve {
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

std::string_view view_of(beast::string_view text) { return {text.data(), text.size()}; }

bool is_number(std::string_view text) { return !text.empty() && has_only(text, is_digit); }

// The value of Host: uri-host [ ":" port ] (RFC 9110, 7.2). The host may be empty.
bool is_host(std::string_view text) {
  constexpr std::string_view kNameCharacters = "-._~!$&'()*+,;=%";  // of a reg-name (RFC 3986, 3.2.2)
  size_t end = std::min(text.find(':'), text.size());
  if (text.starts_with('[')) {
    const size_t close = text.find(']');
    if (close == std::string_view::npos || !has_only(text.substr(1, close - 1), is_alphanumeric, "-._~!$&'()*+,;=:%"))
      return false;
    end = close + 1;
  } else if (!has_only(text.substr(0, end), is_alphanumeric, kNameCharacters)) {
    return false;
  }
  const std::string_view port = text.substr(end);
  return port.empty() || (port.starts_with(':') && (port.size() == 1 || is_number(port.substr(1))));
}

struct Target {
  std::string_view path, query;
};

// Reads the forms of RFC 9112, 3.2, except that of CONNECT. Nothing for any other text. Proxies use the absolute form.
// The host in it is not compared with this server or with the Host header.
std::optional<Target> target_of(std::string_view method, std::string_view target) {
  if (target == "*" && method == "OPTIONS") return Target{"*", {}};
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!same_name(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    const std::string_view authority = target.substr(0, target.find_first_of("/?"));
    // User information before the host is refused: it can hide the real host (RFC 9110, 4.2.4).
    if (authority.empty() || authority.starts_with(':') || !is_host(authority)) return std::nullopt;
    target.remove_prefix(authority.size());
    if (target.empty()) return Target{method == "OPTIONS" ? "*" : "/", {}};  // RFC 9112, 3.2.4
    if (target.starts_with('?')) return Target{"/", target.substr(1)};
    break;
  }
  if (!target.starts_with('/')) return std::nullopt;
  const size_t question = std::min(target.find('?'), target.size());
  return Target{target.substr(0, question), target.substr(std::min(question + 1, target.size()))};
}

// Whether the first line ends in some version of HTTP.
bool names_a_version(std::string_view data) {
  const std::string_view line = data.substr(0, data.find("\r\n"));
  const std::string_view version = line.substr(std::min(line.size(), line.rfind(' ') + 1));
  return version.size() == 8 && version.starts_with("HTTP/") && version[6] == '.';
}

HttpResponse bad_request(std::string_view why) { return error_response(400, "bad_request", why); }
HttpResponse bad_framing(std::string_view why) { return error_response(400, "bad_framing", why); }
HttpResponse header_too_large(const Limits& limits) {
  return error_response(431, "header_too_large",
                        fmt::format("headers exceed the limit of {} bytes or {} fields; send "
                                    "fewer or shorter ones",
                                    limits.header_bytes, limits.header_fields));
}

}  // namespace

// Stores the fields as views and the body as one string. Beast parses the syntax.
class HttpParser::Request final : public http::basic_parser<true> {
 public:
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

  explicit Request(const Limits& limits) : limits_(limits) {
    header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    body_limit(boost::none);  // most_body is checked here, since it depends on the route
    eager(false);
  }

  std::string_view find(std::string_view name) const {
    for (const auto& [key, value] : fields()) {
      if (same_name(key, name)) return value;
    }
    return {};
  }
  std::string_view find_last(std::string_view name) const {
    std::string_view last;
    for (const auto& [key, value] : fields()) {
      if (same_name(key, name)) last = value;
    }
    return last;
  }
  size_t count(std::string_view name) const {
    return static_cast<size_t>(
        std::ranges::count_if(fields(), [name](const auto& field) { return same_name(field.first, name); }));
  }

  std::optional<HttpResponse> refusal() const;

  HeaderLines::Look look_at_header(std::string_view data) { return header_lines_.look(data); }
  // Whether a chunk's size is next. It is checked before Beast reads it.
  bool at_chunk() const { return chunked() && chunk_line_.has_value(); }
  HeaderLines::Look look_at_chunk(std::string_view data) { return chunk_line_->look(data); }

  std::string_view method, target;
  int version = 11;
  bool has_length = false, continues = false, head_only = false;
  std::uint64_t most_body = 0;  // bytes
  bool streamed = false;        // most_body is the route's own limit
  std::string body;             // not taken yet

 private:
  // A thread parses one header at a time, and the fields are valid only during that step.
  static Fields& fields() {
    thread_local Fields fields;
    return fields;
  }

  void on_request_impl(http::verb, beast::string_view method_text, beast::string_view target_text, int version_number,
                       error_code&) override {
    method = view_of(method_text);
    target = view_of(target_text);
    version = version_number;
    fields().clear();
  }
  void on_field_impl(http::field, beast::string_view name, beast::string_view value, error_code& error) override {
    if (is_header_done()) return;  // trailers are ignored
    if (fields().size() == limits_.header_fields) {
      error = http::error::header_limit;
      return;
    }
    fields().emplace_back(view_of(name), view_of(value));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  size_t on_body_impl(beast::string_view part, error_code&) override {
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(std::uint64_t size, beast::string_view, error_code& error) override {
    chunk_line_.reset();
    if (size > most_body - chunks_) error = http::error::body_limit;
    chunks_ += error ? 0 : size;
  }
  size_t on_chunk_body_impl(std::uint64_t left, beast::string_view part, error_code&) override {
    body.append(part.data(), part.size());
    if (part.size() == left) chunk_line_.emplace(false);
    return part.size();
  }
  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, beast::string_view, int, error_code&) override {}

  const Limits& limits_;
  std::uint64_t chunks_ = 0;  // bytes of the chunks that have begun
  HeaderLines header_lines_;
  std::optional<ChunkLine> chunk_line_ = ChunkLine(true);
};

// Only unambiguous framing is accepted. Framing that two servers read differently allows request smuggling.
std::optional<HttpResponse> HttpParser::Request::refusal() const {
  const size_t lengths = count("Content-Length"), codings = count("Transfer-Encoding"), hosts = count("Host");
  if (lengths > 0 && codings > 0) return bad_framing("Content-Length and Transfer-Encoding together; send one of them");
  if (lengths > 1) return bad_framing("more than one Content-Length; send one");
  if (codings > 1) return bad_framing("more than one Transfer-Encoding; send one, which is chunked");
  if (codings == 1 && (!same_name(find("Transfer-Encoding"), "chunked") || version == 10)) {
    return bad_framing("Transfer-Encoding: only exactly chunked is accepted, and only in HTTP/1.1");
  }
  if (lengths == 1 && !is_number(find("Content-Length"))) return bad_framing("Content-Length: not a plain number");
  if (hosts > 1 || (version == 11 && hosts == 0)) return bad_request("HTTP/1.1 asks for exactly one Host header");
  if (hosts == 1 && !is_host(find("Host"))) return bad_request("Host: not a host and port");
  // An Expect header of an HTTP/1.0 client is ignored (RFC 9110, 10.1.1).
  if (count("Expect") > 0 && !same_name(find("Expect"), "100-continue")) {
    return error_response(417, "expectation_failed", "Expect: only 100-continue is known here");
  }
  if (!target_of(method, target)) return bad_request("request target: not a path, nor an http address with a host");
  return std::nullopt;
}

HttpParser::HttpParser(const Limits& limits, BodyLimit body_limit)
    : limits_(limits), body_limit_(std::move(body_limit)), request_(std::make_unique<Request>(limits)) {}
HttpParser::~HttpParser() = default;

void HttpParser::reset() { request_ = std::make_unique<Request>(limits_); }

HttpParser::Step HttpParser::feed(std::string_view data) {
  return request_->is_header_done() ? feed_body(data) : feed_header(data);
}

HttpParser::Step HttpParser::feed_header(std::string_view data) {
  Step step;
  Request& request = *request_;
  // The whole header is needed first: Beast would consume the request line alone, and the views would dangle.
  const HeaderLines::Look look = request.look_at_header(data.substr(0, limits_.header_bytes));
  if (!look.wrong.empty()) {
    step.refusal = bad_framing(look.wrong);
  } else if (!look.whole && data.size() > limits_.header_bytes) {
    step.refusal = header_too_large(limits_);
  }
  if (!look.whole || step.refusal) return step;
  error_code error;
  step.consumed = request.put(boost::asio::const_buffer(data.data(), data.size()), error);
  // The header is complete, so needing more data means that it is malformed.
  if (error == http::error::need_more) error = http::error::bad_version;
  if (error == http::error::bad_version && names_a_version(data)) {
    step.refusal = error_response(505, "version_not_supported", "HTTP version: only 1.0 and 1.1 are spoken here");
  } else if (error) {
    step.refusal = refusal_for(error);
  } else {
    request.has_length = request.count("Content-Length") + request.count("Transfer-Encoding") > 0;
    request.continues = same_name(request.find("Expect"), "100-continue") && request.version == 11;
    request.head_only = request.method == "HEAD";
    step.refusal = request.refusal();
    if (!step.refusal) step.refusal = set_body_limit();
  }
  return step;
}

HttpParser::Step HttpParser::feed_body(std::string_view data) {
  Step step;
  Request& request = *request_;
  while (!request.is_done() && step.consumed < data.size()) {
    const std::string_view rest = data.substr(step.consumed);
    if (request.at_chunk()) {
      const HeaderLines::Look look = request.look_at_chunk(rest.substr(0, limits_.header_bytes));
      if (!look.wrong.empty()) {
        step.refusal = bad_framing(look.wrong);
      } else if (!look.whole && rest.size() > limits_.header_bytes) {
        step.refusal = header_too_large(limits_);
      }
      if (!look.whole || step.refusal) break;
    }
    error_code error;
    step.consumed += request.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    // Any byte of a body can be consumed, and the lines of a chunk are complete, so each error is real.
    if (error) step.refusal = refusal_for(error);
    if (error) break;
  }
  if (step.refusal) request.head_only = false;
  return step;
}

std::optional<HttpResponse> HttpParser::set_body_limit() {
  Request& request = *request_;
  request.most_body = limits_.body_bytes;
  const auto length = request.content_length();
  if (!request.has_length || (length && *length <= request.most_body)) return std::nullopt;
  if (const auto limit = body_limit_ ? body_limit_(head()) : std::nullopt) {
    request.most_body = *limit;
    request.streamed = true;
  }
  if (length && *length > request.most_body) return body_too_large();
  return std::nullopt;
}

HttpResponse HttpParser::body_too_large() const {
  return error_response(413, "body_too_large",
                        fmt::format("the body exceeds the limit of {} bytes; {}", request_->most_body,
                                    request_->streamed ? "send a smaller file" : "send the texts in several requests"));
}

HttpResponse HttpParser::refusal_for(const error_code& error) const {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return header_too_large(limits_);
  if (error == http::error::body_limit) return body_too_large();
  return bad_request("malformed HTTP: " + error.message());
}

bool HttpParser::header_done() const { return request_->is_header_done(); }
bool HttpParser::done() const { return request_->is_done(); }
bool HttpParser::keep_alive() const { return request_->keep_alive(); }
bool HttpParser::http_1_0() const { return request_->version == 10; }
bool HttpParser::expects_continue() const { return request_->continues; }
bool HttpParser::is_head() const { return request_->head_only; }

HttpHead HttpParser::head() const {
  const Target target = target_of(request_->method, request_->target).value_or(Target{});
  HttpHead head;
  head.method = request_->method;
  head.path = target.path;
  head.query = target.query;
  head.has_length = request_->has_length;
  head.header = [request = request_.get()](std::string_view name) { return request->find(name); };
  return head;
}

std::string_view HttpParser::last_header(std::string_view name) const { return request_->find_last(name); }

std::string_view HttpParser::header(std::string_view name) const {
  // Before the request line has been read, the stored fields are those of an earlier request.
  return request_->method.empty() ? std::string_view() : request_->find(name);
}
std::string HttpParser::take_body() { return std::exchange(request_->body, {}); }
size_t HttpParser::body_size() const { return request_->body.size(); }

}  // namespace qing::serve
