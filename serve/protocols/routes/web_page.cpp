// GET /: the web page for browsers, and the liveness route of KServe's first protocol for other clients.
#include <qing/nn/base64.h>
#include <qing/serve/protocols/protocols.h>

#include <array>
#include <string>

#include <fmt/format.h>
#include <openssl/evp.h>

#include <qing/tensor/errors.h>

namespace qing::serve {

extern const std::string_view kPageSource;  // generated at build time from serve/web/

namespace protocols {
namespace {

// The text between two tags of the page.
std::string_view between(std::string_view begin, std::string_view end) {
  const size_t from = kPageSource.find(begin) + begin.size();
  return kPageSource.substr(from, kPageSource.rfind(end) - from);
}

// A hash-source that allows exactly this style or script (W3C Content Security Policy).
std::string hash_source(std::string_view content) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned length = 0;
  if (EVP_Digest(content.data(), content.size(), digest.data(), &length, EVP_sha256(), nullptr) != 1) {
    throw IoError("web page: OpenSSL cannot compute SHA-256");
  }
  return fmt::format("'sha256-{}'", nn::encode_base64({reinterpret_cast<const char*>(digest.data()), length}));
}

HttpResponse page() {
  const std::string policy = fmt::format(
      "default-src 'none'; script-src {}; style-src {}; connect-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'",
      hash_source(between("<script>", "</script>")), hash_source(between("<style>", "</style>")));
  return {200,
          std::string(kPageSource),
          {{"Content-Security-Policy", policy},
           {"Referrer-Policy", "no-referrer"},
           {"Cache-Control", "no-cache"},
           {"Vary", "Accept"}},
          "text/html; charset=utf-8"};
}

// The page for a service whose URLs begin with `base`.
HttpResponse below(HttpResponse page, std::string_view base) {
  constexpr std::string_view kAttribute = "data-base=\"";
  // A prefix has no characters with a meaning in HTML.
  page.body.insert(page.body.find(kAttribute) + kAttribute.size(), base);
  return page;
}

}  // namespace

std::vector<Route> web_page(Service&) {
  return {{.method = "GET",
           .pattern = "/",
           .scope = Scope::kOpen,
           .operation = {"web page",
                         "The web page when text/html is accepted, else {\"status\":\"alive\"}",
                         {},
                         R"({"type":"object","properties":{"status":{"type":"string"}}})"},
           .open = [html = page()](const Call& call) {
             if (call.head.header("Accept").find("text/html") != std::string_view::npos)
               return answer(below(html, call.head.base));
             return answer({200, R"({"status":"alive"})", {{"Vary", "Accept"}}});
           }}};
}

}  // namespace protocols
}  // namespace qing::serve
