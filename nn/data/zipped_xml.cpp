#include <qing/nn/data/zipped_xml.h>

#include <expat.h>
#include <fmt/format.h>
#include <zip.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <utility>

#include <qing/tensor/errors.h>

namespace qing::nn {
namespace {

std::string_view without_prefix(const char* name) {
  const std::string_view whole(name);
  const size_t colon = whole.rfind(':');
  return colon == whole.npos ? whole : whole.substr(colon + 1);
}

}  // namespace

ZippedXml::ZippedXml(const std::filesystem::path& path) : path_(path.string()) {
  int code = 0;
  archive_ = zip_open(path_.c_str(), ZIP_RDONLY, &code);
  if (archive_ != nullptr) return;
  const int system = errno;
  if (code == ZIP_ER_OPEN || code == ZIP_ER_READ || code == ZIP_ER_NOENT) {
    throw IoError(fmt::format("{}: cannot open: {}", path_, std::strerror(code == ZIP_ER_NOENT ? ENOENT : system)));
  }
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  const std::string why = zip_error_strerror(&error);
  zip_error_fini(&error);
  throw DataError(fmt::format("{}: the file is damaged or no workbook: {}; save it again", path_, why));
}

ZippedXml::~ZippedXml() { zip_discard(static_cast<zip_t*>(archive_)); }

bool ZippedXml::has(const std::string& member) const {
  return zip_name_locate(static_cast<zip_t*>(archive_), member.c_str(), 0) >= 0;
}

void ZippedXml::parse(const std::string& member, XmlHandlers handlers) {
  Parser parser(*this, member, std::move(handlers));
  while (parser.step()) {}
}

struct ZippedXml::Parser::Impl {
  std::string place;  // "path: member"
  XmlHandlers handlers;
  zip_file_t* file = nullptr;
  XML_Parser parser = nullptr;
  std::exception_ptr thrown;  // by a handler; exceptions do not pass through expat
  uint64_t read = 0, size = 0;
  bool ended = false;

  ~Impl() {
    if (parser != nullptr) XML_ParserFree(parser);
    if (file != nullptr) zip_fclose(file);
  }

  template <class Call> void guarded(const Call& call) {
    if (thrown) return;
    try {
      call();
    } catch (...) {
      thrown = std::current_exception();
      XML_StopParser(parser, XML_FALSE);
    }
  }
  void refuse(const char* what) const { throw DataError(fmt::format("{}: {}; save the workbook again", place, what)); }
};

ZippedXml::Parser::Parser(ZippedXml& archive, const std::string& member, XmlHandlers handlers)
    : impl_(std::make_unique<Impl>()) {
  impl_->place = archive.path_ + ": " + member;
  impl_->handlers = std::move(handlers);
  auto* const zip = static_cast<zip_t*>(archive.archive_);
  zip_stat_t about;
  zip_stat_init(&about);
  if (zip_stat(zip, member.c_str(), 0, &about) == 0 && (about.valid & ZIP_STAT_SIZE) != 0) impl_->size = about.size;
  impl_->file = zip_fopen(zip, member.c_str(), 0);
  if (impl_->file == nullptr) impl_->refuse(zip_strerror(zip));
  impl_->parser = XML_ParserCreate(nullptr);
  if (impl_->parser == nullptr) throw std::bad_alloc();
  XML_SetUserData(impl_->parser, impl_.get());
  XML_SetElementHandler(
      impl_->parser,
      [](void* self, const XML_Char* name, const XML_Char** attributes) {
        auto& impl = *static_cast<Impl*>(self);
        impl.guarded([&] {
          if (!impl.handlers.begin) return;
          impl.handlers.begin(without_prefix(name), [attributes](std::string_view wanted) -> std::string_view {
            for (const XML_Char** one = attributes; *one != nullptr; one += 2) {
              if (without_prefix(one[0]) == wanted) return one[1];
            }
            return {};
          });
        });
      },
      [](void* self, const XML_Char* name) {
        auto& impl = *static_cast<Impl*>(self);
        impl.guarded([&] {
          if (impl.handlers.end) impl.handlers.end(without_prefix(name));
        });
      });
  XML_SetCharacterDataHandler(impl_->parser, [](void* self, const XML_Char* text, int size) {
    auto& impl = *static_cast<Impl*>(self);
    impl.guarded([&] {
      if (impl.handlers.text) impl.handlers.text(std::string_view(text, static_cast<size_t>(size)));
    });
  });
  // Workbooks have no document type; entities that it may declare grow without bound.
  XML_SetStartDoctypeDeclHandler(impl_->parser, [](void* self, const XML_Char*, const XML_Char*, const XML_Char*, int) {
    auto& impl = *static_cast<Impl*>(self);
    impl.guarded([&] { impl.refuse("it declares a document type"); });
  });
}

ZippedXml::Parser::~Parser() = default;

bool ZippedXml::Parser::step() {
  if (impl_->ended) return false;
  std::array<char, 1 << 15> piece{};
  const zip_int64_t count = zip_fread(impl_->file, piece.data(), piece.size());
  if (count < 0) impl_->refuse("the file is damaged");
  impl_->read += static_cast<uint64_t>(count);
  impl_->ended = count == 0;
  const XML_Status status = XML_Parse(impl_->parser, piece.data(), static_cast<int>(count), impl_->ended ? 1 : 0);
  if (impl_->thrown) {
    impl_->ended = true;
    std::rethrow_exception(impl_->thrown);
  }
  if (status == XML_STATUS_ERROR) {
    impl_->ended = true;
    impl_->refuse(XML_ErrorString(XML_GetErrorCode(impl_->parser)));
  }
  return !impl_->ended;
}

uint64_t ZippedXml::Parser::bytes_read() const { return impl_->read; }
uint64_t ZippedXml::Parser::bytes() const { return impl_->size; }

}  // namespace qing::nn
