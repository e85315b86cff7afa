// One connection of the transport. All of it runs on the I/O thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <boost/asio/ip/tcp.hpp>

#include <qing/serve/common/limits.h>
#include <qing/serve/http/body_stream.h>
#include <qing/serve/http/message.h>
#include <qing/serve/http/parser.h>
#include <qing/serve/http/tls.h>

namespace qing::serve {

class Session;

/// What a session needs of the transport around it.
class SessionOwner {
 public:
  virtual ~SessionOwner() = default;
  virtual HttpHandler& handler() = 0;
  virtual const Limits& limits() const = 0;
  /// Whether each answer is the last of its connection, because the server will stop.
  virtual bool closing() const = 0;
  /// Whether connections without a request end. The server is closing, too.
  virtual bool draining() const = 0;
  /// The client's address for the log; `forwarded` is its X-Forwarded-For.
  virtual std::string client(const std::string& address, std::string_view forwarded) const = 0;
  virtual void closed(Session* session) = 0;
  /// A response made on another thread; hands it to Session::complete() on the I/O thread.
  virtual void deliver(std::shared_ptr<Session> session, std::uint64_t request, HttpResponse response) = 0;
  /// Cut in the middle of something.
  virtual void timed_out() = 0;
  virtual void finished(const Routed& routed, int status, std::chrono::steady_clock::duration time) = 0;
  virtual void run_later(std::function<void()> step) = 0;
  virtual std::string_view date() = 0;  ///< for the header of that name
  virtual size_t& body_bytes() = 0;     ///< of all sessions together
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  using Clock = std::chrono::steady_clock;

  /// `address` is the other end's.
  Session(SessionOwner& owner, boost::asio::ip::tcp::socket socket, std::string address,
          const std::shared_ptr<ssl_ctx_st>& tls);

  void start();
  /// Answers with a refusal and closes.
  void turn_away(HttpResponse response);
  /// The server stops: a connection between two requests goes now, one with a request after its response, and one whose
  /// first request is on its way if that does not come within linger_time.
  void drain();
  /// The time for draining has passed: closes, and a stream that has not ended says so.
  void cut_off();
  void close();
  /// Called now and then: acts if the time of what the session is doing has passed, or if its client has left
  /// unnoticed.
  void check(Clock::time_point now);
  /// The answer to request number `request` of this connection; nothing happens when that was answered otherwise.
  void complete(std::uint64_t request, HttpResponse response);

 private:
  // Responses to pipelined requests are written together up to here.
  static constexpr size_t kWriteBytes = 64UL * 1024;
  enum class State { kHandshake, kIdle, kReading, kComputing, kStreaming, kWriting, kLingering, kClosed };

  void wait_readable();
  void wait_writable();
  void on_readable();
  void read();
  void advance();
  bool step();
  void begin_request();
  bool on_header();
  bool pass_on(bool moved);
  void passed_on(std::uint64_t request, std::optional<HttpResponse> refusal);
  void run();
  void refuse(HttpResponse response);
  void respond(HttpResponse response, bool keep);
  void write_head(const HttpResponse& response, bool keep);
  void begin_stream(std::shared_ptr<BodyStream> stream);
  void add_piece(std::string_view bytes);
  void take_pieces();
  void end_stream();
  void flush();
  void written();
  void read_source();
  void take_from_source(std::uint64_t request, std::string piece);
  void linger();
  void account_body();
  void release_body() { owner_.body_bytes() -= std::exchange(body_bytes_, 0); }
  Clock::time_point answer_by() const;

  SessionOwner& owner_;
  const std::string address_;
  boost::asio::ip::tcp::socket socket_;
  Stream stream_;
  std::unique_ptr<HttpParser> parser_;  // of the request in hand
  std::string in_;                      // read, but not consumed
  std::string out_;                     // to be written from out_begin_ on
  size_t out_begin_ = 0;
  Routed routed_;
  std::shared_ptr<std::atomic<bool>> cancelled_;  // of the request that computes
  std::shared_ptr<BodyStream> stream_body_;       // the rest of the response in hand
  size_t largest_piece_ = 0;                      // of that stream
  Clock::time_point begun_{}, deadline_ = Clock::time_point::max();
  std::chrono::milliseconds client_time_{0};  // Request-Timeout; 0: none
  std::uint64_t request_ = 0;                 // counts the connection's requests
  std::uint64_t received_ = 0;                // bytes of a body in pieces
  Clock::time_point passed_at_{};             // the last piece
  Clock::duration passing_time_{};            // that the sink took so far
  std::shared_ptr<BodySource> source_;        // of the response in hand
  std::uint64_t source_left_ = 0;             // its bytes that are still to come
  size_t body_bytes_ = 0;                     // of the owner's sum
  State state_ = State::kIdle;
  bool read_pending_ = false, write_pending_ = false;
  bool input_waits_ = false;  // input came while the request computes
  bool input_ended_ = false;  // the client sends no more; what it has sent is answered
  bool passing_ = false;      // the sink has a piece; nothing is read meanwhile
  bool sourcing_ = false;     // the source makes a piece
  bool keep_ = true;          // after the response in hand
  bool chunked_ = false;      // the stream is sent in chunks; HTTP/1.0 ends it by closing
  bool replying_ = false;     // inside a handler: its response comes at once
  bool write_timed_ = false;  // the deadline is that of the response in hand
};

}  // namespace qing::serve
