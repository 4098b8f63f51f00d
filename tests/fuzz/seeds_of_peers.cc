// Conversations for fuzz_receiver and fuzz_sender.
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "src/base/digest.h"
#include "tests/fuzz/hostile_peer.h"
#include "tests/fuzz/seeds.h"

namespace baton::fuzz {
namespace {

using testing::tiny_keys;

constexpr const char* kReq = "r";

Step on_init(const wire::Message& message) {
  return {Action::kSayOnInit, wire::encode(message)};
}
Step on_alloc(const wire::Message& message) {
  return {Action::kSayOnAlloc, wire::encode(message)};
}
Step quarter_seconds(std::size_t count) {
  return {Action::kLetTimePass, std::string(count, ' ')};
}
Step broken() {
  return {Action::kBreakConnection, ""};
}

// ---- what a sender says ------------------------------------------------------------------------

wire::Parties parties() {
  return {hostile_epoch(), placeholder_epoch()};
}

Step hello(std::uint32_t version, wire::LayoutInfo layout = testing::tiny_layout()) {
  wire::NixlInitRequest request;
  request.baton = wire::encode(
      wire::Hello{version, version, hostile_epoch(), std::move(layout), {{"loopback", ""}}});
  return on_init(request);
}

wire::AllocRequest alloc(std::uint64_t put_id, std::vector<std::string> keys, bool is_last) {
  wire::AllocRequest request;
  request.async = {kReq, is_last, static_cast<std::uint32_t>(keys.size())};
  request.keys = std::move(keys);
  request.shape = testing::tiny_layout().shape;
  request.last_chunk_toks = 4;
  request.baton = {parties(), 0, put_id};
  return request;
}

/// The chunk of its first key lies in the page ahead: zeros.
wire::AllocRequest alloc_ahead(std::uint64_t put_id, std::size_t keys, bool with_digests) {
  wire::AllocRequest request = alloc(put_id, tiny_keys(0, keys), true);
  request.ahead = {std::vector<std::int64_t>(keys, -1), std::vector<std::uint64_t>(keys, 0), {}};
  request.ahead->pages[0] = 0;
  request.ahead->generations[0] = 1;
  if (with_digests) {
    request.ahead->digests.resize(keys);
    request.ahead->digests[0] = digest_of(std::vector<std::byte>(128));
  }
  return request;
}

/// Of the zeros that fuzz_receiver's intruder writes.
wire::CommitRequest commit(std::uint64_t put_id, std::vector<std::uint32_t> pages) {
  const std::vector<std::byte> zeros(128);
  wire::CommitRequest request{parties(), put_id, 0, std::move(pages), {}, {}};
  for (std::size_t i = 0; i < request.pages.size(); ++i) {
    request.generations.push_back(i + 1);
    request.digests.push_back(digest_of(zeros));
  }
  return request;
}

// ---- what a receiver answers -------------------------------------------------------------------

Step welcome(std::uint32_t version) {
  wire::Welcome welcome{
      version,      hostile_epoch(),           128, 4, 64, 1U << 16U, true, "loopback",
      "loopback-1", version > 1 ? 10'000U : 0U};
  wire::NixlInitResponse response;
  response.baton = wire::encode(welcome);
  return on_init(response);
}

Step refusal(StatusCode code) {
  wire::NixlInitResponse response;
  response.baton = wire::encode(wire::Refusal{static_cast<std::uint32_t>(code), "no"});
  return on_init(response);
}

using wire::KeyState;

/// To the put of two chunks, the first of this sender.
Step allocated(KeyState first, KeyState second) {
  wire::AllocResponse response;
  response.baton = wire::AllocResponse::Baton{1, 0, "", {first, second}, {}};
  std::int64_t page = 0;
  for (const KeyState state : {first, second}) {
    const bool granted = state == KeyState::kGranted || state == KeyState::kPlaced;
    response.remote_indexes.push_back(granted ? page : -1);
    response.baton->generations.push_back(granted ? static_cast<std::uint64_t>(page) + 1 : 0);
    ++page;
  }
  return on_alloc(response);
}

Step committed(std::uint32_t slice) {
  return on_alloc(wire::CommitResponse{1, slice, 0, ""});
}

/// To the read of one chunk.
Step read_answer(wire::ReadState state, std::uint32_t page, std::uint64_t generation,
                 std::uint64_t length) {
  return on_alloc(wire::ReadResponse{1, 0, "", {state}, {page}, {generation}, {length}, {}});
}

Step opened() {
  return on_alloc(wire::OpenResponse{"open", 0, 0, ""});
}

Seeds write(const std::map<std::string, std::vector<Step>>& scripts) {
  Seeds seeds;
  for (const auto& [name, steps] : scripts) {
    seeds[name] = write_script(steps);
  }
  return seeds;
}

}  // namespace

Seeds receiver_seeds() {
  wire::LayoutInfo other = testing::tiny_layout();
  other.model_fingerprint = "weights-2";
  const auto grants = on_alloc(alloc(1, tiny_keys(0, 2), true));
  wire::CommitRequest twice = commit(1, {0, 0});
  twice.generations = {1, 1};
  const auto asks_to_read = [](std::uint64_t id) {
    return on_alloc(wire::ReadRequest{parties(), id, tiny_keys(0, 3), 1'000});
  };
  return write({
      {"handed_off", {hello(2), grants, on_alloc(commit(1, {0, 1})), quarter_seconds(4)}},
      {"read",
       {hello(3), grants, on_alloc(commit(1, {0, 1})), asks_to_read(1), asks_to_read(1),
        on_alloc(wire::ReadRelease{parties(), 1})}},
      {"read_and_not_released",
       {hello(3), grants, on_alloc(commit(1, {0, 1})), asks_to_read(1), asks_to_read(2),
        quarter_seconds(20), on_alloc(wire::Heartbeat{parties(), 1, {}}), quarter_seconds(20),
        on_alloc(wire::Heartbeat{parties(), 2, {}}), quarter_seconds(20)}},
      {"read_and_lost", {hello(3), grants, on_alloc(commit(1, {0, 1})), asks_to_read(1), broken()}},
      {"put_into_a_page_ahead",
       {hello(5), on_alloc(wire::AheadRequest{parties(), 1, 2}),
        on_alloc(wire::AheadRequest{parties(), 1, 2}), on_alloc(alloc_ahead(1, 2, true)),
        on_alloc(wire::AheadRequest{parties(), 2, 2})}},
      {"committed_in_a_page_ahead",
       {hello(5), on_alloc(wire::AheadRequest{parties(), 1, 1}), on_alloc(alloc_ahead(1, 1, false)),
        on_alloc(commit(1, {0}))}},
      {"page_ahead_given_back",
       {hello(5), on_alloc(wire::AheadRequest{parties(), 1, 1}), on_alloc(alloc_ahead(1, 1, false)),
        on_alloc(wire::DrainNotif{parties(), 0, {0, 1}, {1, 2}, 1}),
        on_alloc(alloc_ahead(2, 1, true))}},
      {"parked_behind_its_own_page_ahead",
       {hello(5), on_alloc(wire::AheadRequest{parties(), 1, 1}),
        on_alloc(alloc(1, tiny_keys(0, 4), true)), quarter_seconds(60)}},
      {"of_version_1", {hello(1), grants, on_alloc(commit(1, {0, 1})), broken()}},
      {"opened",
       {hello(2), on_alloc(wire::OpenRequest{parties(), kReq, 0, tiny_keys(0, 3), 3, 5'000}),
        on_alloc(wire::Heartbeat{parties(), 1, {{kReq, 0}, {"x", 0}}}),
        on_alloc(alloc(1, tiny_keys(0, 1), false)),
        on_alloc(wire::ReleaseNotif{parties(), kReq, 0})}},
      {"cancelled",
       {hello(2), grants,
        on_alloc(wire::CancelNotif{kReq, {}, wire::CancelNotif::Baton{parties(), 0, "why"}}),
        on_alloc(wire::DrainNotif{parties(), 1, {0, 1}, {1, 2}, 1})}},
      {"committed_twice", {hello(2), grants, on_alloc(twice), on_alloc(commit(1, {0, 1}))}},
      {"beyond_the_last_page",
       {hello(2), grants, on_alloc(commit(1, {kPages, 1})),
        on_alloc(wire::DrainNotif{parties(), 1, {kPages}, {1}, 1})}},
      {"silent", {hello(2), grants, quarter_seconds(60), hello(2), grants}},
      {"connected_anew", {hello(2), grants, broken(), hello(1), grants}},
      {"of_another_model", {hello(2, other), on_init(wire::NixlInitRequest{"stock", {}})}},
      {"of_a_group",
       {hello(2), on_alloc(wire::GroupJoin{hostile_epoch(), 2, 1, {{kReq, 0}}}),
        on_alloc(wire::GroupNotif{parties(), {kReq, 0}, wire::GroupWord::kOpened, 1, 0, ""})}},
  });
}

Seeds sender_seeds() {
  constexpr auto kGranted = KeyState::kGranted;
  constexpr auto kInFlight = KeyState::kInFlight;
  return write({
      {"handed_off",
       {welcome(2), opened(), allocated(kGranted, kGranted), committed(0), committed(1)}},
      {"of_version_1", {welcome(1), allocated(kGranted, KeyState::kCommitted), committed(0)}},
      {"taken_over",
       {welcome(2), allocated(kInFlight, kInFlight),
        on_alloc(wire::ChunkUpdate{1, {0, 1}, {KeyState::kCommitted, kGranted}, {0, 3}, {0, 9}}),
        committed(0)}},
      {"beyond_the_last_page",
       {welcome(2), allocated(kInFlight, kInFlight),
        on_alloc(wire::ChunkUpdate{1, {0}, {kGranted}, {kPages}, {9}})}},
      {"news_of_a_third_key",
       {welcome(2), allocated(kInFlight, kInFlight),
        on_alloc(wire::ChunkUpdate{1, {2}, {kGranted}, {0}, {9}})}},
      {"ended",
       {welcome(2), allocated(kGranted, kGranted), on_alloc(wire::EndNotif{"put", 0, 1, "why"}),
        on_alloc(wire::DrainRequest{1, {0, 1}, {1, 2}}), on_alloc(wire::DrainAck{1, 0, "", 1})}},
      {"opened", {welcome(2), opened(), quarter_seconds(90)}},
      {"read",
       {welcome(3), read_answer(wire::ReadState::kHit, 3, 7, 128),
        on_alloc(wire::ReadReleaseAck{1, 0, ""})}},
      {"read_without_digest_and_released_late",
       {welcome(3), read_answer(wire::ReadState::kMiss, 0, 0, 0), quarter_seconds(4),
        read_answer(wire::ReadState::kHit, 3, 7, 128), quarter_seconds(20)}},
      {"read_beyond_the_last_page",
       {welcome(3), read_answer(wire::ReadState::kHit, kPages, 7, 128)}},
      {"read_of_another_length", {welcome(3), read_answer(wire::ReadState::kHit, 0, 7, 129)}},
      {"put_into_pages_ahead",
       {welcome(5), on_alloc(wire::AheadGrant{1, 0, "", {0, 1}, {1, 2}}),
        allocated(KeyState::kPlaced, kGranted), committed(0),
        on_alloc(wire::AheadGrant{2, 0, "", {2, 3}, {3, 4}})}},
      {"pages_ahead_are_recalled",
       {welcome(5), on_alloc(wire::AheadGrant{1, 0, "", {2, 3}, {3, 4}}),
        on_alloc(wire::DrainRequest{0, {1, 2}, {9, 3}}), on_alloc(wire::DrainAck{0, 0, "", 1}),
        quarter_seconds(4)}},
      {"page_ahead_beyond_the_last",
       {welcome(5), on_alloc(wire::AheadGrant{1, 0, "", {kPages}, {3}})}},
      {"forgotten",
       {welcome(2), quarter_seconds(20),
        on_alloc(wire::HeartbeatAck{1, 0, "", {{"put", 0}, {"open", 0}}})}},
      {"refused_for_now", {refusal(StatusCode::kUnavailable), quarter_seconds(1), welcome(2)}},
      {"refused", {refusal(StatusCode::kFailedPrecondition)}},
      {"of_a_stock_receiver", {on_init(wire::NixlInitResponse{"agent", "meta", {}})}},
      {"broken", {welcome(2), allocated(kGranted, kGranted), broken(), welcome(2)}},
  });
}

}  // namespace baton::fuzz
