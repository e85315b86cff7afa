#include "session.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace qing::serve {
using boost::asio::ip::tcp;
using boost::system::error_code;

namespace {

// What one read can bring; one buffer serves all sessions of a thread.
constexpr size_t kReadBytes = 64UL * 1024;

// Seconds, with a fraction or not; nothing when it is anything else.
std::chrono::milliseconds parse_timeout(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds, std::chars_format::fixed);
  if (error != std::errc() || end != text.data() + text.size() || !(seconds > 0 && seconds < 1e6)) {
    return std::chrono::milliseconds(0);
  }
  return std::chrono::milliseconds(std::max<std::int64_t>(1, static_cast<std::int64_t>(seconds * 1000)));
}

}  // namespace

Session::Session(SessionOwner& owner, tcp::socket socket, std::string address, const std::shared_ptr<ssl_ctx_st>& tls)
    : owner_(owner),
      address_(std::move(address)),
      socket_(std::move(socket)),
      stream_(tls ? Stream(socket_.native_handle(), tls) : Stream(socket_.native_handle())),
      state_(tls ? State::kHandshake : State::kIdle) {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.native_non_blocking(true, ignored);
}

void Session::start() {
  deadline_ = Clock::now() + (state_ == State::kHandshake ? owner_.limits().request_time : owner_.limits().idle_time);
  wait_readable();
}

void Session::turn_away(HttpResponse response) {
  if (state_ == State::kHandshake) return close();
  routed_.fields = owner_.handler().fields({});
  routed_.client = owner_.client(address_, {});
  respond(std::move(response), false);
  flush();
}

void Session::drain() {
  error_code ignored;
  if (state_ == State::kHandshake) deadline_ = std::min(deadline_, Clock::now() + owner_.limits().linger_time);
  if (state_ == State::kIdle && in_.empty() && socket_.available(ignored) == 0) {
    // The first request of a new connection is on its way. An old connection may stay silent.
    if (request_ > 0) return close();
    deadline_ = std::min(deadline_, Clock::now() + owner_.limits().linger_time);
  }
  if (state_ != State::kStreaming) return;
  keep_ = false;
  if (!stream_body_->farewell().empty()) return;
  end_stream();
  flush();
}

void Session::cut_off() {
  if (state_ == State::kStreaming) {
    add_piece(stream_body_->take().bytes);
    add_piece(stream_body_->farewell());
    end_stream();
    flush();
  }
  close();
}

void Session::close() {
  if (state_ == State::kClosed) return;
  if (state_ == State::kIdle) stream_.end_writing();
  state_ = State::kClosed;
  routed_.sink.reset();
  routed_.run = nullptr;  // it holds the sink, too
  source_.reset();
  if (cancelled_) *cancelled_ = true;
  if (stream_body_) stream_body_->close();
  release_body();
  error_code ignored;
  socket_.close(ignored);
  owner_.closed(this);
}

void Session::wait_readable() {
  if (read_pending_ || state_ == State::kClosed) return;
  read_pending_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
    self->read_pending_ = false;
    if (self->state_ == State::kClosed) return;
    error ? self->close() : self->on_readable();
  });
}

void Session::wait_writable() {
  if (write_pending_ || state_ == State::kClosed) return;
  write_pending_ = true;
  socket_.async_wait(tcp::socket::wait_write, [self = shared_from_this()](error_code error) {
    self->write_pending_ = false;
    if (self->state_ == State::kClosed) return;
    if (error) return self->close();
    self->state_ == State::kHandshake ? self->on_readable() : self->flush();
  });
}

void Session::on_readable() {
  if (state_ == State::kComputing || state_ == State::kStreaming || state_ == State::kWriting) {
    const Stream::Look look = stream_.look();
    if (look == Stream::Look::kFailed) return close();  // nobody waits for the answer any more
    // A client that only ends its own direction still wants the answer (RFC 9112, 9.6). One that closed its socket
    // looks the same until something is sent to it.
    if (look == Stream::Look::kEnded) input_ended_ = true;
    if (look == Stream::Look::kData) input_waits_ = true;
    if (state_ == State::kWriting) return flush();        // TLS may have waited for input
    if (look == Stream::Look::kNothing) wait_readable();  // a part of a TLS record
    return;
  }
  if (state_ == State::kHandshake) {
    const Stream::Result result = stream_.handshake();
    if (result.status == Stream::Status::kWantRead) return wait_readable();
    if (result.status == Stream::Status::kWantWrite) return wait_writable();
    if (result.status == Stream::Status::kEnded || result.status == Stream::Status::kFailed) return close();
    state_ = State::kIdle;
    deadline_ = Clock::now() + (owner_.draining() ? owner_.limits().linger_time : owner_.limits().idle_time);
  }
  read();
}

void Session::read() {
  static thread_local std::string buffer(kReadBytes, '\0');
  const Stream::Result result = stream_.read(buffer.data(), buffer.size());
  if (result.status == Stream::Status::kWantRead) return wait_readable();
  if (result.status == Stream::Status::kWantWrite) return wait_writable();
  if (result.status == Stream::Status::kFailed) return close();
  if (result.status == Stream::Status::kEnded) {
    input_ended_ = true;
    return state_ == State::kLingering ? close() : advance();
  }
  if (state_ == State::kLingering) return wait_readable();
  in_.append(buffer.data(), result.bytes);
  advance();
}

// Reads requests from the input for as long as there are whole ones and their answers come at once.
void Session::advance() {
  while (state_ == State::kIdle || state_ == State::kReading) {
    if (state_ == State::kIdle && out_.size() > kWriteBytes) break;
    if (!step()) break;
  }
  if (state_ == State::kClosed) return;
  if (in_.empty()) in_ = std::string();  // an idle connection holds no buffer
  flush();
}

// One step of the parser; false when it needs more input.
bool Session::step() {
  if (state_ == State::kIdle) {
    // An empty line before a request is an old client's habit (RFC 9112, 2.2).
    if (in_.starts_with("\r\n")) in_.erase(0, 2);
    if (in_.empty() || in_ == "\r") return false;
    begin_request();
  }
  const bool had_header = parser_->header_done();
  HttpParser::Step fed = parser_->feed(in_);
  if (fed.refusal && !had_header) routed_.fields = owner_.handler().fields(parser_->header("Origin"));
  if (!fed.refusal && !had_header && parser_->header_done()) {
    const bool goes_on = on_header();
    in_.erase(0, fed.consumed);
    if (!goes_on) return state_ == State::kIdle;
  } else {
    in_.erase(0, fed.consumed);
  }
  if (fed.refusal) {
    refuse(std::move(*fed.refusal));
    return false;
  }
  account_body();
  if (state_ != State::kReading) return false;
  if (routed_.sink) return pass_on(fed.consumed > 0);
  if (parser_->done()) {
    run();
    return state_ == State::kIdle;
  }
  return fed.consumed > 0 && !in_.empty();
}

void Session::begin_request() {
  state_ = State::kReading;
  ++request_;
  begun_ = Clock::now();
  deadline_ = begun_ + owner_.limits().request_time;
  received_ = 0;
  passing_time_ = {};
  if (parser_) {
    parser_->reset();
  } else {
    const auto limit = [this](const HttpHead& head) { return owner_.handler().streamed_body_limit(head); };
    parser_ = std::make_unique<HttpParser>(owner_.limits(), limit);
  }
  routed_.fields = owner_.handler().fields({});
  routed_.client = owner_.client(address_, {});
}

// False when the request ends here.
bool Session::on_header() {
  client_time_ = parse_timeout(parser_->header("Request-Timeout"));
  routed_ = owner_.handler().route(parser_->head());
  routed_.client = owner_.client(address_, parser_->last_header("X-Forwarded-For"));
  // An unread body cannot be told from the next request, so that a refusal before it ends the connection.
  if (routed_.refusal) {
    respond(std::move(*routed_.refusal), parser_->done());
    return false;
  }
  if (routed_.sink) routed_.sink->open(routed_.key);
  if (!parser_->done() && parser_->expects_continue()) out_ += "HTTP/1.1 100 Continue\r\n\r\n";
  return true;
}

void Session::account_body() {
  const size_t size = parser_->body_size();
  owner_.body_bytes() += size - body_bytes_;
  body_bytes_ = size;
  if (owner_.body_bytes() <= owner_.limits().bodies_bytes || size == 0) return;
  refuse(unavailable("bodies_full",
                     fmt::format("limit of {} bytes for the bodies of all requests reached; try again "
                                 "later",
                                 owner_.limits().bodies_bytes),
                     owner_.limits().retry_after_seconds));
}

Session::Clock::time_point Session::answer_by() const {
  const auto most = owner_.limits().predict_time;
  return Clock::now() + (client_time_.count() > 0 ? std::min(client_time_, most) : most);
}

void Session::run() {
  state_ = State::kComputing;
  deadline_ = answer_by();
  cancelled_ = std::make_shared<std::atomic<bool>>(false);
  // The reply may come inside the call, on this thread; or later, on any.
  struct Direct {
    std::atomic<Session*> session;
    std::thread::id thread;
    Clock::time_point deadline;
  };
  const auto direct = std::make_shared<Direct>();
  direct->session = this;
  direct->thread = std::this_thread::get_id();
  direct->deadline = deadline_;
  Reply reply(
      [self = shared_from_this(), direct, request = request_](HttpResponse response) {
        if (std::this_thread::get_id() == direct->thread && direct->session) {
          return self->complete(request, std::move(response));
        }
        self->owner_.deliver(self, request, std::move(response));
      },
      std::shared_ptr<Clock::time_point>(direct, &direct->deadline));
  reply.key = routed_.key;
  reply.caller = routed_.caller;
  reply.request_id = routed_.request_id;
  routed_.note = reply.note;
  reply.cancelled = cancelled_;
  replying_ = true;
  const Routed::Run handler = std::move(routed_.run);
  handler(parser_->take_body(), std::move(reply));
  if (state_ == State::kComputing) deadline_ = direct->deadline;  // the route may allow less or more
  direct->session = nullptr;
  replying_ = false;
}

void Session::complete(std::uint64_t request, HttpResponse response) {
  if (state_ != State::kComputing || request != request_) {
    if (response.stream) response.stream->close();  // nobody reads it
    return;
  }
  respond(std::move(response), true);
  if (!replying_) advance();
}

void Session::check(Clock::time_point now) {
  // Nothing waits for input here, which would tell of a reset.
  const bool answering = state_ == State::kComputing || state_ == State::kStreaming;
  if (answering && (input_ended_ || input_waits_) && stream_.failed()) return close();
  if (now < deadline_ || passing_ || sourcing_) return;
  const Limits& limits = owner_.limits();
  if (state_ == State::kHandshake || state_ == State::kReading || state_ == State::kStreaming ||
      state_ == State::kWriting) {
    owner_.timed_out();
  }
  switch (state_) {
    case State::kReading:
      refuse(error_response(
          408, "request_timeout",
          routed_.sink
              ? fmt::format("the body came slower than the limit of {} bytes a second; use a faster connection",
                            limits.upload_rate)
              : fmt::format("the request took longer than the limit of {} ms; send it faster or in smaller parts",
                            limits.request_time.count())));
      return flush();
    case State::kComputing:
      *cancelled_ = true;
      respond(error_response(504, "deadline",
                             "the answer took longer than the time allowed for it; send fewer texts "
                             "or try again later"),
              true);
      return advance();
    default: close();
  }
}

}  // namespace qing::serve
