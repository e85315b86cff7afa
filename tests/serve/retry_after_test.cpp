// Retry-After: seconds and the three forms of HTTP's dates.
#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <string>

#include <qing/serve/http/retry_after.h>

namespace qing::serve {
namespace {

using std::chrono::seconds;

// 1994-11-06 08:49:37 UTC, the example of RFC 9110, 5.6.7.
constexpr std::chrono::sys_seconds kExample{seconds(784111777)};

TEST(RetryAfter, TakesSecondsAndDatesInThreeForms) {
  for (const char* zone : {"UTC", "Asia/Shanghai"}) {
    ::setenv("TZ", zone, 1);
    ::tzset();
    for (const char* date :
         {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
      EXPECT_EQ(retry_after(date, kExample - seconds(20)), seconds(20)) << date << zone;
      EXPECT_EQ(retry_after(date, kExample + seconds(5)), seconds(0)) << date;
    }
  }
  ::unsetenv("TZ");
  ::tzset();
  EXPECT_EQ(retry_after("0", kExample), seconds(0));
  EXPECT_EQ(retry_after("86400", kExample), seconds(86400));
  // 49 is 2049 seen from 1999, and 1949 seen from 1998.
  EXPECT_EQ(retry_after("Friday, 01-Jan-49 00:00:00 GMT", kExample), seconds(0));
  EXPECT_GT(retry_after("Friday, 01-Jan-49 00:00:00 GMT", kExample + std::chrono::days(365 * 6)), seconds(1));
}

TEST(RetryAfter, IgnoresInvalidValues) {
  for (const char* text : {"", " ", "-1", "+1", "1.5", "1e3", "soon", "9999999999", "Sun, 06 Nov 1994 08:49:37",
                           "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
                           "Sun, 06 Nov 99999999 08:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "\xC2\xB2"}) {
    EXPECT_EQ(retry_after(text, kExample), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace qing::serve
