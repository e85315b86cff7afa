// A form of multipart/form-data (RFC 7578, RFC 2046), read in pieces of any size with bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <qing/tensor/errors.h>

namespace qing::serve {

/// A form that is not multipart/form-data. what() says what is wrong and what to do.
class MultipartError : public DataError {
 public:
  using DataError::DataError;
};

/// The head of a part.
struct FormPart {
  std::string name;                     ///< of the field, as sent; not empty
  std::optional<std::string> filename;  ///< as sent, but for %22, %0D and %0A; nothing for a part that is no file
};

/// Takes what a MultipartParser finds. Its exceptions pass through the parser.
class FormHandler {
 public:
  virtual ~FormHandler() = default;
  virtual void begin_part(const FormPart& part) = 0;
  virtual void part_data(std::string_view bytes) = 0;  ///< any number of times a part, never with 0 bytes
  virtual void end_part() = 0;
};

/// A part ends at a line break, "--", the boundary, and the end of that line; other occurrences of the boundary are
/// data. A multipart body inside a part is data, too. Refused are parts without a name, with folded or malformed
/// headers, or in a transfer encoding. Not thread-safe.
class MultipartParser {
 public:
  static constexpr size_t kHeaderBytes = 8UL * 1024;  ///< headers of one part
  static constexpr size_t kParts = 64;                ///< of a form

  /// The boundary that a Content-Type of multipart/form-data names. Nothing when the type is another. MultipartError
  /// when the boundary is missing or not one of RFC 2046, 5.1.1.
  static std::optional<std::string> boundary_of(std::string_view content_type);

  MultipartParser(const std::string& boundary, FormHandler& handler);

  /// Reads on. Bytes behind the end of the form are ignored (RFC 2046: the epilogue). MultipartError, after which the
  /// parser is used no more.
  void feed(std::string_view bytes);
  /// To be called at the end of the body. MultipartError when the form has not ended.
  void finish() const;

 private:
  enum class State : std::uint8_t { kPreamble, kDelimiter, kHeaders, kData, kEpilogue };
  std::string_view rest() const { return std::string_view(buffer_).substr(at_); }
  bool step();
  bool read_delimiter();
  bool read_headers();
  bool read_data();
  void end_part();

  std::string delimiter_;  // a line break, "--" and the boundary
  FormHandler& handler_;
  std::string buffer_;  // read, and from at_ on not understood
  size_t at_ = 0;
  State state_ = State::kPreamble;
  bool in_part_ = false;
  size_t parts_ = 0;
};

}  // namespace qing::serve
