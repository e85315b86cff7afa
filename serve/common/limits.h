// Every limit of the server, with its name and its default, in one place.
#pragma once

#include <chrono>
#include <cstddef>

namespace qing::serve {

/// A request over a limit is refused with the status named here; the body says which limit and what to do.
struct Limits {
  size_t header_bytes = 16UL * 1024;               ///< request line and headers; above: 431
  size_t body_bytes = 4UL * 1024 * 1024;           ///< request body; above: 413
  size_t texts = 1024;                             ///< texts in one request; above: 422
  size_t explained_texts = 64;                     ///< of them, when explanations are asked for; above: 422
  size_t text_bytes = 256UL * 1024;                ///< UTF-8 bytes of one text; above: 422
  size_t json_depth = 8;                           ///< nesting of a JSON body; above: 400
  size_t header_fields = 100;                      ///< fields of a header; above: 431
  size_t bodies_bytes = 256UL * 1024 * 1024;       ///< bodies in memory, of all requests together; above: 503
  size_t connections = 16384;                      ///< open at once; above: 503 (not with TLS) and close
  size_t address_connections = 1024;               ///< from one address, but for this machine's own; above: likewise
  size_t queue_texts = 8192;                       ///< texts that wait for one model; above: 503
  size_t queue_tokens = 512UL * 1024;              ///< tokens (estimated) that wait for one model; above: 503
  size_t batch_texts = 256;                        ///< most texts computed together
  size_t batch_tokens = 4096;                      ///< most tokens computed together, but one text at least
  size_t compute_workers = 0;                      ///< batches computed at the same time, each on its share of the
                                                   ///< threads; 0: as many as there are threads
  size_t cache_bytes = 0;                          ///< for predictions of repeated texts; 0: nothing is kept
  size_t file_bytes = 512UL << 20U;                ///< an uploaded file; above: 413
  size_t model_bytes = 4UL << 30U;                 ///< files of an uploaded model together, unpacked; above: 422
  size_t storage_bytes = 10UL << 30U;              ///< files that one project keeps; above: 413
  size_t upload_rate = 8UL * 1024;                 ///< bytes of an uploaded file a second, after request_time; below:
                                                   ///< 408
  std::chrono::milliseconds request_time{10'000};  ///< from a request's first byte to its last; above: 408
  std::chrono::milliseconds idle_time{60'000};     ///< a kept-alive connection without a request; above: close
  std::chrono::milliseconds write_time{10'000};    ///< for the client to take a response; above: close
  std::chrono::milliseconds predict_time{30'000};  ///< from a request's last byte to its answer, unless its header
                                                   ///< Request-Timeout (in seconds) says less; above: 504
  std::chrono::milliseconds linger_time{1'000};    ///< reading on after a refusal, so that the client sees it
  std::chrono::milliseconds drain_delay{0};        ///< in which a server that stops still takes requests
  std::chrono::milliseconds drain_time{30'000};    ///< for requests in flight when the server stops, after drain_delay
  size_t retry_after_seconds = 1;                  ///< the Retry-After of a 503
};

}  // namespace qing::serve
