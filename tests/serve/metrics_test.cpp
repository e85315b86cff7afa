// GET /metrics after arbitrary requests of clients.
#include "serve/serve_fixture.h"

#include <algorithm>
#include <string>

namespace qing::serve {
namespace {

// Every name would create a permanent series.
TEST_F(ServeTest, MetricsDoNotGrowWithNamesThatClientsMakeUp) {
  start();
  const auto make_up = [this](const std::string& name) {
    EXPECT_EQ(ask(post("{}", "", "/v1/models/" + name + "/predict")).status, 404);
    EXPECT_EQ(ask(get("/" + name)).status, 404);
  };
  const auto lines = [this] {
    const std::string text = ask(get("/metrics")).body;
    return std::count(text.begin(), text.end(), '\n');
  };
  make_up("other");
  lines();
  const auto before = lines();
  EXPECT_GT(before, 20);
  for (int i = 0; i < 20; ++i) make_up("other" + std::to_string(i));
  EXPECT_EQ(lines(), before);
}

}  // namespace
}  // namespace qing::serve
