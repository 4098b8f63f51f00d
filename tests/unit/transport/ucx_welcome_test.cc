// What a receiver tells a proven writer, and to nobody else (P8).
#include "src/transport/ucx/welcome.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "src/transport/ucx/sealing.h"

namespace baton::transport::ucx {
namespace {

Welcome sample() {
  return {.base_address = 0x7f00'0000'1000,
          .page_bytes = 4096,
          .page_count = 7,
          .rails = {{.worker_address = "address 0", .rkey = "key 0"},
                    {.worker_address = std::string("\0\xff", 2), .rkey = "key 1"}}};
}

tcp::Hello hello() {
  return {.connection = 3,
          .sender = Epoch::random(),
          .receiver = Epoch::random(),
          .nonce = random_nonce()};
}

TEST(UcxWelcome, ComesBackAsItWas) {
  const auto parsed = parse_welcome(encode(sample()));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->base_address, sample().base_address);
  EXPECT_EQ(parsed->page_bytes, 4096U);
  EXPECT_EQ(parsed->page_count, 7U);
  ASSERT_EQ(parsed->rails.size(), 2U);
  EXPECT_EQ(parsed->rails[0].rkey, "key 0");
  EXPECT_EQ(parsed->rails[1].worker_address, std::string("\0\xff", 2));
}

TEST(UcxWelcome, IsTheBytesOfTheSpecification) {
  Welcome welcome = sample();
  welcome.rails.resize(1);
  const std::string expected =
      std::string("BTNU\x01\0\x01\0\x07\0\0\0", 12) + std::string("\0\x10\0\0\0\x7f\0\0", 8) +
      std::string("\0\x10\0\0\0\0\0\0", 8) + std::string("\x09\0address 0\x05\0key 0", 18);
  EXPECT_EQ(encode(welcome), expected);
}

TEST(UcxWelcome, CutShortOrTooLong) {
  const std::string whole = encode(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(parse_welcome(whole.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(parse_welcome(whole + "x").status().code(), StatusCode::kDataLoss);
}

TEST(UcxWelcome, ValuesThatMakeNoSense) {
  const std::function<void(Welcome&)> changes[] = {
      [](Welcome& w) { w.page_bytes = 0; },
      [](Welcome& w) { w.page_count = 0; },
      [](Welcome& w) { w.rails.clear(); },
      [](Welcome& w) { w.rails.resize(kMaxRails + 1, w.rails[0]); },
      [](Welcome& w) { w.rails[1].rkey.clear(); },
      [](Welcome& w) { w.rails[0].worker_address.assign(kMaxBlobBytes + 1, 'a'); },
      [](Welcome& w) { w.page_bytes = std::numeric_limits<std::uint64_t>::max() / 6; },
      [](Welcome& w) { w.base_address = std::numeric_limits<std::uint64_t>::max() - 4096; },
  };
  for (std::size_t i = 0; i < std::size(changes); ++i) {
    Welcome welcome = sample();
    changes[i](welcome);
    EXPECT_EQ(parse_welcome(encode(welcome)).status().code(), StatusCode::kDataLoss) << i;
  }
  for (const std::size_t at : {0U, 4U}) {  // the magic, the version
    std::string bytes = encode(sample());
    bytes[at] = '?';
    EXPECT_EQ(parse_welcome(bytes).status().code(), StatusCode::kDataLoss) << at;
  }
}

TEST(UcxSealing, OpensForThatConnectionOnly) {
  const Secret secret = Secret::random();
  const tcp::Hello theirs = hello();
  const std::string sealed = seal("what is secret", secret, theirs);
  EXPECT_EQ(sealed.find("secret"), std::string::npos);
  EXPECT_EQ(*open_sealed(sealed, secret, theirs), "what is secret");

  tcp::Hello later = theirs;
  ++later.connection;
  tcp::Hello other = theirs;
  other.nonce = random_nonce();
  for (const tcp::Hello& wrong : {later, other}) {
    EXPECT_EQ(open_sealed(sealed, secret, wrong).status().code(), StatusCode::kPermissionDenied);
  }
  EXPECT_EQ(open_sealed(sealed, Secret::random(), theirs).status().code(),
            StatusCode::kPermissionDenied);
}

TEST(UcxSealing, NothingThatWasChangedOpens) {
  const Secret secret = Secret::random();
  const tcp::Hello theirs = hello();
  const std::string sealed = seal("what is secret", secret, theirs);
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    std::string changed = sealed;
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_EQ(open_sealed(changed, secret, theirs).status().code(), StatusCode::kPermissionDenied)
        << at;
  }
  EXPECT_EQ(open_sealed(sealed.substr(0, 39), secret, theirs).status().code(),
            StatusCode::kDataLoss);
  EXPECT_EQ(open_sealed(std::string(kMaxSealedBytes + 1, 'x'), secret, theirs).status().code(),
            StatusCode::kDataLoss);
}

}  // namespace
}  // namespace baton::transport::ucx
