// Keys that are nearly alike: what the fast way accepts is what the slow way accepts.
#include "src/base/key_checker.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "baton/key.h"
#include "src/base/hex.h"

namespace baton {
namespace {

TEST(Hex, ReadsWhatItWrites) {
  const std::string good[] = {"0",
                              "1",
                              "f",
                              "ff",
                              "12345678",
                              "123456789",
                              "fedcba9876543210",
                              "1fedcba9876543210",
                              "abcdef0123456789abcdef0123456789",
                              std::string(64, 'f'),
                              "1" + std::string(63, '0')};
  for (const std::string& digits : good) {
    HexNumber number;
    ASSERT_TRUE(read_hex(digits, number)) << digits;
    std::string written = "x";
    write_hex(number, written);
    EXPECT_EQ(written, "x" + digits);
  }
  HexNumber number;
  ASSERT_TRUE(read_hex("1fedcba9876543210", number));
  EXPECT_EQ(number, (HexNumber{0, 0, 1, 0xfedcba9876543210U}));
}

TEST(Hex, RefusesEveryOtherText) {
  HexNumber number;
  for (const char* bad : {"", "00", "01", "-1", "A", "g", " 1", "1 ", "1@2", "0x1"}) {
    EXPECT_FALSE(read_hex(bad, number)) << bad;
  }
  EXPECT_FALSE(read_hex("1" + std::string(64, '0'), number));
  // At every place of a number of every length, and nowhere else.
  for (std::size_t length = 1; length <= 64; ++length) {
    EXPECT_TRUE(read_hex(std::string(length, '9'), number));
    for (std::size_t place = 0; place < length; ++place) {
      std::string digits(length, '9');
      digits[place] = 'x';
      EXPECT_FALSE(read_hex(digits, number)) << digits;
    }
  }
  // Any byte but a digit, at every place of the eight that are read together.
  for (std::size_t place = 0; place < 8; ++place) {
    for (unsigned byte = 0; byte < 256; ++byte) {
      std::string digits = "12345678";
      digits[place] = static_cast<char>(byte);
      const bool is_digit = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f');
      const bool is_leading_zero = place == 0 && byte == '0';
      EXPECT_EQ(read_hex(digits, number), is_digit && !is_leading_zero) << byte;
    }
  }
}

TEST(KeyChecker, SaysWhatValidateSays) {
  const std::string texts[] = {
      "m@1@0@ff@half",
      "m@1@0@0@half",
      "m@1@0@00@half",
      "m@1@0@@half",
      "m@1@0@f@half@17@a%b",
      "m@1@0@-f@half",
      "m@1@0@--f@half",
      "m@1@0@F@half",
      "m@1@0@f@f@half",
      "m@1@0@f@half@half",
      "m@1@0@1f",
      "m@1@0@",
      "m@1@0@half",
      "",
      "@@@@",
      "m@1@1@ff@half",
      "m@01@0@ff@half",
      "m@1@0@" + std::string(65, 'f') + "@half",
      "m@1@0@\xff@half",
      std::string(CacheEngineKey::kMaxBytes - 11, 'm') + "@1@0@0@half",
      std::string(CacheEngineKey::kMaxBytes - 11, 'm') + "@1@0@10@half",
      std::string(CacheEngineKey::kMaxBytes - 11, 'm') + "@1@0@1@half",
  };
  // Whatever came before.
  for (const std::string& before : texts) {
    for (const std::string& text : texts) {
      KeyChecker checker;
      static_cast<void>(checker.check(before));
      EXPECT_EQ(checker.check(text), CacheEngineKey::validate(text)) << before << " → " << text;
    }
  }
}

TEST(KeyChecker, FindsTheHash) {
  const auto place = find_hash("m@1@0@ff@half@17");
  EXPECT_EQ(place.begin, 6U);
  EXPECT_EQ(place.end, 8U);
  EXPECT_EQ(find_hash("m@1@0@ff").end, 8U);
  EXPECT_EQ(find_hash("m@1@").begin, 4U);
  EXPECT_EQ(find_hash("m@1@").end, 4U);
}

}  // namespace
}  // namespace baton
