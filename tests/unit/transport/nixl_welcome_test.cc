// What a receiver tells a proven writer of its NIXL agent (P8).
#include "src/transport/nixl/welcome.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "tests/support/nixl_metadata.h"

namespace baton::transport::nixl {
namespace {

constexpr std::uint64_t kBase = 0x7000'0000'0000;
constexpr std::uint64_t kProbe = 0x6000'0000'0000;

Welcome sample() {
  testing::NixlMetadata agent;
  agent.regions = {{.address = kProbe, .length = 4096}, {.address = kBase, .length = 7 * 4096}};
  agent.count = 2;
  return {.base_address = kBase,
          .page_bytes = 4096,
          .page_count = 7,
          .probe_address = kProbe,
          .metadata = testing::serialise(agent)};
}

TEST(NixlWelcome, ComesBackAsItWas) {
  const auto parsed = parse_welcome(encode(sample()));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->base_address, kBase);
  EXPECT_EQ(parsed->page_bytes, 4096U);
  EXPECT_EQ(parsed->page_count, 7U);
  EXPECT_EQ(parsed->probe_address, kProbe);
  EXPECT_EQ(parsed->metadata, sample().metadata);
}

TEST(NixlWelcome, IsTheBytesOfTheSpecification) {
  const Welcome welcome = sample();
  const std::string head =
      std::string("BTNN\x01\0\0\0\x07\0\0\0", 12) + std::string("\0\0\0\0\0\x70\0\0", 8) +
      std::string("\0\x10\0\0\0\0\0\0", 8) + std::string("\0\0\0\0\0\x60\0\0", 8);
  const std::string bytes = encode(welcome);
  EXPECT_EQ(bytes.substr(0, head.size()), head);
  EXPECT_EQ(bytes.substr(head.size(), 4),
            testing::NixlFields::raw(static_cast<std::uint32_t>(welcome.metadata.size())));
  EXPECT_EQ(bytes.substr(head.size() + 4), welcome.metadata);
}

TEST(NixlWelcome, CutShortOrTooLong) {
  const std::string whole = encode(sample());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(parse_welcome(whole.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(parse_welcome(whole + "x").status().code(), StatusCode::kDataLoss);
}

TEST(NixlWelcome, ValuesThatMakeNoSense) {
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  const std::function<void(Welcome&)> changes[] = {
      [](Welcome& w) { w.page_bytes = 0; },
      [](Welcome& w) { w.page_count = 0; },
      [](Welcome& w) { w.page_bytes = kHuge / 6; },
      [](Welcome& w) { w.page_count = 8; },        // beyond what is registered
      [](Welcome& w) { w.base_address += 4096; },  // likewise
      [](Welcome& w) { w.base_address = kHuge - 4096; },
      [](Welcome& w) { w.probe_address = kProbe + 4096 - kProbeBytes + 1; },
      [](Welcome& w) { w.metadata.assign(kMaxWelcomeMetadataBytes + 1, 'm'); },
      [](Welcome& w) { w.metadata.clear(); },
  };
  for (std::size_t i = 0; i < std::size(changes); ++i) {
    Welcome welcome = sample();
    changes[i](welcome);
    EXPECT_EQ(parse_welcome(encode(welcome)).status().code(), StatusCode::kDataLoss) << i;
  }
  for (const std::size_t at : {0U, 4U, 6U}) {  // the magic, the version, what is reserved
    std::string bytes = encode(sample());
    bytes[at] = '?';
    EXPECT_EQ(parse_welcome(bytes).status().code(), StatusCode::kDataLoss) << at;
  }
}

/// As if registered: a peer may claim any length.
Welcome claiming(std::uint64_t page_bytes, std::uint32_t page_count) {
  testing::NixlMetadata agent;
  agent.regions = {{.address = kProbe, .length = 4096},
                   {.address = kBase, .length = page_bytes * page_count}};
  agent.count = 2;
  Welcome welcome = sample();
  welcome.page_bytes = page_bytes;
  welcome.page_count = page_count;
  welcome.metadata = testing::serialise(agent);
  return welcome;
}

TEST(NixlWelcome, MorePagesThanAWriterKeepsListsOf) {
  EXPECT_TRUE(parse_welcome(encode(claiming(kMinWelcomePageBytes, kMaxWelcomePages))).ok());
  for (const Welcome& welcome : {claiming(1, std::numeric_limits<std::uint32_t>::max()),
                                 claiming(std::uint64_t{64} << 10U, 1U << 31U),
                                 claiming(kMinWelcomePageBytes, kMaxWelcomePages + 1),
                                 claiming(kMinWelcomePageBytes - 1, 7)}) {
    EXPECT_EQ(parse_welcome(encode(welcome)).status().code(), StatusCode::kDataLoss)
        << welcome.page_count << " pages of " << welcome.page_bytes;
  }
}

}  // namespace
}  // namespace baton::transport::nixl
