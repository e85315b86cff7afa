// The only file that includes Beast, which is slow to compile.
#include "http_transport.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <unordered_map>
#include <utility>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include <qing/serve/http_log.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Parser = http::request_parser<http::string_body>;

namespace {

asio::ip::address parse_address(const std::string& text) {
  error_code error;
  const auto address = asio::ip::make_address(text == "localhost" ? std::string("127.0.0.1") : text, error);
  if (error) {
    throw ValueError(fmt::format("server address '{}': not an IP address; use 127.0.0.1 for this machine only, "
                                 "0.0.0.0 for every interface, or an interface's address", text));
  }
  return address;
}

std::string text_of(beast::string_view text) { return {text.data(), text.size()}; }

// Framing that two servers in a row might read differently is how requests are smuggled: only plain forms pass.
std::optional<HttpResponse> refuse_framing(const Parser::value_type& request) {
  const auto bad = [](std::string_view why) { return error_response(400, "bad_framing", why); };
  const auto lengths = request.count(http::field::content_length);
  const auto codings = request.count(http::field::transfer_encoding);
  if (request.version() != 10 && request.version() != 11) {
    return error_response(400, "bad_request", "HTTP version: only 1.0 and 1.1 are spoken here");
  }
  if (lengths > 0 && codings > 0) return bad("Content-Length and Transfer-Encoding together; send one of them");
  if (lengths > 1) return bad("more than one Content-Length; send one");
  if (codings > 1) return bad("more than one Transfer-Encoding; send one, which is chunked");
  if (codings == 1) {
    if (!beast::iequals(request[http::field::transfer_encoding], "chunked") || request.version() == 10) {
      return bad("Transfer-Encoding: only exactly chunked is accepted, and only in HTTP/1.1");
    }
  }
  if (lengths == 1) {
    const auto value = request[http::field::content_length];
    if (value.empty() || !std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; })) {
      return bad("Content-Length: not a plain number");
    }
  }
  if (request.version() == 11 && request.count(http::field::host) != 1) {
    return error_response(400, "bad_request", "HTTP/1.1 asks for exactly one Host header");
  }
  return std::nullopt;
}

std::string_view view_of(beast::string_view text) { return {text.data(), text.size()}; }

// Views of `request`.
HttpHead head_of(const Parser::value_type& request) {
  const std::string_view target = view_of(request.target());
  const std::size_t question = std::min(target.find('?'), target.size());
  return {.method = view_of(request.method_string()),
          .path = target.substr(0, question),
          .query = target.substr(std::min(question + 1, target.size())),
          .has_length = request.count(http::field::content_length) + request.count(http::field::transfer_encoding) > 0,
          .header = [&request](std::string_view name) { return view_of(request[{name.data(), name.size()}]); }};
}

bool is_http_error(const error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_method).category();
}

}  // namespace

class Session;

struct HttpTransport::Impl {
  Impl(HttpHandler& handler_in, const Limits& limits_in, bool log_in)
      : handler(handler_in), limits(limits_in), log_requests(log_in) {}

  void accept();
  void begin_drain();
  void closed(Session* session);

  HttpHandler& handler;
  const Limits limits;
  const bool log_requests;
  asio::io_context io{1};
  // A session that waits for the compute worker has nothing pending here; the guard keeps the thread for its reply.
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  tcp::acceptor acceptor{io};
  asio::steady_timer timer{io};  // pauses accepting after an error; later bounds the drain
  std::unordered_map<Session*, std::shared_ptr<Session>> sessions;
  bool draining = false;
  std::uint16_t port = 0;
  std::thread thread;
};

// One connection. All of it runs on the I/O thread; a Reply posts itself there.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(HttpTransport::Impl& server, tcp::socket socket)
      : server_(server), socket_(std::move(socket)), timer_(server.io) {}

  void await_request() {
    method_.clear();
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(server_.limits.header_bytes));
    parser_->body_limit(server_.limits.body_bytes);
    idle_ = true;
    if (has_input()) return read_header();
    if (server_.draining) return close();
    arm(server_.limits.idle_time);
    socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
      if (!self->idle_) return;
      error || self->timed_out_ ? self->close() : self->read_header();
    });
  }

  void turn_away() {
    respond(unavailable("too_many_connections",
                        fmt::format("limit of {} connections reached; try again later", server_.limits.connections),
                        server_.limits.retry_after_seconds),
            false);
  }

  // The server drains: a connection without a request goes now, one with a request after its response.
  void drain() {
    if (!idle_) return;
    if (has_input()) return read_header();
    close();
  }

  void close() {
    ++generation_;
    timer_.cancel();
    idle_ = false;
    error_code ignored;
    socket_.close(ignored);
    server_.closed(this);
  }

 private:
  bool has_input() {
    error_code ignored;
    return buffer_.size() > 0 || socket_.available(ignored) > 0;
  }

  // One deadline at a time. Cancelling makes the pending operation complete with an error, told apart by timed_out_.
  void arm(std::chrono::milliseconds time) {
    const auto generation = ++generation_;
    timed_out_ = false;
    timer_.expires_after(time);
    timer_.async_wait([self = shared_from_this(), generation](error_code error) {
      if (error || generation != self->generation_) return;
      self->timed_out_ = true;
      error_code ignored;
      self->socket_.cancel(ignored);
    });
  }

  void disarm() {
    ++generation_;
    timer_.cancel();
  }

  void read_header() {
    idle_ = false;
    begun_ = Clock::now();
    arm(server_.limits.request_time);
    http::async_read_header(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
      error ? self->fail(error) : self->on_header();
    });
  }

  void on_header() {
    const auto& request = parser_->get();
    method_ = text_of(request.method_string());
    if (auto refusal = refuse_framing(request)) return respond(std::move(*refusal), false);
    routed_ = server_.handler.route(head_of(request));
    // An unread body cannot be told from the next request, so that a refusal before it ends the connection.
    if (routed_.refusal) return respond(std::move(*routed_.refusal), parser_->is_done());
    if (parser_->is_done()) return run();
    if (!beast::iequals(request[http::field::expect], "100-continue") || buffer_.size() > 0) return read_body();
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(socket_, asio::buffer(kContinue), [self = shared_from_this()](error_code error, std::size_t) {
      error ? self->fail(error) : self->read_body();
    });
  }

  void read_body() {
    // The deadline may have passed just as the headers completed: nothing would bound the body.
    if (timed_out_) return fail(asio::error::operation_aborted);
    http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
      error ? self->fail(error) : self->run();
    });
  }

  void run() {
    disarm();
    routed_.run(std::move(parser_->get().body()), [self = shared_from_this()](HttpResponse response) {
      asio::post(self->socket_.get_executor(), [self, response = std::move(response)]() mutable {
        self->respond(std::move(response), true);
      });
    });
  }

  // The request could not be read.
  void fail(const error_code& error) {
    const Limits& limits = server_.limits;
    if (timed_out_) {
      return refuse(408, "request_timeout", fmt::format("the request took longer than the limit of {} ms; "
                                                        "send it faster or in smaller parts",
                                                        limits.request_time.count()));
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return refuse(431, "header_too_large", fmt::format("headers exceed the limit of {} bytes; send fewer or "
                                                         "shorter ones", limits.header_bytes));
    }
    if (error == http::error::body_limit) {
      return refuse(413, "body_too_large", fmt::format("the body exceeds the limit of {} bytes; send the texts in "
                                                       "several requests", limits.body_bytes));
    }
    if (is_http_error(error) && error != http::error::end_of_stream && error != http::error::partial_message) {
      return refuse(400, "bad_request", "malformed HTTP: " + error.message());
    }
    close();  // the client left, or the socket broke: nobody is there to answer
  }

  // After a request that could not be read nothing on the connection can be trusted.
  void refuse(int status, std::string_view code, const std::string& message) {
    respond(error_response(status, code, message), false);
  }

  void respond(HttpResponse response, bool keep) {
    if (!socket_.is_open()) return;
    log_request(response.status);
    keep = keep && parser_ && parser_->keep_alive() && !server_.draining;
    message_ = {};
    message_.version(parser_ && parser_->get().version() == 10 ? 10 : 11);
    message_.result(static_cast<unsigned>(response.status));
    if (!response.content_type.empty()) {
      message_.set(http::field::content_type, beast::string_view(response.content_type.data(),
                                                                 response.content_type.size()));
    }
    message_.set("X-Content-Type-Options", "nosniff");
    if (!routed_.request_id.empty()) message_.set("X-Request-Id", routed_.request_id);
    if (!routed_.traceparent.empty()) message_.set("traceparent", routed_.traceparent);
    for (const auto& [name, value] : response.headers) message_.set(name, value);
    message_.keep_alive(keep);
    message_.content_length(response.body.size());
    if (method_ != "HEAD") message_.body() = std::move(response.body);
    routed_ = {};
    arm(server_.limits.write_time);
    http::async_write(socket_, message_, [self = shared_from_this(), keep](error_code error, std::size_t) {
      if (error || self->timed_out_) return self->close();
      keep ? self->await_request() : self->linger();
    });
  }

  void log_request(int status) {
    if (!server_.log_requests) return;
    const bool begun = begun_ != Clock::time_point{};
    const std::chrono::duration<double, std::milli> took = begun ? Clock::now() - begun_ : Clock::duration{};
    log_line("info", "request", {{"route", std::string(routed_.name.empty() ? "none" : routed_.name)},
                                 {"status", std::int64_t{status}},
                                 {"milliseconds", took.count()},
                                 {"request_id", routed_.request_id},
                                 {"traceparent", routed_.traceparent}});
  }

  // Closing with input unread resets the connection, and the client might lose the response: read on for a moment.
  void linger() {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
    arm(server_.limits.linger_time);
    discard();
  }

  void discard() {
    buffer_.clear();
    socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](error_code error, std::size_t) {
      error || self->timed_out_ ? self->close() : self->discard();
    });
  }

  HttpTransport::Impl& server_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::string method_;
  Routed routed_;
  http::response<http::string_body> message_;
  Clock::time_point begun_{};
  unsigned generation_ = 0;  // of the timer: an expiry already queued when it was armed anew is stale
  bool timed_out_ = false;
  bool idle_ = false;
};

void HttpTransport::Impl::accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (draining) return;
    if (error) {
      // Out of descriptors, most likely: without a pause the loop would spin.
      log_line("error", "accept_failed", {{"reason", error.message()}});
      timer.expires_after(std::chrono::milliseconds(50));
      timer.async_wait([this](error_code cancelled) {
        if (!cancelled && !draining) accept();
      });
      return;
    }
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    const bool full = sessions.size() >= limits.connections;
    const auto session = std::make_shared<Session>(*this, std::move(socket));
    sessions.emplace(session.get(), session);
    full ? session->turn_away() : session->await_request();
    accept();
  });
}

void HttpTransport::Impl::begin_drain() {
  draining = true;
  error_code ignored;
  acceptor.close(ignored);
  timer.cancel();
  // Copies, because a session that closes leaves the map.
  const auto all = sessions;
  for (const auto& [key, session] : all) session->drain();
  if (sessions.empty()) return work.reset();
  timer.expires_after(limits.drain_time);
  timer.async_wait([this](error_code cancelled) {
    if (cancelled) return;
    log_line("warning", "drain_cut_off", {{"connections", static_cast<std::int64_t>(sessions.size())}});
    const auto late = sessions;
    for (const auto& [key, session] : late) session->close();
  });
}

void HttpTransport::Impl::closed(Session* session) {
  sessions.erase(session);
  if (!draining || !sessions.empty()) return;
  timer.cancel();
  work.reset();
}

HttpTransport::HttpTransport(HttpHandler& handler, const Limits& limits, bool log_requests)
    : impl_(std::make_unique<Impl>(handler, limits, log_requests)) {}

HttpTransport::~HttpTransport() { drain(); }

bool HttpTransport::is_loopback(const std::string& address) { return parse_address(address).is_loopback(); }

void HttpTransport::listen(const std::string& address, std::uint16_t port) {
  try {
    const tcp::endpoint endpoint(parse_address(address), port);
    impl_->acceptor.open(endpoint.protocol());
    impl_->acceptor.set_option(tcp::acceptor::reuse_address(true));
    impl_->acceptor.bind(endpoint);
    impl_->acceptor.listen();
    impl_->port = impl_->acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    throw IoError(fmt::format("cannot listen on {} port {}: {}; choose another address or port, 0 for any free one",
                              address, port, error.code().message()));
  }
  impl_->accept();
  impl_->thread = std::thread([impl = impl_.get()] { impl->io.run(); });
}

std::uint16_t HttpTransport::port() const { return impl_->port; }

void HttpTransport::drain() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->io, [impl = impl_.get()] { impl->begin_drain(); });
  impl_->thread.join();
}

}  // namespace qing::serve
