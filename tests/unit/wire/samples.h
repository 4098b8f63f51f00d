// One or more samples of every message, each with all of its fields set to something telling.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/wire/messages.h"

namespace baton::wire::samples {

inline Epoch epoch(std::uint8_t first) {
  Epoch epoch;
  for (std::uint8_t& byte : epoch.bytes) {
    byte = first++;
  }
  return epoch;
}

inline Parties parties() {
  return {epoch(1), epoch(0x80)};
}

inline std::vector<std::string> keys() {
  return {"org/model@2@0@1@half", "org/model@2@1@-deadbeef@bfloat16@17@tenant%blue"};
}

inline AllocRequest alloc_request() {
  AllocRequest m;
  m.keys = keys();
  m.fmt = MemoryFormat::kKv2ltd;
  m.shape = {2, 4, 256, 1024};
  m.dtype = DType::kBfloat16;
  m.last_chunk_toks = 77;
  m.async = AllocRequest::Async{"cmpl-1", true, 70'000};
  m.baton = AllocRequest::Baton{parties(), UINT64_MAX, 1ULL << 40U};
  return m;
}

/// With the bytes of a full chunk and of one of 3 tokens.
inline AllocRequest eager_request() {
  AllocRequest m = alloc_request();
  m.shape = {2, 1, 4, 8};
  m.dtype = DType::kHalf;
  m.last_chunk_toks = 3;
  m.eager = AllocRequest::Eager{{UINT64_MAX, 1}, std::string(128, 'k') + std::string(96, '\0')};
  return m;
}

/// The first chunk lies in a page ahead, the second nowhere yet.
inline AllocRequest ahead_request() {
  AllocRequest m = alloc_request();
  m.ahead = AllocRequest::Ahead{{0, -1}, {1ULL << 40U, 0}, {UINT64_MAX, 0}};
  return m;
}

inline AllocResponse placed_response() {
  AllocResponse m;
  m.remote_indexes = {3, -1};
  m.baton = AllocResponse::Baton{7, 0, "", {KeyState::kPlaced, KeyState::kInFlight}, {9, 0}};
  return m;
}

inline AllocResponse alloc_response() {
  AllocResponse m;
  m.remote_indexes = {-1, 300, -1, 0};
  m.already_sent_indexes = {0};
  m.baton = AllocResponse::Baton{
      7,
      0,
      "fine",
      {KeyState::kCommitted, KeyState::kGranted, KeyState::kInFlight, KeyState::kGranted},
      {0, UINT64_MAX, 0, 5}};
  return m;
}

inline AllocResponse alloc_refusal() {
  AllocResponse m;
  m.baton = AllocResponse::Baton{7, 8, "needs 9 pages; the pool has 8", {}, {}};
  return m;
}

inline AllocResponse sync_alloc_response() {
  AllocResponse m;
  m.sync_flavour = true;
  m.remote_indexes = {5, 65'536};
  m.already_sent_indexes = {0, 2};
  return m;
}

inline LayoutInfo layout() {
  return {"org/model",          "sha256:00ff",     "vllm-1/seed0",   8, 7, 256,
          MemoryFormat::kKvMla, {1, 61, 256, 576}, DType::kFp8E4m3fn};
}

inline Hello hello() {
  return {1, 3, epoch(9), layout(), {{"shm", std::string("\x00\xff", 2)}, {"tcp", ""}}};
}

inline Welcome welcome() {
  return {2, epoch(3), 1U << 20U, 4096, 65'536, 8U << 20U, false, "tcp", "a ticket"};
}

inline CommitRequest commit_request() {
  return {parties(), 5, 2, {0, UINT32_MAX}, {1, 1ULL << 33U}, {0xDEADBEEFCAFEF00D, 0}};
}

inline ChunkUpdate chunk_update() {
  return {5, {0, 3}, {KeyState::kCommitted, KeyState::kGranted}, {0, 12}, {0, 99}};
}

inline ReadResponse read_response() {
  return {9,
          0,
          "",
          {ReadState::kHit, ReadState::kMiss, ReadState::kHit},
          {3, 0, 0},
          {7, 0, UINT64_MAX},
          {128, 0, 1ULL << 33U},
          {0xDEADBEEFCAFEF00D, 0, 0}};
}

inline std::vector<Message> all() {
  AllocRequest sync = alloc_request();
  sync.async.reset();
  sync.baton.reset();
  AllocResponse plain_response = alloc_response();
  plain_response.baton.reset();
  CommitRequest without_digests = commit_request();
  without_digests.digests.clear();
  ReadResponse read_without_digests = read_response();
  read_without_digests.digests.clear();
  return {
      alloc_request(),
      eager_request(),
      ahead_request(),
      sync,
      placed_response(),
      alloc_response(),
      alloc_refusal(),
      plain_response,
      sync_alloc_response(),
      ProxyNotif{"42", {}},
      ProxyNotif{"42", ProxyNotif::Baton{epoch(1), 6, 3}},
      CancelNotif{"cmpl-1", keys(), CancelNotif::Baton{parties(), 6, "client went away"}},
      CancelNotif{"cmpl-1", {}, {}},
      CacheQueryRequest{keys()},
      CacheQueryResponse{keys(), {42, 0}},
      NixlInitRequest{"meta", std::string("\x81\x00", 2)},
      NixlInitRequest{"meta", {}},
      NixlInitResponse{"agent", "meta", std::string(300, 'x')},
      NixlInitResponse{"agent", "", {}},
      NixlMemRegRequest{"agent", "10.0.0.1:5000", "descriptors"},
      NixlMemRegResponse{"descriptors"},
      hello(),
      welcome(),
      Refusal{9, "model names differ: 'a' here, 'b' there"},
      OpenRequest{parties(), "cmpl-1", 6, keys(), 2, 60'000},
      OpenRequest{parties(), "cmpl-1", 6, {}, 32, 1},
      OpenResponse{"cmpl-1", 6, 4, "waited 60000 ms"},
      commit_request(),
      without_digests,
      CommitResponse{5, 2, 15, "page 3: digest differs"},
      chunk_update(),
      DrainNotif{parties(), 5, {1, 2}, {3, 4}, 8},
      DrainAck{5, 0, "", 8},
      ReleaseNotif{parties(), "cmpl-1", 6},
      Heartbeat{parties(), 17, {{"cmpl-1", 6}, {"cmpl-2", 0}}},
      Heartbeat{parties(), 18, {}},
      HeartbeatAck{17, 0, "", {{"cmpl-2", 0}}},
      EndNotif{"cmpl-1", 6, 1, "cancelled at the receiver"},
      DrainRequest{5, {1, 2}, {3, 4}},
      FailNotif{"cmpl-1", epoch(1), 6, 3, 4, "the put took too long"},
      GroupJoin{epoch(1), 2, 1, {{"cmpl-1", 6}}},
      GroupJoinAck{epoch(0x80), 0, "", {{"cmpl-2", 7}}},
      GroupNotif{parties(), {"cmpl-1", 6}, GroupWord::kReserve, 9, 0, ""},
      GroupNotif{parties(), {"cmpl-1", 6}, GroupWord::kEnded, 0, 10, "rank 1 failed"},
      ReadRequest{parties(), 9, keys(), 30'000},
      read_response(),
      read_without_digests,
      ReadResponse{9, 8, "300 reads are under way", {}, {}, {}, {}, {}},
      ReadRelease{parties(), 9},
      ReadReleaseAck{9, 0, ""},
      AheadRequest{parties(), 3, 8},
      AheadGrant{3, 0, "", {0, UINT32_MAX}, {5, 1ULL << 33U}},
      AheadGrant{4, 9, "version 5 is needed", {}, {}},
  };
}

}  // namespace baton::wire::samples
