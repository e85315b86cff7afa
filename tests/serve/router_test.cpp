// The route table without a socket: patterns, methods, bodies, refusals, request ids.
#include <gtest/gtest.h>

#include <map>

#include <qing/serve/http/request_id.h>
#include <qing/serve/http/router.h>
#include <qing/tensor/errors.h>

namespace qing::serve {
namespace {

struct Request {
  std::string method = "GET", path = "/";
  std::map<std::string, std::string> headers = {};
  bool has_length = false;
};

class RouterTest : public ::testing::Test {
 protected:
  static Route row(std::string_view method, std::string_view pattern, BodyKind body = BodyKind::kNone) {
    return {.method = method,
            .pattern = pattern,
            .scope = Scope::kAdmin,
            .body = body,
            .operation = {},
            .open = [pattern](const Call& call) {
              std::string text(pattern);
              for (const auto& [name, value] : call.parameters) text += fmt_pair(name, value);
              return answer({200, text, {}});
            }};
  }
  static std::string fmt_pair(std::string_view name, std::string_view value) {
    return " " + std::string(name) + "=" + std::string(value);
  }
  HttpResponse ask(const Request& request) {
    HttpHead head;
    head.method = request.method;
    head.path = request.path;
    head.has_length = request.has_length;
    head.header = [&](std::string_view name) -> std::string_view {
      const auto found = request.headers.find(std::string(name));
      return found == request.headers.end() ? std::string_view() : found->second;
    };
    const Routed routed = router.route(head, [&](const Route& route) {
      asked.push_back(route.scope);
      if (refuse) throw Refusal(error_response(401, "unauthorized", "no"));
      return std::string("key");
    });
    if (routed.refusal) return *routed.refusal;
    HttpResponse response;
    routed.run("", [&](HttpResponse given) { response = std::move(given); });
    return response;
  }
  Router router{{row("GET", "/a/{name}"), row("POST", "/a/{name}:go", BodyKind::kJson), row("GET", "/a/{name}/b/{v}"),
                 row("GET", "/a/fixed"), row("POST", "/a/fixed", BodyKind::kAny), row("GET", "/")}};
  std::vector<Scope> asked;
  bool refuse = false;
};

TEST_F(RouterTest, TheMoreSpecificPatternWins) {
  EXPECT_EQ(ask({.path = "/"}).body, "/");
  EXPECT_EQ(ask({.path = "/a/x"}).body, "/a/{name} name=x");
  EXPECT_EQ(ask({.path = "/a/fixed"}).body, "/a/fixed");
  EXPECT_EQ(ask({.path = "/a/x/b/7"}).body, "/a/{name}/b/{v} name=x v=7");
  EXPECT_EQ(ask({"POST", "/a/x:go", {{"Content-Type", "application/json"}}, true}).body, "/a/{name}:go name=x");
  EXPECT_EQ(ask({"POST", "/a/fixed"}).body, "/a/fixed");
  EXPECT_EQ(ask({"HEAD", "/a/fixed"}).status, 200);
  EXPECT_EQ(asked, std::vector<Scope>(7, Scope::kAdmin));
}

TEST_F(RouterTest, RefusesUnknownRoutesAndMethods) {
  for (const char* path : {"", "a", "//", "/a", "/a/", "/a//b/7", "/a/x/", "/a/x/b", "/a/x/b/7/", "/A/x"}) {
    EXPECT_EQ(ask({.path = path}).status, 404) << path;
  }
  EXPECT_TRUE(asked.empty());
  const HttpResponse go = ask({"GET", "/a/x:go"});
  EXPECT_EQ(go.status, 405);
  EXPECT_EQ(go.headers.front().second, "POST");
  EXPECT_EQ(ask({"PUT", "/a/fixed"}).headers.front().second, "GET, HEAD, POST");
  EXPECT_EQ(ask({"POST", "/a/x:go"}).status, 411);
  EXPECT_EQ(ask({"POST", "/a/x:go", {}, true}).status, 415);
  refuse = true;
  EXPECT_EQ(ask({"POST", "/a/x:go"}).status, 401);
}

TEST_F(RouterTest, RefusesTablesThatContradictThemselves) {
  EXPECT_THROW(Router({row("GET", "/a"), row("GET", "/a")}), ValueError);
  for (const char* pattern : {"", "a", "/{a", "/a}", "/x{a}", "/{}", "/{a}/{b}/{c}"}) {
    EXPECT_THROW(Router({row("GET", pattern)}), ValueError) << pattern;
  }
}

TEST_F(RouterTest, DecodesParametersButNoFixedSegments) {
  EXPECT_EQ(ask({.path = "/a/x%2Dy%5f"}).body, "/a/{name} name=x-y_");
  EXPECT_EQ(ask({"POST", "/a/x%3Ago", {{"Content-Type", "application/json"}}, true}).body, "/a/{name}:go name=x");
  EXPECT_EQ(ask({.path = "/a/%78/b/%37"}).body, "/a/{name}/b/{v} name=x v=7");
  EXPECT_EQ(ask({.path = "/a/x%2Fb%2F7"}).body, "/a/{name} name=x/b/7");  // no end of a segment
  EXPECT_EQ(ask({.path = "/a/%2525"}).body, "/a/{name} name=%25");
  for (const char* name : {"%", "%4", "%4g", "%zz", "x%"}) {
    EXPECT_EQ(ask({.path = std::string("/a/") + name}).body, std::string("/a/{name} name=") + name);
  }
  EXPECT_EQ(ask({.path = "/%61/x"}).status, 404);  // a proxy's rule for /a would not see it
}

TEST(RequestId, IsTheClientsIfItIsValid) {
  EXPECT_EQ(request_id("abc-1.2_Z"), "abc-1.2_Z");
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\"b"), std::string(65, 'a')}) {
    EXPECT_EQ(request_id(bad).size(), 16U) << bad;
    EXPECT_NE(request_id(bad), request_id(bad));
  }
}

TEST(Traceparent, PassesOnlyWhatIsWellFormed) {
  const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  EXPECT_EQ(checked_traceparent(good), good);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = 'X';
    EXPECT_EQ(checked_traceparent(bad), "") << i;
  }
  EXPECT_EQ(checked_traceparent(good + "0"), "");
  EXPECT_EQ(checked_traceparent("00-00000000000000000000000000000000-00f067aa0ba902b7-01"), "");
}

}  // namespace
}  // namespace qing::serve
