// What a NIXL agent says of itself is hostile input: NIXL's own decoder checks none of it (P8).
#include "src/transport/nixl/metadata.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <string>

#include "tests/support/nixl_metadata.h"

namespace baton::transport::nixl {
namespace {

using Agent = testing::NixlMetadata;
using testing::serialise;

TEST(NixlMetadata, SaysWhoAndWhere) {
  Agent agent;
  agent.regions.push_back({.address = 4096, .length = 8192, .device = 3});
  agent.count = 2;
  const auto metadata = check_metadata(serialise(agent));
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_EQ(metadata->agent_name, "lmcache-agent");
  ASSERT_EQ(metadata->regions.size(), 2U);
  EXPECT_EQ(metadata->regions[1].address, 4096U);
  EXPECT_EQ(metadata->regions[1].length_bytes, 8192U);
  EXPECT_EQ(metadata->regions[1].device, 3U);
}

TEST(NixlMetadata, AnAgentMayHaveNothingRegistered) {
  Agent agent;
  agent.sections = 0;
  const auto metadata = check_metadata(serialise(agent));
  ASSERT_TRUE(metadata.ok()) << metadata.status();
  EXPECT_TRUE(metadata->regions.empty());
}

TEST(NixlMetadata, CutShortOrTooLong) {
  const std::string whole = serialise(Agent{});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(check_metadata(whole.substr(0, size)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(check_metadata(whole + "|").status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(check_metadata(whole + whole).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(check_metadata(std::string(kMaxMetadataBytes + 1, 'n')).status().code(),
            StatusCode::kDataLoss);
}

TEST(NixlMetadata, ValuesThatAreRefused) {
  constexpr auto kHuge = std::numeric_limits<std::uint64_t>::max();
  const std::function<void(Agent&)> changes[] = {
      [](Agent& a) { a.name.clear(); },
      [](Agent& a) { a.name.assign(kMaxAgentNameBytes + 1, 'n'); },
      [](Agent& a) { a.connections = 0; },
      [](Agent& a) { a.connections = 2; },
      [](Agent& a) { a.connections = kHuge; },
      [](Agent& a) { a.backend = "GDS"; },
      [](Agent& a) { a.address.clear(); },
      [](Agent& a) { a.address.assign((8U << 10U) + 1, 'a'); },
      [](Agent& a) { a.sections = 2; },
      [](Agent& a) { a.sections = kHuge; },
      [](Agent& a) { a.list = "nixlBDList"; },
      [](Agent& a) { a.memory = 1; },  // a GPU's
      [](Agent& a) { a.count = 0; },
      [](Agent& a) { a.count = 2; },
      [](Agent& a) { a.count = kHuge; },
      [](Agent& a) {
        a.count = kMaxRegions + 1;
        a.regions.resize(a.count);
      },
      [](Agent& a) { a.regions[0].length = 0; },
      [](Agent& a) { a.regions[0].length = kHuge; },
      [](Agent& a) { a.regions[0].key.clear(); },
      [](Agent& a) { a.regions[0].key.assign((8U << 10U) + 1, 'k'); },
  };
  for (std::size_t i = 0; i < std::size(changes); ++i) {
    Agent agent;
    changes[i](agent);
    EXPECT_EQ(check_metadata(serialise(agent)).status().code(), StatusCode::kDataLoss) << i;
  }
}

TEST(NixlMetadata, LengthsThatWrapAround) {
  // NIXL adds one to a length before it compares: with this one it would go on.
  const std::string bytes = testing::NixlFields().bytes() + "Agent" +
                            testing::NixlFields::raw(std::numeric_limits<std::uint64_t>::max()) +
                            "x|";
  EXPECT_EQ(check_metadata(bytes).status().code(), StatusCode::kDataLoss);
}

TEST(NixlMetadata, EveryByteOfTheEnvelopeCounts) {
  const std::string whole = serialise(Agent{});
  const std::size_t key_at = whole.find("packed key");
  const std::size_t name_at = whole.find("lmcache-agent");
  const std::size_t address_at = whole.find("worker address");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    const bool is_free = (at >= key_at - 24 && at < key_at + 10) ||
                         (at >= name_at && at < name_at + 13) ||
                         (at >= address_at && at < address_at + 14);
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x20);
    EXPECT_TRUE(is_free || !check_metadata(changed).ok()) << at;
  }
}

TEST(NixlMetadata, Covers) {
  const Metadata metadata{.agent_name = "a",
                          .regions = {{.address = 4096, .length_bytes = 8192, .device = 1}}};
  EXPECT_TRUE(covers(metadata, 4096, 8192, 1));
  EXPECT_TRUE(covers(metadata, 12287, 1, 1));
  EXPECT_FALSE(covers(metadata, 4096, 8193, 1));
  EXPECT_FALSE(covers(metadata, 4095, 1, 1));
  EXPECT_FALSE(covers(metadata, 12288, 1, 1));
  EXPECT_FALSE(covers(metadata, 4097, 8192, 1));
  EXPECT_FALSE(covers(metadata, 4096, 1, 0));
  EXPECT_FALSE(covers(metadata, std::numeric_limits<std::uint64_t>::max(), 2, 1));
}

}  // namespace
}  // namespace baton::transport::nixl
