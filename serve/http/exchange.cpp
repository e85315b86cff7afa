#include "exchange_detail.h"

#include <algorithm>
#include <optional>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <qing/serve/http/lines.h>
#include <qing/serve/http/tls_client.h>
#include <qing/tensor/files.h>

namespace qing::serve {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace {

// Maximum size of a response's status line and header. Beast's default is 8 KiB.
constexpr size_t kHeaderBytes = 16UL * 1024;
constexpr size_t kResponseReadBytes = 16UL * 1024;
constexpr size_t kPieceBytes = 64UL * 1024;
constexpr std::uint64_t kMostBody = 64UL * 1024 * 1024;  // of a response in memory
// How often a request looks whether its process stops.
constexpr std::chrono::milliseconds kStopLookTime{100};

std::string host_field(const HttpPeer& peer) {
  const bool ipv6 = peer.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", ipv6 ? "[" : "", peer.host, ipv6 ? "]" : "", peer.port);
}

// It is asynchronous only so that a timeout covers every wait. `Stream` is a beast::tcp_stream, as it is or below TLS.
template <class Stream> class Exchange {
 public:
  /// `more` follows the I/O context among the arguments of the stream.
  template <class... More>
  Exchange(const HttpPeer& peer, const ClientRequest& request, More&... more)
      : peer_(peer), request_(request), stream_(io_, more...) {}

  ClientAnswer run(const std::function<void(std::string_view)>& sink) {
    boost::system::error_code error;
    const auto found = asio::ip::tcp::resolver(io_).resolve(peer_.host, std::to_string(peer_.port), error);
    if (error) fail(error);
    limit_time();
    wait([&](auto done) { socket().async_connect(found, [done](auto failed, const auto&) { done(failed); }); });
    if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) shake_hands();
    send();
    for (;;) {
      read_header();
      http::response_parser<http::buffer_body> parser;
      parser.header_limit(kHeaderBytes);
      parser.body_limit(boost::none);
      auto look_at_chunk = [](std::uint64_t, beast::string_view extensions, boost::system::error_code& wrong) {
        if (!chunk_extensions_fault({extensions.data(), extensions.size()}).empty()) {
          wrong = http::error::bad_chunk_extension;
        }
      };
      parser.on_chunk_header(look_at_chunk);
      wait([&](auto done) {
        http::async_read_header(stream_, buffer_, parser, [done](auto failed, size_t) { done(failed); });
      });
      const auto& head = parser.get();
      // Interim responses may precede the final response (RFC 9110, 15.2).
      if (http::to_status_class(head.result_int()) == http::status_class::informational) continue;
      const auto later = head[http::field::retry_after];
      ClientAnswer answer{static_cast<int>(head.result_int()), std::string(later.data(), later.size()), {}};
      read_body(parser, [&](std::string_view piece) {
        if (sink && answer.status == 200) return sink(piece);
        if (answer.body.size() + piece.size() > kMostBody)
          throw FinalError(message("the answer is too long", other_program()));
        answer.body += piece;
      });
      return answer;
    }
  }

 private:
  beast::tcp_stream& socket() { return beast::get_lowest_layer(stream_); }
  void limit_time() { socket().expires_after(peer_.timeout); }
  // What is wrong with a certificate will be so the next time.
  void shake_hands() {
    expect_host(stream_.native_handle(), peer_.host);
    boost::system::error_code result;
    stream_.async_handshake(asio::ssl::stream_base::client, [&result](auto error) { result = error; });
    run_operations();
    if (!result) return;
    if (const std::string fault = certificate_fault(stream_.native_handle()); !fault.empty()) {
      throw FinalError(message(
          fmt::format("the server's certificate is refused: {}", fault),
          fmt::format("check the address, or name the authority that signed it ({})", peer_.words.authority_option)));
    }
    if (result.category() == asio::error::get_ssl_category()) {
      throw FinalError(message("no TLS: " + result.message(), "check that the server there speaks https"));
    }
    fail(result);
  }
  void send() {
    std::optional<FileReader> file;
    std::uint64_t length = request_.body.size() + request_.end.size();
    if (!request_.file.empty()) length += file.emplace(request_.file).size();
    http::request<http::empty_body> head;
    head.method_string(request_.method);
    head.target(request_.target);
    head.version(11);
    head.set(http::field::host, host_field(peer_));
    if (!request_.content_type.empty()) head.set(http::field::content_type, request_.content_type);
    if (!peer_.bearer.empty()) head.set(http::field::authorization, "Bearer " + peer_.bearer);
    head.keep_alive(false);
    if (length > 0 || request_.method == "POST") head.content_length(length);
    wait([&](auto done) { http::async_write(stream_, head, [done](auto error, size_t) { done(error); }); });
    bool goes_on = write(request_.body);
    std::string piece(kPieceBytes, '\0');
    for (size_t count = 0; goes_on && file && (count = file->read(piece)) > 0;) {
      goes_on = write(std::string_view(piece).substr(0, count));
    }
    if (goes_on) write(request_.end);
  }
  // False when the service takes no more; its answer tells why.
  bool write(std::string_view bytes) {
    if (bytes.empty()) return true;
    boost::system::error_code result;
    limit_time();
    asio::async_write(stream_, asio::buffer(bytes.data(), bytes.size()),
                      [&result](auto error, size_t) { result = error; });
    run_operations();
    if (result == asio::error::broken_pipe || result == asio::error::connection_reset) return false;
    if (result) fail(result);
    return true;
  }
  // Reads until the whole header is in the buffer. Its lines are checked before Beast joins folded lines.
  void read_header() {
    HeaderLines lines(HeaderLines::Fold::kRefusedInFraming);
    for (;;) {
      const auto data = buffer_.data();
      const HeaderLines::Look look =
          lines.look(std::string_view(static_cast<const char*>(data.data()), std::min(data.size(), kHeaderBytes)));
      if (!look.wrong.empty())
        throw FinalError(message("malformed answer: " + std::string(look.wrong), other_program()));
      if (look.whole) return;
      if (data.size() >= kHeaderBytes) throw FinalError(message("the answer's header is too long", other_program()));
      wait([&](auto done) {
        stream_.async_read_some(buffer_.prepare(kResponseReadBytes), [this, done](auto error, size_t size) {
          buffer_.commit(size);
          done(error);
        });
      });
    }
  }
  template <class Take> void read_body(http::response_parser<http::buffer_body>& parser, const Take& take) {
    std::string piece(kPieceBytes, '\0');
    while (!parser.is_done()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      boost::system::error_code result;
      limit_time();
      http::async_read(stream_, buffer_, parser, [&result](auto error, size_t) { result = error; });
      run_operations();
      if (result && result != http::error::need_buffer) fail(result);
      take(std::string_view(piece).substr(0, piece.size() - parser.get().body().size));
    }
  }
  template <typename Start> void wait(Start start) {
    boost::system::error_code result;
    start([&result](boost::system::error_code error) { result = error; });
    run_operations();
    if (result) fail(result);
  }
  std::string other_program() const { return fmt::format("check that {} runs there", peer_.words.service); }
  std::string message(const std::string& what, std::string_view remedy) const {
    return fmt::format("{}: {} port {}: {}; {}", peer_.words.asker, peer_.host, peer_.port, what, remedy);
  }
  // Until the operation has ended.
  void run_operations() {
    io_.restart();
    if (!peer_.stopped) {
      io_.run();
      return;
    }
    while (!io_.stopped()) {
      io_.run_for(kStopLookTime);
      if (!io_.stopped() && peer_.stopped()) socket().close();
    }
  }
  [[noreturn]] void fail(const boost::system::error_code& error) const {
    if (error == beast::error::timeout) {
      throw FinalError(message(fmt::format("no answer in {} ms", peer_.timeout.count()), peer_.words.when_late));
    }
    // Beast's own errors mean malformed HTTP, except an end of the stream within a message.
    const bool cut = error == http::error::end_of_stream || error == http::error::partial_message;
    if (error.category() == make_error_code(http::error::bad_value).category() && !cut) {
      throw FinalError(message("malformed answer: " + error.message(), other_program()));
    }
    throw IoError(message(error.message(), "check that the service runs there"));
  }

  const HttpPeer& peer_;
  const ClientRequest& request_;
  asio::io_context io_{1};
  Stream stream_;
  beast::flat_buffer buffer_;
};

}  // namespace

ClientAnswer exchange(const HttpPeer& peer, const ClientRequest& request,
                      const std::function<void(std::string_view)>& sink) {
  if (!peer.tls) return Exchange<beast::tcp_stream>(peer, request).run(sink);
  asio::ssl::context context = client_tls(peer.certificate_authority);
  return Exchange<beast::ssl_stream<beast::tcp_stream>>(peer, request, context).run(sink);
}

}  // namespace qing::serve
