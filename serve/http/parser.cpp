// The only file that includes Beast, which is slow to compile.
#include "parser.h"

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

namespace qing::serve {
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

std::string_view view_of(beast::string_view text) { return {text.data(), text.size()}; }

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// The characters of an authority (RFC 3986), which is what Host holds; empty is allowed.
bool is_host(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-._~!$&'()*+,;=:[]%").find(c) != std::string_view::npos;
  });
}

// Whether the first line ends as if it were of some version of HTTP.
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

// Keeps the fields as views and the body as one string; the syntax is Beast's business.
class HttpParser::Request final : public http::basic_parser<true> {
 public:
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;

  explicit Request(const Limits& limits) : limits_(limits) {
    header_limit(static_cast<std::uint32_t>(limits.header_bytes));
    body_limit(limits.body_bytes);
    eager(false);
  }

  std::string_view find(std::string_view name) const {
    for (const auto& [key, value] : fields()) {
      if (same_name(key, name)) return value;
    }
    return {};
  }
  std::size_t count(std::string_view name) const {
    return static_cast<std::size_t>(
        std::ranges::count_if(fields(), [name](const auto& field) { return same_name(field.first, name); }));
  }

  std::optional<HttpResponse> refusal() const;

  struct Look {
    bool whole;              // the empty line that ends a header is there
    std::string_view wrong;  // what is the matter with its lines, or empty
  };
  // Looks at the header's lines in `data`, which grows from call to call. Beast would wait for another line end after a
  // line feed alone, and joins folded lines (RFC 9112, 2.2 and 5.2).
  Look look_at_lines(std::string_view data) {
    const std::size_t from = searched_ - std::min<std::size_t>(searched_, 3), end = data.find("\r\n\r\n", from);
    searched_ = data.size();
    const std::string_view lines = data.substr(0, end == std::string_view::npos ? end : end + 4);
    for (std::size_t at = lines.find('\n', from); at != std::string_view::npos; at = lines.find('\n', at + 1)) {
      if (at == 0 || lines[at - 1] != '\r') return {false, "a line ends in a line feed alone; end it in CR LF"};
      if (at + 1 < lines.size() && (lines[at + 1] == ' ' || lines[at + 1] == '\t')) {
        return {false, "a header is folded over lines; send it on one line"};
      }
    }
    return {end != std::string_view::npos, {}};
  }

  std::string_view method, target;
  int version = 11;
  bool has_length = false, continues = false, head_only = false;
  std::string body;

 private:
  // One header is looked at at a time, on any thread: its fields live no longer than the step that read them.
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
    if (is_header_done()) return;  // a trailer says nothing that counts here
    if (fields().size() == limits_.header_fields) {
      error = http::error::header_limit;
      return;
    }
    fields().emplace_back(view_of(name), view_of(value));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(beast::string_view part, error_code&) override {
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view part, error_code&) override {
    body.append(part.data(), part.size());
    return part.size();
  }
  void on_finish_impl(error_code&) override {}
  void on_response_impl(int, beast::string_view, int, error_code&) override {}

  const Limits& limits_;
  std::size_t searched_ = 0;
};

// Framing that two servers in a row might read differently is how requests are smuggled: only plain forms pass.
std::optional<HttpResponse> HttpParser::Request::refusal() const {
  const std::size_t lengths = count("Content-Length"), codings = count("Transfer-Encoding"), hosts = count("Host");
  if (lengths > 0 && codings > 0) return bad_framing("Content-Length and Transfer-Encoding together; send one of them");
  if (lengths > 1) return bad_framing("more than one Content-Length; send one");
  if (codings > 1) return bad_framing("more than one Transfer-Encoding; send one, which is chunked");
  if (codings == 1 && (!same_name(find("Transfer-Encoding"), "chunked") || version == 10)) {
    return bad_framing("Transfer-Encoding: only exactly chunked is accepted, and only in HTTP/1.1");
  }
  if (lengths == 1 && !is_number(find("Content-Length"))) return bad_framing("Content-Length: not a plain number");
  if (hosts > 1 || (version == 11 && hosts == 0)) return bad_request("HTTP/1.1 asks for exactly one Host header");
  if (hosts == 1 && !is_host(find("Host"))) return bad_request("Host: not a host and port");
  // An HTTP/1.0 client that expects to be told to go on is not, but answered (RFC 9110, 10.1.1).
  if (count("Expect") > 0 && !same_name(find("Expect"), "100-continue")) {
    return error_response(417, "expectation_failed", "Expect: only 100-continue is known here");
  }
  const bool absolute = target.starts_with("http://") || target.starts_with("https://");
  if (!absolute && !target.starts_with('/') && target != "*") return bad_request("request target: not a path");
  return std::nullopt;
}

HttpParser::HttpParser(const Limits& limits) : limits_(limits), request_(std::make_unique<Request>(limits)) {}
HttpParser::~HttpParser() = default;

void HttpParser::reset() { request_ = std::make_unique<Request>(limits_); }

HttpParser::Step HttpParser::feed(std::string_view data) {
  Step step;
  Request& request = *request_;
  const bool had_header = request.is_header_done();
  // Beast would consume the request line before the rest is there, and its views would outlive the bytes.
  if (!had_header) {
    const Request::Look look = request.look_at_lines(data.substr(0, limits_.header_bytes));
    if (!look.wrong.empty()) {
      step.refusal = bad_framing(look.wrong);
    } else if (!look.whole && data.size() > limits_.header_bytes) {
      step.refusal = header_too_large(limits_);
    }
    if (!look.whole || step.refusal) return step;
  }
  request.eager(had_header);
  error_code error;
  step.consumed = request.put(boost::asio::const_buffer(data.data(), data.size()), error);
  if (error == http::error::need_more) {
    error = {};
    // The whole header is there: its end cannot make up for what its lines lack.
    if (!had_header) error = http::error::bad_version;
    // Chunk headers and trailers have no limit of their own in Beast.
    if (had_header && step.consumed == 0 && data.size() > limits_.header_bytes) error = http::error::header_limit;
  }
  if (!error && !had_header && request.is_header_done()) {
    request.has_length = request.count("Content-Length") + request.count("Transfer-Encoding") > 0;
    request.continues = same_name(request.find("Expect"), "100-continue") && request.version == 11;
    request.head_only = request.method == "HEAD";
    step.refusal = request.refusal();
    return step;
  }
  if (!error) return step;
  request.head_only = false;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    step.refusal = header_too_large(limits_);
  } else if (error == http::error::body_limit) {
    step.refusal = error_response(413, "body_too_large",
                                  fmt::format("the body exceeds the limit of {} bytes; send the "
                                              "texts in several requests",
                                              limits_.body_bytes));
  } else if (error == http::error::bad_version && names_a_version(data)) {
    step.refusal = error_response(505, "version_not_supported", "HTTP version: only 1.0 and 1.1 are spoken here");
  } else {
    step.refusal = bad_request("malformed HTTP: " + error.message());
  }
  return step;
}

bool HttpParser::header_done() const { return request_->is_header_done(); }
bool HttpParser::done() const { return request_->is_done(); }
bool HttpParser::keep_alive() const { return request_->keep_alive(); }
bool HttpParser::http_1_0() const { return request_->version == 10; }
bool HttpParser::expects_continue() const { return request_->continues; }
bool HttpParser::is_head() const { return request_->head_only; }

HttpHead HttpParser::head() const {
  std::string_view target = request_->target;
  // The absolute form, which proxies use; whose host it names does not matter here.
  if (const std::size_t scheme = target.find("://"); !target.starts_with('/') && scheme != std::string_view::npos) {
    const std::size_t path = target.find_first_of("/?", scheme + 3);
    target = path == std::string_view::npos ? "/" : target.substr(path);
  }
  const std::size_t question = std::min(target.find('?'), target.size());
  HttpHead head;
  head.method = request_->method;
  head.path = target.substr(0, question);
  head.query = target.substr(std::min(question + 1, target.size()));
  head.has_length = request_->has_length;
  head.header = [request = request_.get()](std::string_view name) { return request->find(name); };
  return head;
}

std::string_view HttpParser::header(std::string_view name) const { return request_->find(name); }
std::string HttpParser::take_body() { return std::move(request_->body); }
std::size_t HttpParser::body_size() const { return request_->body.size(); }

}  // namespace qing::serve
