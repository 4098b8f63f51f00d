// Messages that are well-formed but can't be meant: each is refused, and the field is named.
//
// encode() writes whatever it is given, so each test breaks one thing in a good message.
#include "src/wire/check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>

#include "src/wire/codec.h"
#include "src/wire/writer.h"
#include "tests/unit/wire/samples.h"

namespace baton::wire {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

template <typename M, typename Break>
void expect_refused(M message, Break break_it, const std::string& complaint) {
  ASSERT_TRUE(decode(encode(message), Limits{}).ok());
  break_it(message);
  const StatusOr<Message> refused = decode(encode(message), Limits{});
  ASSERT_FALSE(refused.ok()) << complaint;
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), StartsWith(M::kType));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(complaint));
}

TEST(Check, AllocRequestShape) {
  const auto refused = [](std::vector<std::int64_t> shape, const char* complaint) {
    expect_refused(
        samples::alloc_request(), [&](AllocRequest& m) { m.shape = std::move(shape); }, complaint);
  };
  refused({}, "field 'shape'");
  refused({2, 4}, "field 'shape'");
  refused({2, 0, 256, 8}, "field 'shape': dimension 1");
  refused({2, -4, 256, 8}, "field 'shape': dimension 1");
  refused({2, 1LL << 40U, 1LL << 40U, 8}, "beyond 2^62");
  refused({1, 1, 1, 1, 1, 1, 1, 1, 1}, "field 'shape' has 9 elements");
}

TEST(Check, AllocRequestLastChunk) {
  for (const std::uint32_t tokens : {0U, 257U, UINT32_MAX}) {
    expect_refused(
        samples::alloc_request(), [&](AllocRequest& m) { m.last_chunk_toks = tokens; },
        "field 'last_chunk_toks'");
  }
  AllocRequest full = samples::alloc_request();
  full.last_chunk_toks = 256;
  EXPECT_TRUE(decode(encode(full), Limits{}).ok());
}

TEST(Check, AllocRequestNames) {
  expect_refused(
      samples::alloc_request(),
      [](AllocRequest& m) {
        m.keys = {samples::keys()[0], "m@1@0@xyz@half"};
      },
      "field 'keys' [1]: key 'm@1@0@xyz@half': chunk hash 'xyz'");
  expect_refused(
      samples::alloc_request(), [](AllocRequest& m) { m.async->req_id = "\xFF"; },
      "field 'req_id' is not UTF-8: '\\xff'");
  expect_refused(
      samples::alloc_request(), [](AllocRequest& m) { m.baton->parties.receiver_epoch = Epoch{}; },
      "field 'receiver_epoch'");
}

TEST(Check, EpochsHaveSixteenBytes) {
  std::string bytes = encode(ReleaseNotif{samples::parties(), "r", 1});
  const std::string bin16 = "\xC4\x10" + std::string(samples::epoch(1).view());
  const std::size_t at = bytes.find(bin16);
  ASSERT_NE(at, std::string::npos);
  bytes.replace(at, bin16.size(), "\xC4\x0F" + bin16.substr(2, 15));
  EXPECT_THAT(std::string(decode(bytes, Limits{}).status().message()),
              HasSubstr("field 'sender_epoch'"));
}

TEST(Check, NumbersThatTheTypeCanNotHold) {
  Writer head;
  head.map(3);
  for (const char* text : {"type", "BatonRefusal", "message", "no", "code"}) {
    head.str(text);
  }
  const std::string bytes(head.bytes());
  const auto error = [&](const std::string& value) {
    return std::string(decode(bytes + value, Limits{}).status().message());
  };
  using namespace std::string_literals;
  EXPECT_THAT(error("\xCF\0\0\0\x01\0\0\0\0"s), HasSubstr("field 'code' is 4294967296; at most"));
  EXPECT_THAT(error("\xFF"), HasSubstr("field 'code' is a negative integer"));
  EXPECT_THAT(error("\xC0"), HasSubstr("field 'code' is nil"));
  EXPECT_THAT(error("\xCB\0\0\0\0\0\0\0\0"s), HasSubstr("field 'code' is a float"));
  EXPECT_THAT(error("\xA1"
                    "5"),
              HasSubstr("field 'code' is a str"));
}

TEST(Check, AllocResponse) {
  using M = AllocResponse;
  const M good = samples::alloc_response();
  const auto refused = [&](auto break_it, const char* complaint) {
    expect_refused(good, break_it, complaint);
  };
  refused([](M& m) { m.remote_indexes[0] = -2; }, "field 'remote_indexes' [0] is -2");
  refused([](M& m) { m.remote_indexes[1] = 1LL << 32U; }, "field 'remote_indexes' [1]");
  refused([](M& m) { m.remote_indexes[0] = std::numeric_limits<std::int64_t>::min(); },
          "field 'remote_indexes' [0]");
  refused([](M& m) { m.already_sent_indexes[0] = -1; }, "field 'already_sent_indexes' [0] is -1");
  refused([](M& m) { m.baton->code = 17; }, "field 'code' is 17");
  refused([](M& m) { m.baton->code = 8; }, "although 'code' is 8");
  refused([](M& m) { m.baton->states.pop_back(); }, "field 'states' has 3 elements");
  refused([](M& m) { m.baton->generations.pop_back(); }, "field 'generations' has 3 elements");
  refused([](M& m) { m.baton->states[0] = KeyState::kGranted; }, "field 'states' [0]");
  refused([](M& m) { m.baton->generations[1] = 0; }, "field 'states' [1]");
  refused([](M& m) { m.baton->generations[2] = 1; }, "field 'states' [2]");
  refused([](M& m) { m.baton->states[2] = KeyState::kPlaced; }, "field 'states' [2] is 3");
  refused([](M& m) { m.baton->states[2] = static_cast<KeyState>(4); }, "field 'states' [2] is 4");
}

TEST(Check, EagerBytesAreTheChunksOwn) {
  using M = AllocRequest;
  const auto refused = [](auto break_it, const char* complaint) {
    expect_refused(samples::eager_request(), break_it, complaint);
  };
  refused([](M& m) { m.eager->bytes.pop_back(); }, "field 'eager_bytes' has 223 bytes");
  refused([](M& m) { m.eager->bytes.push_back('x'); }, "field 'eager_bytes' has 225 bytes");
  refused([](M& m) { m.eager->bytes.resize(96); }, "field 'eager_bytes' has 96 bytes");
  refused([](M& m) { m.eager->bytes.resize(224 + 128); }, "field 'eager_bytes' has 352 bytes");
  refused([](M& m) { m.eager->bytes.resize(3); }, "field 'eager_bytes' has 3 bytes");
  refused([](M& m) { m.eager->bytes.clear(); }, "field 'eager_bytes' is empty");
  refused([](M& m) { m.keys.clear(); }, "no key is named");
  refused([](M& m) { m.eager->digests.pop_back(); }, "field 'eager_digests' has 1 elements");
  refused([](M& m) { m.baton.reset(); }, "field 'eager_bytes' needs");
  AllocRequest without_digests = samples::eager_request();
  without_digests.eager->digests.clear();
  EXPECT_TRUE(decode(encode(without_digests), Limits{}).ok());
}

TEST(Check, PagesAheadGoWithGenerationsAndDigests) {
  using M = AllocRequest;
  const auto refused = [](auto break_it, const char* complaint) {
    expect_refused(samples::ahead_request(), break_it, complaint);
  };
  refused([](M& m) { m.ahead->pages.pop_back(); }, "field 'ahead_pages' has 1 elements");
  refused([](M& m) { m.ahead->generations.pop_back(); }, "field 'ahead_generations' has 1");
  refused([](M& m) { m.ahead->digests.pop_back(); }, "field 'ahead_digests' has 1 elements");
  refused([](M& m) { m.ahead->pages[1] = -2; }, "field 'ahead_pages' [1] is -2");
  refused([](M& m) { m.ahead->pages[1] = 1LL << 32U; }, "field 'ahead_pages' [1]");
  refused([](M& m) { m.ahead->pages[1] = 7; }, "does not fit its generation 0");
  refused([](M& m) { m.ahead->generations[1] = 7; }, "field 'ahead_pages' [1] is -1");
  refused([](M& m) { m.ahead->digests[1] = 7; }, "generation 0 and digest");
  refused([](M& m) { m.baton.reset(); }, "field 'ahead_pages' needs");
  AllocRequest both = samples::eager_request();
  both.ahead = samples::ahead_request().ahead;
  EXPECT_FALSE(decode(encode(both), Limits{}).ok());
  AllocRequest without_digests = samples::ahead_request();
  without_digests.ahead->digests.clear();
  EXPECT_TRUE(decode(encode(without_digests), Limits{}).ok());
}

TEST(Check, AheadRequestAndGrant) {
  expect_refused(
      AheadRequest{samples::parties(), 1, 1}, [](AheadRequest& m) { m.count = 0; },
      "field 'count' is 0");
  expect_refused(
      AheadRequest{samples::parties(), 1, 1}, [](AheadRequest& m) { m.sequence = 0; },
      "field 'sequence' is 0");
  const auto refused = [](auto break_it, const char* complaint) {
    expect_refused(AheadGrant{1, 0, "", {4, 5}, {6, 7}}, break_it, complaint);
  };
  refused([](AheadGrant& m) { m.generations.pop_back(); }, "field 'generations' has 1 elements");
  refused([](AheadGrant& m) { m.generations[1] = 0; }, "field 'generations' is 0");
  refused([](AheadGrant& m) { m.code = 8; }, "although 'code' is 8");
  refused([](AheadGrant& m) { m.code = 17; }, "field 'code' is 17");
}

TEST(Check, CacheQueryResponse) {
  using M = CacheQueryResponse;
  const M good{samples::keys(), {0, 1}};
  expect_refused(
      good, [](M& m) { m.cached_indexes.pop_back(); }, "field 'cached_indexes' has 1 elements");
  expect_refused(
      good, [](M& m) { m.cached_indexes[1] = -1; }, "field 'cached_indexes' [1] is -1");
}

TEST(Check, Hello) {
  using M = Hello;
  const auto refused = [](auto break_it, const char* complaint) {
    expect_refused(samples::hello(), break_it, complaint);
  };
  refused([](M& m) { m.version_min = 4; }, "field 'version_max' is 3; at least 4");
  refused([](M& m) { m.layout.world_size = 0; }, "field 'world_size' is 0");
  refused([](M& m) { m.layout.chunk_size = 0; }, "field 'chunk_size' is 0");
  refused([](M& m) { m.layout.shape = {-1}; }, "field 'shape'");
  refused([](M& m) { m.epoch = Epoch{}; }, "field 'epoch'");
}

TEST(Check, HelloTransportListsAreEquallyLong) {
  std::string bytes = encode(samples::hello());
  const std::string two = "\x92\xC4\x02" + std::string("\x00\xff", 2) + "\xC4" + std::string(1, 0);
  ASSERT_TRUE(bytes.ends_with(two));
  bytes.replace(bytes.size() - two.size(), two.size(), "\x91\xC4\x01z");
  EXPECT_THAT(std::string(decode(bytes, Limits{}).status().message()),
              HasSubstr("field 'transport_offers' has 1 elements for 2 transports"));
}

TEST(Check, Welcome) {
  using M = Welcome;
  const auto refused = [](auto break_it, const char* complaint) {
    expect_refused(samples::welcome(), break_it, complaint);
  };
  refused([](M& m) { m.page_bytes = 0; }, "field 'page_bytes' is 0");
  refused([](M& m) { m.page_count = 0; }, "field 'page_count' is 0");
  refused([](M& m) { m.max_keys = 0; }, "field 'max_keys' is 0");
  refused([](M& m) { m.max_message_bytes = 0; }, "field 'max_message_bytes' is 0");
  refused([](M& m) { m.page_bytes = 1ULL << 60U; }, "beyond 2^62");
}

TEST(Check, CodesAreStatusCodes) {
  expect_refused(
      Refusal{1, ""}, [](Refusal& m) { m.code = 0; }, "field 'code' is 0");
  expect_refused(
      Refusal{1, ""}, [](Refusal& m) { m.code = 17; }, "field 'code' is 17");
  expect_refused(
      OpenResponse{}, [](OpenResponse& m) { m.code = 17; }, "field 'code' is 17");
  expect_refused(
      CommitResponse{}, [](CommitResponse& m) { m.code = 17; }, "field 'code' is 17");
  expect_refused(
      DrainAck{}, [](DrainAck& m) { m.code = 17; }, "field 'code' is 17");
  expect_refused(
      ReadReleaseAck{}, [](ReadReleaseAck& m) { m.code = 17; }, "field 'code' is 17");
}

TEST(Check, OpenRequest) {
  using M = OpenRequest;
  const M good{samples::parties(), "r", 1, {}, 3, 1};
  expect_refused(
      good, [](M& m) { m.timeout_ms = 0; }, "field 'timeout_ms' is 0");
  expect_refused(
      good, [](M& m) { m.total_chunks = 0; }, "field 'total_chunks' is 0");
}

TEST(Check, CommitRequest) {
  using M = CommitRequest;
  const M good = samples::commit_request();
  expect_refused(
      good, [](M& m) { m.generations.pop_back(); }, "field 'generations' has 1 elements");
  expect_refused(
      good, [](M& m) { m.digests.pop_back(); }, "field 'digests' has 1 elements");
}

TEST(Check, ChunkUpdate) {
  using M = ChunkUpdate;
  const auto refused = [](auto break_it, const char* complaint) {
    expect_refused(samples::chunk_update(), break_it, complaint);
  };
  refused([](M& m) { m.states.pop_back(); }, "field 'states' has 1 elements");
  refused([](M& m) { m.pages.pop_back(); }, "field 'pages' has 1 elements");
  refused([](M& m) { m.generations.pop_back(); }, "field 'generations' has 1 elements");
  refused([](M& m) { m.states[0] = KeyState::kInFlight; }, "no news");
  refused([](M& m) { m.states[0] = KeyState::kPlaced; }, "no news");
  refused([](M& m) { m.generations[1] = 0; }, "field 'states' [1]");
  refused([](M& m) { m.generations[0] = 4; }, "field 'states' [0]");
  refused([](M& m) { m.pages[0] = 4; }, "field 'states' [0]");
}

TEST(Check, DrainNotif) {
  expect_refused(
      DrainNotif{samples::parties(), 5, {1, 2}, {3, 4}}, [](DrainNotif& m) { m.pages.pop_back(); },
      "field 'generations' has 2 elements");
}

TEST(Check, WhatTellsOfAFailureHasACode) {
  expect_refused(
      EndNotif{"req", 1, 1, "why"}, [](EndNotif& m) { m.code = 0; }, "which is no failure");
  expect_refused(
      FailNotif{"req", samples::epoch(1), 1, 0, 1, "why"}, [](FailNotif& m) { m.code = 99; },
      "field 'code' is 99");
  expect_refused(
      GroupNotif{samples::parties(), {"req", 1}, GroupWord::kEnded, 0, 1, "why"},
      [](GroupNotif& m) { m.code = 0; }, "which is no failure");
  expect_refused(
      HeartbeatAck{1, 0, "", {}}, [](HeartbeatAck& m) { m.code = 99; }, "field 'code' is 99");
}

TEST(Check, OnlyFollowersJoin) {
  const GroupJoin good{samples::epoch(1), 2, 1, {}};
  expect_refused(
      good, [](GroupJoin& m) { m.worker_id = 0; }, "field 'worker_id' is 0");
  expect_refused(
      good, [](GroupJoin& m) { m.worker_id = 2; }, "field 'world_size' is 2");
}

TEST(Check, ReadRequest) {
  using M = ReadRequest;
  const M good{samples::parties(), 9, samples::keys(), 1};
  expect_refused(
      good, [](M& m) { m.timeout_ms = 0; }, "field 'timeout_ms' is 0");
  expect_refused(
      good, [](M& m) { m.keys.clear(); }, "field 'keys' is 0; at least 1");
  expect_refused(
      good, [](M& m) { m.keys = {"no key"}; }, "field 'keys' [0]");
}

TEST(Check, ReadResponse) {
  using M = ReadResponse;
  const auto refused = [](auto break_it, const char* complaint) {
    expect_refused(samples::read_response(), break_it, complaint);
  };
  refused([](M& m) { m.code = 17; }, "field 'code' is 17");
  refused([](M& m) { m.code = 8; }, "although 'code' is 8");
  refused([](M& m) { m.pages.pop_back(); }, "field 'pages' has 2 elements");
  refused([](M& m) { m.generations.pop_back(); }, "field 'generations' has 2 elements");
  refused([](M& m) { m.lengths.pop_back(); }, "field 'lengths' has 2 elements");
  refused([](M& m) { m.digests.pop_back(); }, "field 'digests' has 2 elements");
  refused([](M& m) { m.states[0] = static_cast<ReadState>(2); }, "field 'states' [0] is 2");
  refused([](M& m) { m.states[0] = ReadState::kMiss; }, "field 'states' [0] is 1");
  refused([](M& m) { m.states[1] = ReadState::kHit; }, "field 'states' [1] is 0");
  refused([](M& m) { m.generations[0] = 0; }, "field 'states' [0]");
  refused([](M& m) { m.lengths[2] = 0; }, "field 'states' [2]");
  refused([](M& m) { m.pages[1] = 4; }, "field 'states' [1]");
  refused([](M& m) { m.digests[1] = 4; }, "field 'states' [1]");
}

TEST(Check, HeartbeatListsAreEquallyLong) {
  std::string bytes = encode(Heartbeat{samples::parties(), 1, {{"a", 1}}});
  // The last list is [1]: make it [1, 1].
  ASSERT_EQ(bytes.substr(bytes.size() - 2), "\x91\x01");
  bytes.replace(bytes.size() - 2, 2, "\x92\x01\x01");
  const StatusOr<Message> refused = decode(bytes, Limits{});
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("field 'attempts' has 2 elements for 1 requests"));
}

}  // namespace
}  // namespace baton::wire
