// Every message survives the way to bytes and back, and says what it is.
#include "src/wire/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <variant>

#include "src/wire/writer.h"
#include "tests/unit/wire/samples.h"

namespace baton::wire {
namespace {

using ::testing::HasSubstr;

template <typename M>
M decoded(const std::string& bytes) {
  const StatusOr<Message> message = decode(bytes, Limits{});
  EXPECT_TRUE(message.ok()) << message.status();
  if (!message.ok() || !std::holds_alternative<M>(*message)) {
    ADD_FAILURE() << "not a " << M::kType;
    return M{};
  }
  return std::get<M>(*message);
}

TEST(Codec, EveryMessageSurvivesARoundTrip) {
  std::set<std::size_t> seen;
  for (const Message& message : samples::all()) {
    seen.insert(message.index());
    const std::string bytes = encode(message);
    const StatusOr<Message> back = decode(bytes, Limits{});
    ASSERT_TRUE(back.ok()) << type_name(message) << ": " << back.status();
    EXPECT_EQ(*back, message) << type_name(message);
    EXPECT_EQ(encode(*back), bytes) << type_name(message);
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<Message>) << "a message has no sample";
}

TEST(Codec, TheTypeStandsFirst) {
  for (const Message& message : samples::all()) {
    Writer start;
    start.str("type");
    start.str(type_name(message));
    const std::string bytes = encode(message);
    const std::size_t head = bytes[0] == '\xDE' ? 3 : 1;  // A map of 16 fields or more, or fewer.
    EXPECT_EQ(bytes.substr(head, start.bytes().size()), start.bytes());
  }
}

TEST(Codec, BatonsWireIsAsSpecified) {
  Writer expected;
  expected.map(7);
  expected.str("type");
  expected.str("BatonDrainNotif");
  expected.str("sender_epoch");
  expected.bin(samples::epoch(1).view());
  expected.str("receiver_epoch");
  expected.bin(samples::epoch(0x80).view());
  expected.str("put_id");
  expected.integer(std::uint64_t{5});
  expected.str("pages");
  expected.array(1);
  expected.integer(std::uint64_t{7});
  expected.str("generations");
  expected.array(1);
  expected.integer(std::uint64_t{1} << 40U);
  expected.str("sequence");
  expected.integer(std::uint64_t{3});
  EXPECT_EQ(encode(DrainNotif{samples::parties(), 5, {7}, {1ULL << 40U}, 3}), expected.bytes());
}

TEST(Codec, LmcachesAsyncFieldsDefaultOneByOne) {
  AllocRequest sync = samples::alloc_request();
  sync.async.reset();
  sync.baton.reset();
  std::string bytes = encode(sync);
  ++bytes[0];
  Writer extra;
  extra.str("total_chunks");
  extra.integer(std::uint64_t{9});
  sync.async = AllocRequest::Async{"", false, 9};
  EXPECT_EQ(decoded<AllocRequest>(bytes + std::string(extra.bytes())), sync);
}

TEST(Codec, BatonsFieldsAreAllThereOrNone) {
  std::string bytes = encode(samples::sync_alloc_response());
  ++bytes[0];
  Writer extra;
  extra.str("put_id");
  extra.integer(std::uint64_t{9});
  const StatusOr<Message> half = decode(bytes + std::string(extra.bytes()), Limits{});
  ASSERT_FALSE(half.ok());
  EXPECT_THAT(std::string(half.status().message()),
              HasSubstr("AllocResponse: field 'code' is missing"));
}

TEST(Codec, TheOrderOfTheListsTellsTheFlavour) {
  AllocResponse sync = samples::sync_alloc_response();
  AllocResponse async = sync;
  async.sync_flavour = false;
  EXPECT_NE(encode(sync), encode(async));
  EXPECT_TRUE(decoded<AllocResponse>(encode(sync)).sync_flavour);
  EXPECT_FALSE(decoded<AllocResponse>(encode(async)).sync_flavour);
}

TEST(Codec, NumbersNeedNotBeMinimal) {
  Writer head;
  head.map(3);
  head.str("type");
  head.str("BatonRefusal");
  head.str("message");
  head.str("no");
  head.str("code");
  const std::string wide = std::string(head.bytes()) + std::string("\xCF\0\0\0\0\0\0\0\x05", 9);
  EXPECT_EQ(decoded<Refusal>(wide), (Refusal{5, "no"}));
  const std::string is_signed = std::string(head.bytes()) + std::string("\xD1\0\x05", 3);
  EXPECT_EQ(decoded<Refusal>(is_signed), (Refusal{5, "no"}));
}

TEST(Codec, UnknownFieldsOfEveryKindAreSkipped) {
  const std::string kinds[] = {"\xC0",
                               "\xC2",
                               "\xC3",
                               {"\xCA\0\0\0\0", 5},
                               {"\xCB\0\0\0\0\0\0\0\0", 9},
                               {"\xC4\x01z", 3},
                               {"\xD4\x01z", 3},
                               {"\xD8\x01zzzzzzzzzzzzzzzz", 18},
                               {"\xC7\x02\x01zz", 5},
                               {"\xC9\0\0\0\x01\x01z", 7},
                               {"\xDE\0\x01\x01\x02", 5},
                               {"\xDD\0\0\0\x01\x90", 6},
                               "\xE0",
                               {"\xD3\x80\0\0\0\0\0\0\0", 9}};
  for (const std::string& kind : kinds) {
    std::string bytes = encode(ProxyNotif{"42", {}});
    ++bytes[0];
    Writer name;
    name.str("future");
    bytes += std::string(name.bytes()) + kind;
    EXPECT_EQ(decoded<ProxyNotif>(bytes), (ProxyNotif{"42", {}}));
    EXPECT_FALSE(decode(bytes.substr(0, bytes.size() - 1), Limits{}).ok());
  }
}

}  // namespace
}  // namespace baton::wire
