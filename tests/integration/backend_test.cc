// PdBackend over the real transports and ZeroMQ, as a user calls it. Promises: P1, P2, P4, P5, P6.
#include "baton/pd_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "src/transport/nixl/nixl.h"
#include "tests/support/backend_pair.h"

namespace baton {
namespace {

using namespace std::chrono_literals;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary
using ::testing::HasSubstr;

std::string message_of(const Status& status) {
  return std::string(status.message());
}

class BackendTest : public ::testing::TestWithParam<TransportChoice> {
 protected:
  std::unique_ptr<PdBackend> sender(std::uint32_t pages = 64) {
    return make_backend(small_options(Role::kSender, pages, GetParam()));
  }
  std::unique_ptr<PdBackend> receiver(std::uint32_t pages = 64) {
    return make_backend(small_options(Role::kReceiver, pages, GetParam()));
  }
  static void expect_all_free(PdBackend& receiver) {
    receiver.evict_all_retained();
    const BackendStats stats = receiver.stats();
    EXPECT_EQ(stats.pages_free, stats.pages_total);
    EXPECT_EQ(stats.pages_reserved, 0U);
    EXPECT_EQ(stats.requests, 0U);
  }
};

INSTANTIATE_TEST_SUITE_P(
    Transports, BackendTest,
    ::testing::ValuesIn(with_nixl({TransportChoice::kShm, TransportChoice::kTcp,
                                   TransportChoice::kUcx, TransportChoice::kAuto})),
    [](const auto& param) { return name_of(param.param); });

TEST_P(BackendTest, HandsOverAndDedupes) {
  auto decode = receiver();
  auto prefill = sender();
  for (int round = 0; round < 3; ++round) {
    const std::string req_id = "req" + std::to_string(round);
    const auto put = prefill->batched_submit_put_task(small_keys(0, 20), staged(*prefill, 0, 20),
                                                      transfer_to(*decode, req_id, 20));
    ASSERT_TRUE(put.ok()) << put.status();
    const Status ended = put->wait(10s);
    ASSERT_TRUE(ended.ok()) << ended;
    EXPECT_EQ(put->stats().chunks_skipped, round == 0 ? 0U : 20U);
    const auto claim = decode->claim(req_id, small_keys(0, 20));
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint64_t i = 0; i < 20; ++i) {
      EXPECT_TRUE(holds(claim->chunks()[i], i)) << i;
    }
  }
  EXPECT_TRUE(decode->contains(small_key(3)));
  EXPECT_FALSE(decode->contains(small_key(99)));
  EXPECT_EQ(prefill->stats().pages_free, 64U);
  expect_all_free(*decode);
}

TEST_P(BackendTest, ThreeRequestsTogetherExceedThePoolAndAllComplete) {
  auto decode = receiver(8);
  auto prefill = sender(32);
  std::vector<std::future<Status>> requests;
  for (std::uint64_t r = 0; r < 3; ++r) {
    requests.push_back(std::async(std::launch::async, [&, r]() -> Status {
      const std::string req_id = "req" + std::to_string(r);
      const auto keys = small_keys(100 * r, 6);
      auto handle = prefill->open_request({transfer_to(*decode, req_id, 6), keys, 20s});
      if (!handle.ok()) {
        return handle.status();
      }
      std::vector<PutHandle> puts;
      for (std::uint64_t half = 0; half < 2; ++half) {
        auto objects = handle->batched_allocate(small_chunk(), 3);
        if (!objects.ok()) {
          return objects.status();
        }
        for (std::uint64_t i = 0; i < 3; ++i) {
          fill((*objects)[i], 100 * r + 3 * half + i);
        }
        auto put = prefill->batched_submit_put_task(std::span(keys).subspan(3 * half, 3), *objects,
                                                    transfer_to(*decode, req_id, 6, half == 1));
        if (!put.ok()) {
          return put.status();
        }
        puts.push_back(*put);
      }
      for (const PutHandle& put : puts) {
        if (Status ended = put.wait(20s); !ended.ok()) {
          return ended;
        }
      }
      auto claim = decode->claim(req_id, keys, 20s);
      if (!claim.ok()) {
        return claim.status();
      }
      for (std::uint64_t i = 0; i < 6; ++i) {
        if (!holds(claim->chunks()[i], 100 * r + i)) {
          return absl::DataLossError(req_id);
        }
      }
      return absl::OkStatus();
    }));
  }
  for (auto& request : requests) {
    const Status ended = request.get();
    EXPECT_TRUE(ended.ok()) << ended;
  }
  expect_all_free(*decode);
  EXPECT_EQ(prefill->stats().pages_free, 32U);
}

TEST_P(BackendTest, TwoSendersWithOverlappingKeysAtTheSameTime) {
  auto decode = receiver(64);
  auto left = sender();
  auto right = sender();
  constexpr int kRounds = 10;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t base = 1000U * static_cast<std::uint64_t>(round);
    std::vector<PutHandle> puts;
    for (auto* one : {left.get(), right.get()}) {
      const std::string req_id = (one == left.get() ? "l" : "r") + std::to_string(round);
      auto put = one->batched_submit_put_task(small_keys(base, 12), staged(*one, base, 12),
                                              transfer_to(*decode, req_id, 12));
      ASSERT_TRUE(put.ok()) << put.status();
      puts.push_back(*put);
    }
    std::uint32_t sent = 0;
    for (const PutHandle& put : puts) {
      const Status ended = put.wait(10s);
      ASSERT_TRUE(ended.ok()) << ended;
      sent += put.stats().chunks_sent;
    }
    EXPECT_EQ(sent, 12U) << "each chunk is written once";
    for (const char* side : {"l", "r"}) {
      const auto claim = decode->claim(side + std::to_string(round), small_keys(base, 12));
      ASSERT_TRUE(claim.ok()) << claim.status();
      EXPECT_TRUE(holds(claim->chunks()[11], base + 11));
    }
  }
  expect_all_free(*decode);
}

TEST_P(BackendTest, CallbacksComeOncePerKeyAndMayNotWait) {
  auto decode = receiver();
  auto prefill = sender();
  std::atomic<int> calls{0};
  std::promise<Status> waiting;
  std::promise<void> last;
  const auto put = prefill->batched_submit_put_task(
      small_keys(0, 4), staged(*prefill, 0, 4), transfer_to(*decode, "req", 4),
      [&](const CacheEngineKey& key, const Status& status) {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_EQ(key, small_key(static_cast<std::uint64_t>(calls.load())));
        if (++calls == 4) {
          waiting.set_value(prefill->cancel_request("none"));
          last.set_value();
        }
      });
  ASSERT_TRUE(put.ok()) << put.status();
  ASSERT_EQ(last.get_future().wait_for(10s), std::future_status::ready);
  const Status refused = waiting.get_future().get();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
  ASSERT_TRUE(put->wait(10s).ok());
  EXPECT_EQ(calls, 4);
}

TEST_P(BackendTest, ArgumentsAreCheckedAndNothingStarts) {
  auto decode = receiver();
  auto prefill = sender();
  auto stranger = sender();
  const auto refuse = [&](const std::vector<CacheEngineKey>& keys,
                          const std::vector<MemoryObj>& objects, const TransferSpec& spec) {
    const auto put = prefill->batched_submit_put_task(
        keys, objects, spec, [](const CacheEngineKey&, const Status&) { ADD_FAILURE(); });
    return put.ok() ? Status() : put.status();
  };
  const TransferSpec to = transfer_to(*decode, "req", 2);
  EXPECT_THAT(message_of(refuse(small_keys(0, 2), staged(*prefill, 0, 1), to)),
              HasSubstr("2 keys and 1 objects"));
  EXPECT_THAT(message_of(refuse({}, {}, to)), HasSubstr("0 keys"));
  EXPECT_THAT(message_of(refuse(small_keys(0, 1), {MemoryObj()}, to)), HasSubstr("is empty"));
  EXPECT_THAT(message_of(refuse(small_keys(0, 1), staged(*stranger, 0, 1), to)),
              HasSubstr("not of this backend's staging"));
  EXPECT_THAT(message_of(refuse({small_key(1), small_key(1)}, staged(*prefill, 0, 2), to)),
              HasSubstr("twice"));
  auto other_worker = small_key(1);
  other_worker.worker_id = 3;
  EXPECT_THAT(message_of(refuse({other_worker}, staged(*prefill, 0, 1), to)),
              HasSubstr("not of this worker's cache"));

  auto partial = *prefill->allocate(small_chunk(3));
  EXPECT_THAT(message_of(refuse(small_keys(0, 2), {partial, staged(*prefill, 0, 1)[0]}, to)),
              HasSubstr("memory object 0"))
      << "only the last chunk may be partial";
  const TensorMeta bytes{{2, 4, 16, 256}, DType::kInt16, MemoryFormat::kKv2ltd};
  EXPECT_THAT(message_of(refuse(small_keys(0, 1), {*prefill->allocate(bytes)}, to)),
              HasSubstr("of int16"));
  TransferSpec no_ports = to;
  no_ports.receiver_alloc_port.clear();
  EXPECT_THAT(message_of(refuse(small_keys(0, 1), staged(*prefill, 0, 1), no_ports)),
              HasSubstr("0 alloc ports"));
  TransferSpec no_name = to;
  no_name.req_id.clear();
  EXPECT_THAT(message_of(refuse(small_keys(0, 1), staged(*prefill, 0, 1), no_name)),
              HasSubstr("req_id"));

  const TensorMeta large{{2, 8, 16, 256}, DType::kHalf, MemoryFormat::kKv2ltd};
  EXPECT_THAT(message_of(prefill->allocate(large).status()), HasSubstr("does not fit a page"));
  EXPECT_TRUE(absl::IsFailedPrecondition(decode->allocate(small_chunk()).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(prefill->claim("req", small_keys(0, 1)).status()));
  partial = MemoryObj();
  EXPECT_EQ(prefill->stats().pages_free, 64U);

  // And it goes on serving.
  const auto put = prefill->batched_submit_put_task(small_keys(0, 2), staged(*prefill, 0, 2), to);
  ASSERT_TRUE(put.ok()) << put.status();
  EXPECT_TRUE(put->wait(10s).ok());
}

TEST_P(BackendTest, ARequestLargerThanThePoolIsRefusedAtOnce) {
  auto decode = receiver(4);
  auto prefill = sender();
  const auto handle = prefill->open_request({transfer_to(*decode, "big", 5), small_keys(0, 5), {}});
  EXPECT_TRUE(absl::IsResourceExhausted(handle.status())) << handle.status();
  EXPECT_THAT(message_of(handle.status()), HasSubstr("5 pages"));
  const auto put = prefill->batched_submit_put_task(small_keys(0, 5), staged(*prefill, 0, 5),
                                                    transfer_to(*decode, "big", 5));
  ASSERT_TRUE(put.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(put->wait(10s)));
  expect_all_free(*decode);
}

TEST_P(BackendTest, AReceiverThatIsNotThereFailsThePutInTime) {
  auto options = small_options(Role::kSender, 8, GetParam());
  options.pd_handshake_timeout_ms = 300ms;
  auto prefill = make_backend(options);
  const auto put = prefill->batched_submit_put_task(small_keys(0, 1), staged(*prefill, 0, 1),
                                                    transfer_to(1, 2, "req", 1));
  ASSERT_TRUE(put.ok());
  const Status ended = put->wait(10s);
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended)) << ended;
  EXPECT_THAT(message_of(ended), HasSubstr("300 ms"));
  EXPECT_EQ(prefill->stats().pages_free, 8U);
}

TEST_P(BackendTest, CloseCancelsWhatIsUnderWayAndHandlesOutliveIt) {
  auto decode = receiver();
  auto options = small_options(Role::kSender, 8, GetParam());
  auto prefill = make_backend(options);
  const auto open = prefill->open_request({transfer_to(*decode, "opened", 2), {}, {}});
  ASSERT_TRUE(open.ok()) << open.status();
  const auto nowhere = prefill->batched_submit_put_task(small_keys(0, 1), staged(*prefill, 0, 1),
                                                        transfer_to(1, 2, "req", 1));
  ASSERT_TRUE(nowhere.ok());
  auto kept = staged(*prefill, 0, 1);
  std::thread claimer([&] {
    const auto claim = decode->claim("never", small_keys(0, 1), 60s);
    EXPECT_FALSE(claim.ok());
  });
  prefill->close();
  prefill->close();
  EXPECT_TRUE(absl::IsCancelled(nowhere->wait(1s)));
  EXPECT_TRUE(absl::IsFailedPrecondition(prefill->allocate(small_chunk()).status()));
  const auto late =
      prefill->batched_submit_put_task(small_keys(0, 1), kept, transfer_to(*decode, "late", 1));
  EXPECT_TRUE(absl::IsFailedPrecondition(late.status())) << late.status();
  prefill.reset();
  fill(kept[0], 5);
  EXPECT_TRUE(holds(kept[0], 5)) << "memory objects outlive the backend";
  decode->close();
  claimer.join();
}

TEST_P(BackendTest, ACancelledRequestLeavesNothingAndItsClaimSaysSo) {
  auto decode = receiver(8);
  auto prefill = sender(8);
  const auto put = prefill->batched_submit_put_task(small_keys(0, 2), staged(*prefill, 0, 2),
                                                    transfer_to(*decode, "req", 4, false));
  ASSERT_TRUE(put.ok());
  ASSERT_TRUE(put->wait(10s).ok());
  EXPECT_TRUE(prefill->cancel_request("req").ok());
  EXPECT_TRUE(absl::IsNotFound(prefill->cancel_request("unknown")));
  const auto claim = decode->claim("req", small_keys(0, 2), 10s);
  EXPECT_TRUE(absl::IsAborted(claim.status())) << claim.status();
  expect_all_free(*decode);
}

TEST(BackendCreate, WithoutNixlSaysHowToGetIt) {
  if (transport::has_nixl()) {
    GTEST_SKIP() << "this Baton has NIXL";
  }
  const auto backend =
      PdBackend::create(small_options(Role::kReceiver, 4, TransportChoice::kNixl), small_layout());
  EXPECT_EQ(backend.status().code(), StatusCode::kUnimplemented);
  EXPECT_THAT(message_of(backend.status()), HasSubstr("-DBATON_WITH_NIXL=ON"));
}

TEST(BackendCreate, NixlOverTcpHasToBeAskedFor) {
  if (!transport::has_nixl() || host_has_rdma()) {
    GTEST_SKIP() << "only with NIXL, and without RDMA";
  }
  Options options = small_options(Role::kReceiver, 4, TransportChoice::kNixl);
  options.insecure_data_plane = false;
  const auto backend = PdBackend::create(options, small_layout());
  EXPECT_EQ(backend.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(message_of(backend.status()), HasSubstr("insecure_data_plane: true"));
}

TEST(BackendCreate, RefusesWhatCannotWork) {
  const auto refuse = [](Options options, CacheLayout layout = small_layout()) {
    return message_of(PdBackend::create(options, layout).status());
  };
  const Options good = small_options(Role::kReceiver, 4, TransportChoice::kAuto);
  Options options = good;
  options.pd_buffer_size = 1000;
  EXPECT_THAT(refuse(options), HasSubstr("pd_buffer_size"));
  options = good;
  options.chunk_size = 32;
  EXPECT_THAT(refuse(options), HasSubstr("chunk_size"));
  CacheLayout layout = small_layout();
  layout.full_chunk.format = MemoryFormat::kKvT2d;
  EXPECT_FALSE(PdBackend::create(good, layout).ok());
  layout = small_layout();
  layout.worker_id = 1;
  EXPECT_THAT(refuse(good, layout), HasSubstr("world_size"));

  const auto first = make_backend(good);
  options = good;
  options.pd_peer_init_port = {first->init_port()};
  EXPECT_THAT(refuse(options), HasSubstr(std::to_string(first->init_port())));
}

}  // namespace
}  // namespace baton
