// The recorded messages of LMCache: to the byte, both ways; and what must be refused.
#include <gtest/gtest.h>

#include <cstddef>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "src/wire/codec.h"
#include "tests/unit/wire/allocation_counter.h"

namespace baton::wire {
namespace {

using Json = nlohmann::json;

std::string from_hex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

const Json& vectors() {
  static const Json parsed = [] {
    const std::string path = BATON_SOURCE_DIR "/tests/vectors/lmcache_pd.json";
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    return Json::parse(file);
  }();
  return parsed;
}

std::string blob(const Json& field) {
  return from_hex(field.at("bytes").get<std::string>());
}

KeyList keys_of(const Json& list) {
  return list.get<std::vector<std::string>>();
}

AllocRequest alloc_request(const Json& m) {
  AllocRequest out;
  out.keys = keys_of(m.at("keys"));
  out.fmt = *parse_memory_format(m.at("fmt").get<std::int64_t>());
  m.at("shape").get_to(out.shape);
  out.dtype = *parse_dtype(m.at("dtype").get<std::string>());
  m.at("last_chunk_toks").get_to(out.last_chunk_toks);
  if (m.contains("req_id")) {
    out.async = AllocRequest::Async{m.at("req_id"), m.at("is_last_batch"), m.at("total_chunks")};
  }
  return out;
}

/// The vectors' JSON keeps no order, so the flavour is told by the name of the vector.
AllocResponse alloc_response(const std::string& name, const Json& m) {
  AllocResponse out;
  out.sync_flavour = name == "alloc_response_sync";
  m.at("remote_indexes").get_to(out.remote_indexes);
  if (m.contains("already_sent_indexes")) {
    m.at("already_sent_indexes").get_to(out.already_sent_indexes);
  }
  return out;
}

Message message_of(const Json& vector) {
  const Json& m = vector.at("message");
  const std::string type = m.at("type");
  if (type == "AllocRequest") {
    return alloc_request(m);
  }
  if (type == "AllocResponse") {
    return alloc_response(vector.at("name"), m);
  }
  if (type == "ProxyNotif") {
    return ProxyNotif{m.at("req_id"), {}};
  }
  if (type == "CancelNotif") {
    return CancelNotif{m.at("req_id"), keys_of(m.at("keys")), {}};
  }
  if (type == "CacheQueryRequest") {
    return CacheQueryRequest{keys_of(m.at("keys"))};
  }
  if (type == "CacheQueryResponse") {
    return CacheQueryResponse{keys_of(m.at("cached_keys")), m.at("cached_indexes")};
  }
  if (type == "NixlInitRequest") {
    return NixlInitRequest{blob(m.at("local_meta_bytes")), {}};
  }
  if (type == "NixlInitResponse") {
    return NixlInitResponse{blob(m.at("remote_agent_name")), blob(m.at("remote_meta_bytes")), {}};
  }
  if (type == "NixlMemRegRequest") {
    return NixlMemRegRequest{blob(m.at("remote_agent_name")), m.at("local_id"),
                             blob(m.at("local_xfer_dlist_bytes"))};
  }
  if (type == "NixlMemRegResponse") {
    return NixlMemRegResponse{blob(m.at("remote_xfer_dlist_bytes"))};
  }
  ADD_FAILURE() << "the test knows no type " << type;
  return ProxyNotif{};
}

void expect_decodes_to_its_message(const Json& vector) {
  const StatusOr<Message> message = decode(from_hex(vector.at("hex")), Limits{});
  ASSERT_TRUE(message.ok()) << vector.at("name") << ": " << message.status();
  EXPECT_EQ(*message, message_of(vector)) << vector.at("name");
}

TEST(Vectors, GoodOnesEncodeAndDecodeToTheByte) {
  EXPECT_EQ(vectors().at("good").size(), 15U);
  for (const Json& vector : vectors().at("good")) {
    expect_decodes_to_its_message(vector);
    EXPECT_EQ(encode(message_of(vector)), from_hex(vector.at("hex"))) << vector.at("name");
  }
}

TEST(Vectors, TolerantOnesDecodeAsWithoutTheOddity) {
  EXPECT_EQ(vectors().at("tolerant").size(), 3U);
  for (const Json& vector : vectors().at("tolerant")) {
    expect_decodes_to_its_message(vector);
  }
}

TEST(Vectors, BadOnesAreRefusedWithoutAllocatingWhatTheyClaim) {
  EXPECT_EQ(vectors().at("bad").size(), 20U);
  for (const Json& vector : vectors().at("bad")) {
    const std::string bytes = from_hex(vector.at("hex"));
    const testing::AllocationCounter counter;
    const StatusOr<Message> message = decode(bytes, Limits{});
    const std::size_t allocated = counter.bytes();
    ASSERT_FALSE(message.ok()) << vector.at("name");
    EXPECT_EQ(message.status().code(), StatusCode::kInvalidArgument) << vector.at("name");
    EXPECT_GT(message.status().message().size(), 10U) << vector.at("name");
    EXPECT_LE(allocated, (16U << 10U) + 16 * bytes.size()) << vector.at("name");
  }
}

}  // namespace
}  // namespace baton::wire
