// Each limit, exactly at and just beyond it.
#include "src/wire/limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "src/wire/codec.h"
#include "src/wire/xfer_dlist.h"
#include "tests/unit/wire/samples.h"

namespace baton::wire {
namespace {

using ::testing::HasSubstr;

/// `message` needs exactly `needed` of the limit `member`.
void expect_limit(const Message& message, std::size_t Limits::*member, std::size_t needed,
                  const std::string& complaint) {
  const std::string bytes = encode(message);
  Limits limits;  // NOLINT(misc-const-correctness): written through the member pointer
  limits.*member = needed;
  const StatusOr<Message> fits = decode(bytes, limits);
  EXPECT_TRUE(fits.ok()) << fits.status();
  limits.*member = needed - 1;
  const StatusOr<Message> refused = decode(bytes, limits);
  ASSERT_FALSE(refused.ok()) << complaint;
  EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(complaint));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr(std::to_string(needed - 1)));
}

TEST(Limits, MessageBytes) {
  const Message message = ProxyNotif{"42", {}};
  expect_limit(message, &Limits::max_message_bytes, encode(message).size(),
               "a message has 27 bytes");
}

TEST(Limits, Fields) {
  expect_limit(samples::hello(), &Limits::max_fields, 15, "a message has 15 fields");
}

TEST(Limits, Keys) {
  AllocRequest request = samples::alloc_request();
  request.keys = std::vector<std::string>(17, samples::keys()[0]);
  expect_limit(request, &Limits::max_keys, 17, "AllocRequest: field 'keys' has 17 elements");
  expect_limit(samples::alloc_response(), &Limits::max_keys, 4, "field 'remote_indexes' has 4");
  expect_limit(samples::commit_request(), &Limits::max_keys, 2, "field 'pages' has 2");
  expect_limit(samples::chunk_update(), &Limits::max_keys, 2, "field 'key_indexes' has 2");
  expect_limit(CacheQueryResponse{samples::keys(), {1, 2}}, &Limits::max_keys, 2, "cached_keys");
  AllocResponse sent;
  sent.already_sent_indexes = {1, 2, 3};
  expect_limit(sent, &Limits::max_keys, 3, "field 'already_sent_indexes' has 3");
  ChunkUpdate states;
  states.states.resize(5);
  Limits limits;
  limits.max_keys = 4;
  EXPECT_THAT(std::string(decode(encode(states), limits).status().message()),
              HasSubstr("field 'states' has 5"));
}

TEST(Limits, KeyBytes) {
  const CacheQueryRequest query{{"model@1@0@ff@half"}};
  expect_limit(query, &Limits::max_key_bytes, 17, "field 'keys' [0]: has 17 bytes");
}

TEST(Limits, KeyBytesEvenWhereTheConfigurationAllowsMore) {
  Limits limits;
  limits.max_key_bytes = 1U << 20U;
  const CacheQueryRequest query{{std::string(1024, 'm') + "@1@0@ff@half"}};
  EXPECT_FALSE(decode(encode(query), limits).ok());
}

TEST(Limits, StringBytes) {
  expect_limit(ProxyNotif{std::string(300, 'r'), {}}, &Limits::max_string_bytes, 300,
               "ProxyNotif: field 'req_id' has 300 bytes");
  expect_limit(Refusal{9, "no!"}, &Limits::max_string_bytes, 3, "field 'message' has 3 bytes");
}

TEST(Limits, BlobBytes) {
  expect_limit(NixlInitRequest{"12", "12345"}, &Limits::max_blob_bytes, 5,
               "NixlInitRequest: field 'baton' has 5 bytes");
  expect_limit(NixlMemRegRequest{"123", "", "pages"}, &Limits::max_blob_bytes, 3, "has 3 bytes");
  expect_limit(samples::welcome(), &Limits::max_blob_bytes, 8, "field 'ticket' has 8 bytes");
  expect_limit(samples::hello(), &Limits::max_blob_bytes, 2, "field 'transport_offers' has 2");
}

TEST(Limits, PageLists) {
  const auto list = [](std::size_t pages) {
    XferDlist made;
    made.descriptors.resize(pages);
    return encode_xfer_dlist(made);
  };
  // As many pages as a list may have, in a message of ordinary length.
  const Limits limits;
  const std::string most = list(limits.max_keys);
  EXPECT_GT(most.size(), limits.max_blob_bytes);
  const auto request = decode(encode(NixlMemRegRequest{"agent", "id", most}), limits);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(std::get<NixlMemRegRequest>(*request).local_xfer_dlist_bytes, most);
  EXPECT_TRUE(decode(encode(NixlMemRegResponse{most}), limits).ok());
  for (const std::size_t pages : {1U, 8U, 65'536U}) {
    EXPECT_LE(list(pages).size(), max_xfer_dlist_bytes(pages));
  }

  Limits few;
  few.max_keys = 4;
  const std::size_t longest = max_xfer_dlist_bytes(4);
  EXPECT_TRUE(decode(encode(NixlMemRegResponse{std::string(longest, 'x')}), few).ok());
  const auto longer = decode(encode(NixlMemRegResponse{std::string(longest + 1, 'x')}), few);
  ASSERT_FALSE(longer.ok());
  EXPECT_THAT(std::string(longer.status().message()), HasSubstr(std::to_string(longest)));
}

TEST(Limits, Rank) {
  expect_limit(samples::alloc_request(), &Limits::max_rank, 4,
               "AllocRequest: field 'shape' has 4 elements");
  expect_limit(samples::hello(), &Limits::max_rank, 4, "field 'shape' has 4 elements");
}

TEST(Limits, Transports) {
  expect_limit(samples::hello(), &Limits::max_transports, 2, "field 'transports' has 2 elements");
}

TEST(Limits, NamedRequests) {
  expect_limit(Heartbeat{samples::parties(), 1, {{"a", 1}, {"b", 2}}}, &Limits::max_named_requests,
               2, "field 'req_ids' has 2 elements");
}

TEST(Limits, DepthOfUnknownFields) {
  std::string bytes = encode(ProxyNotif{"42", {}});
  ++bytes[0];
  bytes += "\xA1x";
  bytes += std::string(16, '\x91') + '\x01';
  Limits limits;
  EXPECT_TRUE(decode(bytes, limits).ok());
  limits.max_depth = 15;
  EXPECT_THAT(std::string(decode(bytes, limits).status().message()),
              HasSubstr("field 'x' is nested too deeply"));
}

}  // namespace
}  // namespace baton::wire
