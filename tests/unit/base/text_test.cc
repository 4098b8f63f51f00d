#include "src/base/text.h"

#include <gtest/gtest.h>

#include <string>

namespace baton {
namespace {

using namespace std::string_literals;

TEST(SameText, IsEquality) {
  const std::string text = "0123456789abcdefghijklmnopq";
  for (std::size_t bytes = 0; bytes <= text.size(); ++bytes) {
    const std::string one = text.substr(0, bytes);
    EXPECT_TRUE(same_text(one, std::string(one)));
    EXPECT_FALSE(same_text(one, one + "x"));
    for (std::size_t i = 0; i < bytes; ++i) {
      std::string other = one;
      other[i] = '!';
      EXPECT_FALSE(same_text(one, other)) << i << " of " << bytes;
    }
  }
}

TEST(Utf8, WellFormed) {
  const std::string good[] = {"",
                              "plain",
                              "exactly8",
                              "plain and more than eight, é",
                              "\x00\x7F"s,
                              "\xC2\x80",
                              "\xDF\xBF",
                              "\xE0\xA0\x80",
                              "\xED\x9F\xBF",
                              "\xEE\x80\x80",
                              "\xEF\xBF\xBF",
                              "\xF0\x90\x80\x80",
                              "\xF4\x8F\xBF\xBF"};
  for (const std::string& text : good) {
    EXPECT_TRUE(is_utf8(text)) << quote(text);
    EXPECT_TRUE(is_utf8("12345678" + text + "12345678")) << quote(text);
  }
}

TEST(Utf8, IllFormed) {
  const std::string bad[] = {"\x80",
                             "\xBF",
                             "\xC0\x80",
                             "\xC1\xBF",
                             "\xC2",
                             "\xC2z",
                             "\xE0\x9F\xBF",
                             "\xE1\x80",
                             "\xE1\x80z",
                             "\xED\xA0\x80",
                             "\xED\xBF\xBF",
                             "\xF0\x8F\xBF\xBF",
                             "\xF1\x80\x80",
                             "\xF4\x90\x80\x80",
                             "\xF5\x80\x80\x80",
                             "\xFE",
                             "\xFF"};
  for (const std::string& text : bad) {
    EXPECT_FALSE(is_utf8(text)) << quote(text);
    EXPECT_FALSE(is_utf8("12345678" + text)) << quote(text);
    EXPECT_FALSE(is_utf8(text + "12345678")) << quote(text);
  }
}

TEST(Quote, EscapesAndCuts) {
  EXPECT_EQ(quote("plain"), "'plain'");
  EXPECT_EQ(quote("a\n\xFF"), "'a\\x0a\\xff'");
  EXPECT_EQ(quote(std::string(64, 'x')), "'" + std::string(64, 'x') + "'");
  EXPECT_EQ(quote(std::string(65, 'x')), "'" + std::string(64, 'x') + "'… (65 bytes)");
}

}  // namespace
}  // namespace baton
