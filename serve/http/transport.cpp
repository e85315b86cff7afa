#include "transport.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <ctime>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/chrono.h>
#include <sys/resource.h>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <qing/serve/common/log.h>
#include <qing/serve/http/session.h>
#include <qing/tensor/errors.h>
#include <qing/tensor/threads.h>

namespace qing::serve {
namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

namespace {

// Interval at which deadlines are checked. It is shorter if a limit is short.
constexpr auto kLongestTick = std::chrono::milliseconds(100);
// Number of connections above the limit that are sent a refusal. Further ones are closed at once.
constexpr size_t kTurnedAway = 256;
// The same per client address, so that one address cannot use up the shared number.
constexpr size_t kCrowding = 16;
// File descriptors reserved for everything except connections.
constexpr size_t kOtherDescriptors = 64;

asio::ip::address parse_address(const std::string& text) {
  error_code error;
  auto address = asio::ip::make_address(text == "localhost" ? std::string("127.0.0.1") : text, error);
  if (error) {
    throw ValueError(
        fmt::format("server address '{}': not an IP address; use 127.0.0.1 for this machine only, "
                    "0.0.0.0 for every interface, or an interface's address",
                    text));
  }
  return address;
}

// An IPv4-mapped IPv6 address counts as its IPv4 address.
asio::ip::address plain(const asio::ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
}

std::chrono::milliseconds tick_of(const Limits& limits) {
  const auto shortest =
      std::min({limits.request_time, limits.idle_time, limits.write_time, limits.linger_time, limits.predict_time});
  return std::clamp(shortest / 10, std::chrono::milliseconds(5), kLongestTick);
}

// The number of connections that file descriptors allow, after raising the limit as far as the system permits.
size_t possible_connections(size_t wanted) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
  const rlim_t needed = wanted + kTurnedAway + kOtherDescriptors;
  if (limit.rlim_cur < needed) {
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, needed);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  if (limit.rlim_cur >= needed) return wanted;
  const size_t reserved = kTurnedAway + kOtherDescriptors;
  return std::max<size_t>(1, limit.rlim_cur > reserved ? limit.rlim_cur - reserved : limit.rlim_cur / 2);
}

}  // namespace

struct HttpTransport::Impl final : SessionOwner {
  Impl(HttpHandler& handler_in, ConnectionStatistics& connections_in, const Limits& limits_in,
       const RequestLogOptions& log_in)
      : handler_(handler_in), connections(connections_in), limits_(limits_in), log(log_in) {}

  HttpHandler& handler() override { return handler_; }
  const Limits& limits() const override { return limits_; }
  bool closing() const override { return closing_; }
  bool draining() const override { return draining_; }
  std::string client(const std::string& address, std::string_view forwarded) const override {
    return log.lines ? shown_client(log, address, forwarded) : std::string();
  }
  size_t& body_bytes() override { return body_bytes_; }
  void closed(Session* session) override;
  void deliver(std::shared_ptr<Session> session, std::uint64_t request, HttpResponse response) override;
  void timed_out() override { ++connections.timed_out; }
  void finished(const Routed& routed, int status, Clock::duration time) override;
  void run_later(std::function<void()> step) override { asio::post(io, std::move(step)); }
  std::string_view date() override;

  void accept();
  void take(tcp::socket socket);
  void take_waiting();
  void tick();
  void begin_drain();
  void hand_out();

  struct Delivery {
    std::shared_ptr<Session> session;
    std::uint64_t request;
    HttpResponse response;
  };
  struct Entry {
    std::shared_ptr<Session> session;
    asio::ip::address address;
  };

  HttpHandler& handler_;
  ConnectionStatistics& connections;
  Limits limits_;
  const RequestLogOptions log;
  asio::io_context io{1};
  // Keeps the I/O thread running while a session only waits for a compute worker.
  asio::executor_work_guard<asio::io_context::executor_type> work{io.get_executor()};
  tcp::acceptor acceptor{io};
  asio::steady_timer pause{io};  // delays accepting after an error
  asio::steady_timer timer{io};
  std::unordered_map<Session*, Entry> sessions;
  std::map<asio::ip::address, size_t> by_address;
  size_t body_bytes_ = 0;
  bool closing_ = false;
  bool draining_ = false;
  bool ticking = false;
  Clock::time_point drain_by = Clock::time_point::max();
  std::time_t date_second = 0;
  std::array<char, 32> date_text{};
  std::mutex mutex;  // protects deliveries, which compute workers add
  std::vector<Delivery> deliveries;
  std::unique_ptr<TlsContext> tls;
  std::uint16_t port = 0;
  std::thread thread;
};

void HttpTransport::Impl::accept() {
  acceptor.async_accept([this](error_code error, tcp::socket socket) {
    if (!error) take(std::move(socket));
    if (draining_) return;  // the connection was accepted just before the listener closed
    if (!error) return accept();
    // Most likely the process has no file descriptor left. Without a pause the loop would spin.
    log_line("error", "accept_failed", {{"reason", error.message()}});
    pause.expires_after(std::chrono::milliseconds(50));
    pause.async_wait([this](error_code cancelled) {
      if (!cancelled && !draining_) accept();
    });
  });
}

void HttpTransport::Impl::take(tcp::socket socket) {
  error_code error;
  const asio::ip::address address = plain(socket.remote_endpoint(error).address());
  if (error) return;  // closes
  const auto known = by_address.find(address);
  const size_t same = known == by_address.end() || address.is_loopback() ? 0 : known->second;
  const bool full = sessions.size() >= limits_.connections, crowded = same >= limits_.address_connections;
  if (full || crowded) ++connections.turned_away;
  if (sessions.size() >= limits_.connections + kTurnedAway || same >= limits_.address_connections + kCrowding) return;
  std::shared_ptr<Session> session;
  try {
    session = std::make_shared<Session>(*this, std::move(socket), address.to_string(), tls ? tls->context() : nullptr);
  } catch (const IoError&) { return; }
  sessions.emplace(session.get(), Entry{session, address});
  ++by_address[address];
  ++connections.accepted;
  ++connections.open;
  if (!std::exchange(ticking, true)) tick();
  if (full || crowded) {
    return session->turn_away(unavailable(
        "too_many_connections",
        full ? fmt::format("limit of {} connections reached; try again later", limits_.connections)
             : fmt::format("limit of {} connections from one address reached; use fewer", limits_.address_connections),
        limits_.retry_after_seconds));
  }
  session->start();
  if (draining_) session->drain();
}

// One timer checks all deadlines. That is cheaper than a timer per request.
void HttpTransport::Impl::tick() {
  timer.expires_after(tick_of(limits_));
  timer.async_wait([this](error_code) {
    const auto now = Clock::now();
    std::vector<std::shared_ptr<Session>> all;
    all.reserve(sessions.size());
    for (const auto& [key, entry] : sessions) all.push_back(entry.session);
    const bool late = now >= drain_by;
    if (late && !all.empty()) {
      log_line("warning", "drain_cut_off", {{"connections", static_cast<std::int64_t>(all.size())}});
    }
    for (const auto& session : all) late ? session->cut_off() : session->check(now);
    if (!sessions.empty()) return tick();
    ticking = false;
  });
}

// Connections that wait to be accepted would be reset when the listener closes.
void HttpTransport::Impl::take_waiting() {
  error_code error;
  acceptor.non_blocking(true, error);
  while (!error && sessions.size() < limits_.connections) {
    tcp::socket socket(io);
    acceptor.accept(socket, error);
    if (!error) take(std::move(socket));
  }
}

void HttpTransport::Impl::begin_drain() {
  closing_ = true;
  take_waiting();
  draining_ = true;
  drain_by = Clock::now() + limits_.drain_time;
  error_code ignored;
  acceptor.close(ignored);
  pause.cancel();
  // A copy, because closing a session removes it from the map.
  const auto all = sessions;
  for (const auto& [key, entry] : all) entry.session->drain();
  if (sessions.empty()) {
    timer.cancel();
    work.reset();
  }
}

void HttpTransport::Impl::closed(Session* session) {
  const auto found = sessions.find(session);
  if (found == sessions.end()) return;
  const auto address = by_address.find(found->second.address);
  if (--address->second == 0) by_address.erase(address);
  // The caller still uses the session.
  asio::post(io, [kept = std::move(found->second.session)] {});
  sessions.erase(found);
  --connections.open;
  if (!draining_ || !sessions.empty()) return;
  timer.cancel();
  work.reset();
}

void HttpTransport::Impl::deliver(std::shared_ptr<Session> session, std::uint64_t request, HttpResponse response) {
  bool first = false;
  {
    const std::lock_guard lock(mutex);
    first = deliveries.empty();
    deliveries.push_back({std::move(session), request, std::move(response)});
  }
  // A batch completes many requests at once. One wake-up delivers all of them.
  if (first) asio::post(io, [this] { hand_out(); });
}

void HttpTransport::Impl::hand_out() {
  std::vector<Delivery> ready;
  {
    const std::lock_guard lock(mutex);
    ready.swap(deliveries);
  }
  for (Delivery& delivery : ready) delivery.session->complete(delivery.request, std::move(delivery.response));
}

void HttpTransport::Impl::finished(const Routed& routed, int status, Clock::duration time) {
  handler_.answered(routed, status, time);
  if (log.lines) log_request(routed, status, time);
}

std::string_view HttpTransport::Impl::date() {
  const std::time_t now = std::time(nullptr);
  if (now != date_second) {
    date_second = now;
    // Names of the C locale, whatever locale the program has.
    fmt::format_to_n(date_text.data(), 29, "{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));
  }
  return {date_text.data(), 29};
}

HttpTransport::HttpTransport(HttpHandler& handler, ConnectionStatistics& connections, const Limits& limits,
                             const RequestLogOptions& log)
    : impl_(std::make_unique<Impl>(handler, connections, limits, log)) {}

// Without the memory to ask for the end of the thread, the program ends.
HttpTransport::~HttpTransport() { drain(); }  // NOLINT(bugprone-exception-escape)

bool HttpTransport::is_loopback(const std::string& address) { return parse_address(address).is_loopback(); }

void HttpTransport::use_tls(const std::filesystem::path& certificate, const std::filesystem::path& key) {
  impl_->tls = std::make_unique<TlsContext>(certificate, key);
}

void HttpTransport::reload_tls() {
  asio::post(impl_->io, [impl = impl_.get()] {
    if (!impl->tls) return;
    try {
      impl->tls->reload();
      log_line("info", "certificate_reloaded");
    } catch (const IoError& error) { log_line("error", "certificate_not_reloaded", {{"reason", error.what()}}); }
  });
}

void HttpTransport::listen(const std::string& address, std::uint16_t port) {
  const size_t possible = possible_connections(impl_->limits_.connections);
  if (possible < impl_->limits_.connections) {
    log_line("warning", "fewer_connections",
             {{"connections", static_cast<std::int64_t>(possible)},
              {"remedy", "raise the limit of open files (ulimit -n)"}});
    impl_->limits_.connections = possible;
  }
  try {
    const tcp::endpoint endpoint(parse_address(address), port);
    impl_->acceptor.open(endpoint.protocol());
    impl_->acceptor.set_option(tcp::acceptor::reuse_address(true));
    impl_->acceptor.bind(endpoint);
    impl_->acceptor.listen();
    impl_->port = impl_->acceptor.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    error_code ignored;
    impl_->acceptor.close(ignored);
    throw IoError(fmt::format("cannot listen on {} port {}: {}; choose another address or port, 0 for any free one",
                              address, port, error.code().message()));
  }
  impl_->accept();
  impl_->thread = start_thread([impl = impl_.get()] {
    // OpenSSL writes without MSG_NOSIGNAL. A closed connection must be an error, not a SIGPIPE that ends the process.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    impl->io.run();
  });
}

std::uint16_t HttpTransport::port() const { return impl_->port; }

void HttpTransport::close_after_answers() {
  asio::post(impl_->io, [impl = impl_.get()] { impl->closing_ = true; });
}

void HttpTransport::drain() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->io, [impl = impl_.get()] { impl->begin_drain(); });
  impl_->thread.join();
}

}  // namespace qing::serve
