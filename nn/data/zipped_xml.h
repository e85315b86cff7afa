// XML files inside a zip archive, as office documents have them, parsed a piece at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace qing::nn {

/// What a parser reports. Names are without their prefix: "row" for "x:row".
struct XmlHandlers {
  /// The value of an attribute of the element that begins; empty without it.
  using Attribute = std::function<std::string_view(std::string_view name)>;
  std::function<void(std::string_view name, const Attribute& attribute)> begin;
  std::function<void(std::string_view name)> end;
  std::function<void(std::string_view)> text;  ///< a part of a text
};

/// A zip archive. IoError when it cannot be read, DataError when it is damaged. Not thread-safe.
class ZippedXml {
 public:
  explicit ZippedXml(const std::filesystem::path& path);
  ~ZippedXml();
  ZippedXml(const ZippedXml&) = delete;
  ZippedXml& operator=(const ZippedXml&) = delete;

  bool has(const std::string& member) const;

  /// A parser of one member. The archive must outlive it. Not thread-safe.
  class Parser {
   public:
    Parser(ZippedXml& archive, const std::string& member, XmlHandlers handlers);
    ~Parser();
    Parser(const Parser&) = delete;
    Parser& operator=(const Parser&) = delete;
    /// Parses the next piece. False at the end. DataError for a damaged member and for XML that is malformed or
    /// declares a document type. What a handler throws is passed on.
    bool step();
    uint64_t bytes_read() const;
    uint64_t bytes() const;  ///< of the whole member

   private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
  };
  /// Parses a whole member.
  void parse(const std::string& member, XmlHandlers handlers);

 private:
  std::string path_;
  void* archive_;
};

}  // namespace qing::nn
