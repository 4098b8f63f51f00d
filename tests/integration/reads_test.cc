// Reads, processes of both roles, and changes of the role, over the real transports and ZeroMQ.
// Promises: P1, P3, P5, P6, P7.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "baton/pd_backend.h"
#include "tests/support/backend_pair.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using ::testing::HasSubstr;

std::string message_of(const Status& status) {
  return std::string(status.message());
}

class ReadsTest : public ::testing::TestWithParam<TransportChoice> {
 protected:
  static std::unique_ptr<PdBackend> backend(Role role, std::uint32_t pages = 64) {
    return make_backend(small_options(role, pages, GetParam()));
  }
  /// Puts chunks first … first + count - 1 and claims them, so that they are cache.
  static void hand_over(PdBackend& from, PdBackend& to, std::uint64_t first, std::uint64_t count) {
    const std::string req_id = "put-" + std::to_string(first);
    const auto put =
        from.batched_submit_put_task(small_keys(first, count), staged(from, first, count),
                                     transfer_to(to, req_id, static_cast<std::uint32_t>(count)));
    ASSERT_TRUE(put.ok()) << put.status();
    const Status ended = put->wait(20s);
    ASSERT_TRUE(ended.ok()) << ended;
    const auto claim = to.claim(req_id, small_keys(first, count), 10s);
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint64_t i = 0; i < count; ++i) {
      EXPECT_TRUE(holds(claim->chunks()[i], first + i)) << i;
    }
  }
  /// Reads them all, and looks at each.
  static void read_back(PdBackend& reader, PdBackend& from, std::uint64_t first,
                        std::uint64_t count) {
    const auto objects = staged(reader, 10'000, count);  // Other bytes than those expected.
    const auto read = reader.batched_submit_read_task(small_keys(first, count), objects, at(from));
    ASSERT_TRUE(read.ok()) << read.status();
    const auto result = read->wait(20s);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->hits, count);
    EXPECT_EQ(result->bytes_read, count * *small_chunk().bytes());
    for (std::uint64_t i = 0; i < count; ++i) {
      EXPECT_TRUE(holds(objects[i], first + i)) << i;
    }
  }
  static TransferSpec at(const PdBackend& receiver) { return transfer_to(receiver, "read", 0); }
  /// Releases are acknowledged in the background.
  static void expect_nothing_held(PdBackend& receiver) {
    const auto until = std::chrono::steady_clock::now() + 10s;
    while (receiver.stats().reads_served > 0 && std::chrono::steady_clock::now() < until) {
      std::this_thread::yield();
    }
    EXPECT_EQ(receiver.stats().reads_served, 0U);
    EXPECT_EQ(receiver.stats().pages_held, 0U);
  }
};

INSTANTIATE_TEST_SUITE_P(Transports, ReadsTest,
                         ::testing::ValuesIn(with_nixl({TransportChoice::kShm,
                                                        TransportChoice::kTcp,
                                                        TransportChoice::kUcx})),
                         [](const auto& param) { return name_of(param.param); });

// ---- reads -------------------------------------------------------------------------------------

TEST_P(ReadsTest, AnotherProcessReadsWhatWasPut) {
  auto decode = backend(Role::kReceiver);
  auto prefill = backend(Role::kSender);
  auto reader = backend(Role::kSender);
  hand_over(*prefill, *decode, 0, 20);
  read_back(*reader, *decode, 0, 20);
  expect_nothing_held(*decode);
  EXPECT_EQ(reader->stats().pages_free, 64U);
  EXPECT_EQ(decode->evict_all_retained(), 20U) << "reading took nothing away";
}

TEST_P(ReadsTest, EachKeyIsToldOfOnceWithHitsAndMisses) {
  auto decode = backend(Role::kReceiver);
  auto prefill = backend(Role::kSender);
  hand_over(*prefill, *decode, 0, 2);
  auto objects = staged(*prefill, 500, 4);
  const std::vector<CacheEngineKey> keys = {small_key(1), small_key(77), small_key(0),
                                            small_key(78)};
  std::vector<std::pair<std::string, StatusCode>> told;
  const auto read = prefill->batched_submit_read_task(
      keys, objects, at(*decode), [&](const CacheEngineKey& key, const Status& status) {
        told.emplace_back(key.chunk_hash, status.code());
      });
  ASSERT_TRUE(read.ok()) << read.status();
  const auto result = read->wait(20s);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(read->done());
  EXPECT_EQ(result->hits, 2U);
  EXPECT_TRUE(absl::IsNotFound(result->statuses[1]));
  EXPECT_TRUE(holds(objects[0], 1));
  EXPECT_TRUE(holds(objects[2], 0));
  EXPECT_TRUE(holds(objects[1], 501)) << "a miss touches nothing";
  const std::vector<std::pair<std::string, StatusCode>> expected = {{"1", StatusCode::kOk},
                                                                    {"4d", StatusCode::kNotFound},
                                                                    {"0", StatusCode::kOk},
                                                                    {"4e", StatusCode::kNotFound}};
  EXPECT_EQ(told, expected);
  expect_nothing_held(*decode);
}

TEST_P(ReadsTest, APartialChunkIsReadWholeOrRefused) {
  auto decode = backend(Role::kReceiver);
  auto prefill = backend(Role::kSender);
  auto partial = prefill->allocate(small_chunk(5));
  ASSERT_TRUE(partial.ok());
  fill(*partial, 9);
  const auto put = prefill->batched_submit_put_task(small_keys(0, 1), {&*partial, 1},
                                                    transfer_to(*decode, "partial", 1));
  ASSERT_TRUE(put.ok() && put->wait(20s).ok());
  ASSERT_TRUE(decode->claim("partial", small_keys(0, 1), 10s).ok());
  for (const std::int64_t tokens : {5, 6, 16}) {
    auto object = prefill->allocate(small_chunk(tokens));
    ASSERT_TRUE(object.ok());
    const auto read =
        prefill->batched_submit_read_task(small_keys(0, 1), {&*object, 1}, at(*decode));
    ASSERT_TRUE(read.ok()) << read.status();
    const auto result = read->wait(20s);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->statuses[0].ok(), tokens == 5) << result->statuses[0];
    EXPECT_EQ(holds(*object, 9), tokens == 5);
  }
}

TEST_P(ReadsTest, ArgumentsThatCanNotWorkAreRefusedAtOnce) {
  auto decode = backend(Role::kReceiver);
  auto prefill = backend(Role::kSender);
  hand_over(*prefill, *decode, 0, 1);
  auto objects = staged(*prefill, 0, 2);
  const auto refused = [&](std::vector<CacheEngineKey> keys, std::vector<MemoryObj> objs) {
    const auto read = prefill->batched_submit_read_task(keys, objs, at(*decode));
    EXPECT_FALSE(read.ok());
    return message_of(read.status());
  };
  EXPECT_THAT(refused(small_keys(0, 1), objects), HasSubstr("1 keys and 2 objects"));
  EXPECT_THAT(refused({}, {}), HasSubstr("at least one"));
  EXPECT_THAT(refused({small_key(0), small_key(0)}, objects), HasSubstr("stands twice"));
  EXPECT_THAT(refused(small_keys(0, 2), {objects[0], objects[0]}), HasSubstr("page of another"));
  EXPECT_THAT(refused(small_keys(0, 1), {MemoryObj()}), HasSubstr("is empty"));
  const auto got = decode->get_blocking(small_key(0), 5s);
  ASSERT_TRUE(got.ok());
  EXPECT_THAT(refused(small_keys(0, 1), {*got}), HasSubstr("not of this backend's staging"));
  EXPECT_TRUE(absl::IsFailedPrecondition(
      decode->batched_submit_read_task(small_keys(0, 1), {&*got, 1}, at(*decode)).status()));
}

TEST_P(ReadsTest, ADeadReceiverFailsAReadInTime) {
  auto options = small_options(Role::kSender, 8, GetParam());
  options.pd_handshake_timeout_ms = 300ms;
  auto reader = make_backend(options);
  TransferSpec nowhere = transfer_to(1, 1, "read", 0);
  const auto objects = staged(*reader, 0, 1);
  const auto read = reader->batched_submit_read_task(small_keys(0, 1), objects, nowhere);
  ASSERT_TRUE(read.ok());
  const auto result = read->wait(20s);
  EXPECT_TRUE(absl::IsDeadlineExceeded(result.status())) << result.status();
}

// ---- both roles --------------------------------------------------------------------------------

TEST_P(ReadsTest, TwoProcessesOfBothRolesPutAndReadBothWays) {
  auto a = backend(Role::kBoth);
  auto b = backend(Role::kBoth);
  EXPECT_EQ(a->stats().pages_total, 32U);
  EXPECT_EQ(a->stats().staging_pages_total, 32U);
  hand_over(*a, *b, 0, 12);
  hand_over(*b, *a, 100, 12);
  read_back(*a, *b, 0, 12);
  read_back(*b, *a, 100, 12);
  // And at the same time.
  std::thread other([&] {
    for (int i = 0; i < 5; ++i) {
      read_back(*b, *a, 100, 12);
    }
  });
  for (int i = 0; i < 5; ++i) {
    read_back(*a, *b, 0, 12);
    hand_over(*a, *b, 200 + 10 * static_cast<std::uint64_t>(i), 10);
  }
  other.join();
  for (PdBackend* each : {a.get(), b.get()}) {
    expect_nothing_held(*each);
    each->evict_all_retained();
    EXPECT_EQ(each->stats().pages_free, 32U);
    EXPECT_EQ(each->stats().staging_pages_free, 32U);
    EXPECT_EQ(each->transports_in_use(), std::vector{each->transports().front()});
  }
}

TEST_P(ReadsTest, BothHalvesHearOfTheirPeersEnd) {
  auto options = small_options(Role::kBoth, 32, GetParam());
  options.pd_lease_ms = 3'600'000ms;  // So that no silence tells them.
  auto stays = make_backend(options);
  auto goes = make_backend(options);
  hand_over(*stays, *goes, 0, 4);
  hand_over(*goes, *stays, 100, 4);
  EXPECT_EQ(stays->stats().peers, 2U) << "one as its receiver, one as its sender";
  goes.reset();
  const auto until = std::chrono::steady_clock::now() + 20s;
  while ((!stays->transports_in_use().empty() || stays->stats().peers > 1) &&
         std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  EXPECT_TRUE(stays->transports_in_use().empty()) << "the sender's half has not heard";
  EXPECT_EQ(stays->stats().peers, 1U) << "the receiver's half has not heard";
}

TEST_P(ReadsTest, StagingIsNoPageOfTheReceivers) {
  auto options = small_options(Role::kBoth, 8, GetParam());
  options.pd_staging_buffer_size = *small_chunk().bytes() * 2;
  auto both = make_backend(options);
  auto prefill = backend(Role::kSender);
  EXPECT_EQ(both->stats().pages_total, 6U);
  EXPECT_EQ(both->stats().staging_pages_total, 2U);
  const auto own = staged(*both, 900, 2);
  EXPECT_GE(own[0].page(), 6U);
  EXPECT_GE(own[1].page(), 6U);
  hand_over(*prefill, *both, 0, 6);  // All of the receiver's pages.
  EXPECT_TRUE(holds(own[0], 900) && holds(own[1], 901)) << "a put came into the staging";
  const auto got = both->get_blocking(small_key(0), 5s);
  ASSERT_TRUE(got.ok());
  const auto put = both->batched_submit_put_task(small_keys(0, 1), {&*got, 1},
                                                 transfer_to(*both, "own page", 1));
  EXPECT_THAT(message_of(put.status()), HasSubstr("not of this backend's staging"));
}

TEST_P(ReadsTest, AProcessMeetsNotItself) {
  auto both = backend(Role::kBoth, 8);
  const auto read =
      both->batched_submit_read_task(small_keys(0, 1), staged(*both, 0, 1), at(*both));
  ASSERT_TRUE(read.ok());
  const auto result = read->wait(20s);
  EXPECT_TRUE(absl::IsFailedPrecondition(result.status())) << result.status();
  EXPECT_THAT(message_of(result.status()), HasSubstr("one process"));
}

// ---- changing the role -------------------------------------------------------------------------

TEST_P(ReadsTest, ADrainedProcessChangesItsRole) {
  auto options = small_options(Role::kSender, 32, GetParam());
  auto changing = make_backend(options);
  auto decode = backend(Role::kReceiver);
  hand_over(*changing, *decode, 0, 4);
  EXPECT_EQ(changing->init_port(), 0);

  ASSERT_TRUE(changing->change_role(Role::kReceiver).ok());
  EXPECT_EQ(changing->role(), Role::kReceiver);
  EXPECT_NE(changing->init_port(), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(changing->allocate(small_chunk()).status()));
  auto prefill = backend(Role::kSender);
  hand_over(*prefill, *changing, 10, 4);
  read_back(*prefill, *changing, 10, 4);
  expect_nothing_held(*changing);

  ASSERT_TRUE(changing->change_role(Role::kBoth).ok());
  EXPECT_EQ(changing->role(), Role::kBoth);
  EXPECT_FALSE(changing->contains(small_key(10))) << "what was cache is gone";
  hand_over(*prefill, *changing, 20, 4);
  hand_over(*changing, *decode, 30, 4);
  read_back(*changing, *decode, 0, 4);
  read_back(*prefill, *changing, 20, 4);
  expect_nothing_held(*changing);
  ASSERT_TRUE(changing->change_role(Role::kBoth).ok()) << "it is that already";
  EXPECT_TRUE(changing->contains(small_key(20))) << "and stayed what it was";

  ASSERT_TRUE(changing->change_role(Role::kSender).ok());
  hand_over(*changing, *decode, 40, 4);
}

TEST_P(ReadsTest, PeersOfFixedPortsMeetTheNextIncarnation) {
  // Ports that were free a moment ago.
  std::uint16_t init = 0;
  std::uint16_t alloc = 0;
  {
    auto probe = backend(Role::kReceiver, 8);
    init = probe->init_port();
    alloc = probe->alloc_port();
  }
  auto options = small_options(Role::kReceiver, 32, GetParam());
  options.pd_peer_init_port = {init};
  options.pd_peer_alloc_port = {alloc};
  auto changing = make_backend(options);
  auto prefill = backend(Role::kSender);
  hand_over(*prefill, *changing, 0, 4);
  for (const Role role : {Role::kBoth, Role::kReceiver, Role::kBoth}) {
    const Status changed = changing->change_role(role);
    ASSERT_TRUE(changed.ok()) << changed;
    EXPECT_EQ(changing->init_port(), init);
    // Its peer may not have noticed yet; what it puts goes to the next incarnation all the same.
    hand_over(*prefill, *changing, 0, 4);
    read_back(*prefill, *changing, 0, 4);
    expect_nothing_held(*changing);
  }
}

TEST_P(ReadsTest, WhatIsUnderWayKeepsTheRole) {
  auto both = backend(Role::kBoth, 16);
  auto prefill = backend(Role::kSender);
  const auto refused = [&] {
    const Status status = both->change_role(Role::kSender);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_EQ(both->role(), Role::kBoth);
    return message_of(status);
  };
  {
    const auto object = both->allocate(small_chunk());
    ASSERT_TRUE(object.ok());
    EXPECT_THAT(refused(), HasSubstr("1 staging pages in use"));
  }
  hand_over(*prefill, *both, 0, 2);
  {
    const auto got = both->get_blocking(small_key(0), 5s);
    ASSERT_TRUE(got.ok());
    EXPECT_THAT(refused(), HasSubstr("1 pages held"));
  }
  {
    const auto opened = prefill->open_request({transfer_to(*both, "open", 2), {}, 5s});
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_THAT(refused(), HasSubstr("1 requests of senders"));
  }
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (both->stats().requests > 0 && std::chrono::steady_clock::now() < until) {
    std::this_thread::yield();
  }
  const Status changed = both->change_role(Role::kSender);
  EXPECT_TRUE(changed.ok()) << changed;
}

TEST_P(ReadsTest, ARoleThatCanNotBeHadLeavesTheOldOne) {
  auto options = small_options(Role::kSender, 8, GetParam());
  options.pd_peer_init_port = {};
  options.pd_peer_alloc_port = {};
  auto unfit = make_backend(options);
  EXPECT_THAT(message_of(unfit->change_role(Role::kReceiver)), HasSubstr("pd_peer_init_port"));
  EXPECT_TRUE(unfit->allocate(small_chunk()).ok());

  auto decode = backend(Role::kReceiver);
  options.pd_peer_init_port = {decode->init_port()};
  options.pd_peer_alloc_port = {0};
  auto blocked = make_backend(options);
  const Status refused = blocked->change_role(Role::kReceiver);
  EXPECT_FALSE(refused.ok());
  EXPECT_EQ(blocked->role(), Role::kSender);
  hand_over(*blocked, *decode, 0, 4);
}

TEST_P(ReadsTest, CallsDuringAChangeEndOneWayOrTheOther) {
  auto changing = backend(Role::kReceiver, 8);
  std::atomic<bool> stop{false};
  std::atomic<int> odd{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 3; ++i) {
    callers.emplace_back([&, i] {
      while (!stop) {
        Status status;
        if (i == 0) {
          status = changing->allocate(small_chunk()).status();
        } else if (i == 1) {
          status = changing->remove(small_key(1));
        } else {
          status = changing->claim("none", small_keys(0, 1), 1ms).status();
        }
        // kNotFound, kDeadlineExceeded: served; the others: refused.
        if (!status.ok() && !absl::IsFailedPrecondition(status) && !absl::IsUnavailable(status) &&
            !absl::IsNotFound(status) && !absl::IsDeadlineExceeded(status) &&
            !absl::IsCancelled(status)) {
          ++odd;
        }
        static_cast<void>(changing->stats());
      }
    });
  }
  int changes = 0;
  for (int i = 0; i < 200 && changes < 6; ++i) {
    changes += changing->change_role(changes % 2 == 0 ? Role::kSender : Role::kBoth).ok() ? 1 : 0;
  }
  stop = true;
  for (std::thread& caller : callers) {
    caller.join();
  }
  EXPECT_EQ(odd, 0);
  EXPECT_GE(changes, 1);
}

// The change waits for the callback, so the callback must not wait for the change.
TEST_P(ReadsTest, ACallbackThatClosesDuringAChangeIsRefused) {
  auto receiver = backend(Role::kReceiver);
  auto changing = backend(Role::kSender);
  std::promise<void> in_callback;
  std::promise<bool> seen_change;
  const auto put = changing->batched_submit_put_task(
      small_keys(0, 1), staged(*changing, 0, 1), transfer_to(*receiver, "put", 1),
      [&](const CacheEngineKey& /*key*/, const Status& /*status*/) {
        in_callback.set_value();
        bool is_changing = false;
        const auto until = std::chrono::steady_clock::now() + 20s;
        while (!is_changing && std::chrono::steady_clock::now() < until) {
          is_changing = absl::IsUnavailable(changing->allocate(small_chunk()).status());
        }
        changing->close();
        static_cast<void>(changing->change_role(Role::kBoth));
        seen_change.set_value(is_changing);
      });
  ASSERT_TRUE(put.ok()) << put.status();
  in_callback.get_future().wait();
  const Status changed = changing->change_role(Role::kBoth);
  EXPECT_TRUE(seen_change.get_future().get());
  EXPECT_NE(changed.code(), StatusCode::kUnavailable) << changed;
}

}  // namespace
}  // namespace baton
