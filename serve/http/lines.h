// The lines of HTTP/1.1 that Beast reads more leniently than RFC 9112: line ends, folded lines, chunk sizes.
#pragma once

#include <cstddef>
#include <string_view>

namespace qing::serve {

/// Reads the lines of a header, or of a chunked body's trailers, as they come.
class HeaderLines {
 public:
  struct Look {
    bool whole = false;           ///< the empty line that ends them is there
    std::string_view wrong = {};  ///< what is wrong with them, with the remedy; empty: nothing so far
  };
  /// kFraming: only Content-Length and Transfer-Encoding must not be folded over lines. Two programs that read a folded
  /// field differently would disagree on where the message ends. A user agent has to accept other folded fields of a
  /// response (RFC 9112, 5.2).
  enum class Fold { kRefused, kRefusedInFraming };

  explicit HeaderLines(Fold fold = Fold::kRefused) : fold_(fold) {}

  /// `data` begins with the first line and grows from call to call. A line feed alone, which Beast would wait behind,
  /// is wrong, and so is a line that begins with a space or a tab (RFC 9112, 2.2 and 5.2).
  Look look(std::string_view data);

 private:
  Fold fold_;
  size_t searched_ = 0;
};

/// Reads the line that begins a chunk as it comes, and the trailers behind the last chunk.
class ChunkLine {
 public:
  /// `first`: no line end of a chunk before it stands in front of the line.
  explicit ChunkLine(bool first) : begin_(first ? 0 : 2), searched_(begin_) {}

  /// `data` begins where the chunk before ended and grows from call to call. `whole` means that a parser needs no more
  /// data for the line, and for the trailers if it is the last one.
  HeaderLines::Look look(std::string_view data);

 private:
  size_t begin_, searched_;
  size_t end_ = 0;  // of the line, without its line end; 0: not known
  bool last_ = false;
  HeaderLines trailers_;
};

/// What is wrong with a chunk's extensions, *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ), or empty.
/// Quoted strings have no control characters but HTAB (RFC 9112, 7.1.1; RFC 9110, 5.6.4).
std::string_view chunk_extensions_fault(std::string_view text);

}  // namespace qing::serve
