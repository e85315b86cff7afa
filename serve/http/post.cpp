#include "post.h"

#include <functional>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <qing/serve/http/tls_client.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace {

// One request, asynchronous only so that one timeout covers all of it.
class Sending {
 public:
  Sending(const Url& url, const HttpFields& fields, std::string_view body) : url_(url) {
    request_.method(http::verb::post);
    request_.target(url.target);
    request_.version(11);
    request_.set(http::field::host, url.authority());
    for (const auto& [name, value] : fields) request_.set(name, value);
    request_.keep_alive(false);
    request_.body() = body;
    request_.prepare_payload();
  }

  int run(std::chrono::milliseconds timeout) {
    boost::system::error_code error;
    const auto found = asio::ip::tcp::resolver(io_).resolve(url_.host, std::to_string(url_.port), error);
    if (error) fail(error);
    if (!url_.tls) {
      beast::tcp_stream stream(io_);
      connect(stream, found, timeout);
      return exchange(stream);
    }
    asio::ssl::context context = client_tls({});
    beast::ssl_stream<beast::tcp_stream> stream(io_, context);
    expect_host(stream.native_handle(), url_.host);
    connect(beast::get_lowest_layer(stream), found, timeout);
    wait([&](auto done) { stream.async_handshake(asio::ssl::stream_base::client, done); });
    return exchange(stream);
  }

 private:
  template <class Found>
  void connect(beast::tcp_stream& stream, const Found& found, std::chrono::milliseconds timeout) {
    stream.expires_after(timeout);
    wait([&](auto done) { stream.async_connect(found, [done](auto error, const auto&) { done(error); }); });
  }
  template <class Stream> int exchange(Stream& stream) {
    wait([&](auto done) { http::async_write(stream, request_, [done](auto error, size_t) { done(error); }); });
    beast::flat_buffer buffer;
    for (;;) {
      http::response_parser<http::empty_body> parser;
      wait([&](auto done) {
        http::async_read_header(stream, buffer, parser, [done](auto error, size_t) { done(error); });
      });
      const int status = static_cast<int>(parser.get().result_int());
      if (status >= 200) return status;  // interim responses may come first (RFC 9110, 15.2)
    }
  }
  void wait(const std::function<void(std::function<void(boost::system::error_code)>)>& start) {
    boost::system::error_code result;
    start([&result](boost::system::error_code error) { result = error; });
    io_.restart();
    io_.run();
    if (result) fail(result);
  }
  [[noreturn]] void fail(const boost::system::error_code& error) const {
    throw IoError(fmt::format("{}: {}", url_.authority(), error.message()));
  }

  const Url url_;
  asio::io_context io_;
  http::request<http::string_body> request_;
};

}  // namespace

int post(const Url& url, const HttpFields& fields, std::string_view body, std::chrono::milliseconds timeout) {
  return Sending(url, fields, body).run(timeout);
}

}  // namespace qing::serve
