// Puts into pages that were granted before, and requests whose chunks lie in place, between real
// senders and receivers.
// Promises: P1, P3, P4, P6.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "tests/support/handoff.h"

namespace baton {
namespace {

using ::testing::HasSubstr;
using namespace ::baton::testing;  // NOLINT: the fixture's vocabulary

sender::Config ahead_config(std::uint32_t pages = 4) {
  sender::Config config = SenderNode::default_config();
  config.pages_ahead = pages;
  return config;
}

class AheadPutTest : public ::testing::Test {
 protected:
  AheadPutTest() {
    world_.network.set_filter([this](const control::Envelope& envelope) -> std::vector<Duration> {
      const auto message = wire::decode(envelope.payload, {});
      if (const auto* asked = std::get_if<wire::AllocRequest>(&*message)) {
        requests_.push_back(*asked);
      }
      questions_ += std::holds_alternative<wire::AheadRequest>(*message) ? 1 : 0;
      commits_ += std::holds_alternative<wire::CommitRequest>(*message) ? 1 : 0;
      const bool lost = std::holds_alternative<wire::AllocResponse>(*message) && lose_answers_;
      return {lost ? std::vector<Duration>{} : std::vector<Duration>{Duration::zero()}};
    });
  }
  void run_to_end(const std::shared_ptr<PutResult>& put) {
    ASSERT_TRUE(world_.scheduler.run_until([&] { return put->done(); }));
  }
  /// Connected, and with pages ahead.
  void warm_up(SenderNode& sender) {
    const auto put = sender.submit(receiver_, sender.spec("warm", 90, 1));
    run_to_end(put);
    ASSERT_TRUE(put->status().ok()) << put->status();
    ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver_.pages().ahead >= 3; }));
    requests_.clear();
    commits_ = 0;
  }
  void expect_claimed(const std::string& req_id, std::uint64_t first, std::uint64_t count) {
    const auto claim = receiver_.claim(req_id, tiny_keys(first, count));
    ASSERT_TRUE(claim.ok()) << claim.status();
    for (std::uint64_t i = 0; i < count; ++i) {
      EXPECT_TRUE(std::ranges::equal(claim->chunks()[i].bytes(), chunk_bytes(first + i, 128)));
    }
  }
  StatusOr<std::shared_ptr<StagingReservation>> open_in_place(SenderNode& sender,
                                                              const std::string& req_id,
                                                              std::uint64_t count) {
    std::optional<StatusOr<std::shared_ptr<StagingReservation>>> result;
    sender->open(
        {receiver_.address(), {req_id, 0}, tiny_keys(0, count), 0, std::chrono::seconds(5), true},
        [&](StatusOr<std::shared_ptr<StagingReservation>> opened) { result = std::move(opened); });
    EXPECT_TRUE(world_.scheduler.run_until([&] { return result.has_value(); }));
    return std::move(*result);
  }
  /// Of a request in place, its first `count` chunks written.
  sender::PutSpec in_place_spec(StagingReservation& request, const std::string& req_id,
                                std::uint64_t count) {
    sender::PutSpec spec;
    spec.req_id = req_id;
    spec.keys = tiny_keys(0, count);
    spec.objects = *request.batched_allocate(tiny_chunk(), static_cast<std::uint32_t>(count));
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto bytes = chunk_bytes(i, 128);
      std::memcpy(spec.objects[i].bytes().data(), bytes.data(), bytes.size());
    }
    spec.last_chunk_toks = 4;
    spec.is_last = true;
    spec.timeout = std::chrono::seconds(30);
    return spec;
  }

  World world_{{.maps_pages = true}};
  ReceiverNode receiver_{world_, "r", 32};
  std::vector<wire::AllocRequest> requests_;
  int commits_ = 0;
  int questions_ = 0;  // for pages ahead
  bool lose_answers_ = false;
};

// ---- small puts --------------------------------------------------------------------------------

TEST_F(AheadPutTest, ASmallPutIsOneWordAboutBytesThatAreThere) {
  SenderNode sender(world_, 8, ahead_config());
  warm_up(sender);
  const auto put = sender.submit(receiver_, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  ASSERT_EQ(requests_.size(), 1U);
  ASSERT_TRUE(requests_[0].ahead.has_value());
  EXPECT_FALSE(requests_[0].eager.has_value());
  EXPECT_EQ(commits_, 0);
  EXPECT_EQ(put->stats().chunks_sent, 2U);
  EXPECT_EQ(put->stats().bytes_written, 256U);
  expect_claimed("req", 0, 2);
  EXPECT_EQ(sender.staging().counts().free, 8U);
}

TEST_F(AheadPutTest, PagesThatWereUsedAreReplaced) {
  SenderNode sender(world_, 8, ahead_config());
  warm_up(sender);
  for (std::uint64_t i = 0; i < 12; ++i) {
    const auto put = sender.submit(receiver_, sender.spec("req" + std::to_string(i), i, 1));
    run_to_end(put);
    ASSERT_TRUE(put->status().ok()) << put->status();
    world_.scheduler.run_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(
      std::ranges::all_of(requests_, [](const auto& asked) { return asked.ahead.has_value(); }));
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(AheadPutTest, OneThatIsTooLargeIsWrittenAsEver) {
  sender::Config config = ahead_config();
  config.ahead_bytes = 255;
  SenderNode sender(world_, 8, config);
  warm_up(sender);
  const auto put = sender.submit(receiver_, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_FALSE(requests_.at(0).ahead.has_value());
  EXPECT_EQ(commits_, 1);
}

TEST_F(AheadPutTest, WhereNoChunkIsSmallNoneAreKept) {
  sender::Config config = ahead_config();
  config.ahead_bytes = 127;
  SenderNode sender(world_, 8, config);
  const auto put = sender.submit(receiver_, sender.spec("req", 0, 2));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  EXPECT_EQ(receiver_.pages().ahead, 0U);
}

TEST_F(AheadPutTest, WhatWasThereLeavesThePageInTheStock) {
  SenderNode sender(world_, 8, ahead_config());
  warm_up(sender);
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  const std::uint32_t before = receiver_.pages().ahead;
  questions_ = 0;
  for (int i = 0; i < 10; ++i) {
    const auto put = sender.submit(receiver_, sender.spec("again" + std::to_string(i), 90, 1));
    run_to_end(put);
    ASSERT_TRUE(put->status().ok()) << put->status();
    EXPECT_EQ(put->stats().chunks_skipped, 1U);
  }
  EXPECT_EQ(receiver_.pages().ahead, before);
  EXPECT_EQ(questions_, 0) << "none was used up";
  EXPECT_TRUE(requests_.back().ahead.has_value());
}

TEST_F(AheadPutTest, ACancelledOneGivesItsPagesBack) {
  SenderNode sender(world_, 8, ahead_config());
  warm_up(sender);
  lose_answers_ = true;
  const auto put = sender.submit(receiver_, sender.spec("req", 0, 2, /*is_last=*/false));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return !requests_.empty(); }));
  sender->cancel("req", absl::CancelledError(std::string("test")));
  run_to_end(put);
  EXPECT_TRUE(absl::IsCancelled(put->status()));
  lose_answers_ = false;
  world_.scheduler.run_for(std::chrono::seconds(3));
  EXPECT_EQ(receiver_.pages().quarantined, 0U);
  EXPECT_EQ(receiver_.pages().granted, 0U);
  EXPECT_EQ(receiver_->evict_all_retained(), 2U) << "they were committed before the cancel";
  EXPECT_EQ(receiver_.pages().free + receiver_.pages().ahead, 31U)
      << "one is held: nobody has claimed it";
}

TEST_F(AheadPutTest, IsPutAgainToARestartedReceiver) {
  SenderNode sender(world_, 8, ahead_config());
  auto first = std::make_unique<ReceiverNode>(world_, "again", 32);
  const auto address = first->address();
  run_to_end(sender.submit(address, sender.spec("warm", 90, 1)));
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  lose_answers_ = true;
  auto spec = sender.spec("req", 0, 1, /*is_last=*/false);
  spec.total_chunks = 2;
  const auto put = sender.submit(address, std::move(spec));
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  first.reset();
  lose_answers_ = false;
  ReceiverNode second(world_, "again", 32);
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(put->stats().chunks_sent, 1U);
  EXPECT_TRUE(second->contains(tiny_key(0)));
}

TEST_F(AheadPutTest, ARequestThatNeedsAllPagesGetsThem) {
  SenderNode sender(world_, 8, ahead_config());
  warm_up(sender);
  ASSERT_TRUE(receiver_.claim("warm", tiny_keys(90, 1)).ok());
  SenderNode other(world_, 32);
  const auto put = other.submit(receiver_, other.spec("all", 0, 32));
  run_to_end(put);
  EXPECT_TRUE(put->status().ok()) << put->status();
}

// ---- in place ----------------------------------------------------------------------------------

TEST_F(AheadPutTest, ARequestInPlaceMovesNoBytes) {
  SenderNode sender(world_, 8, ahead_config(1));
  const auto request = open_in_place(sender, "req", 3);
  ASSERT_TRUE(request.ok()) << request.status();
  auto spec = in_place_spec(**request, "req", 3);
  for (const MemoryObj& object : spec.objects) {
    EXPECT_TRUE(object.in_place());
    EXPECT_EQ(object.bytes().data(), receiver_.buffer().page(object.page()).data());
  }
  const auto put = sender.submit(receiver_, std::move(spec));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(put->stats().bytes_written, 0U);
  EXPECT_EQ(put->stats().chunks_sent, 3U);
  expect_claimed("req", 0, 3);
}

TEST_F(AheadPutTest, BeyondWhatTheReceiverHasAheadItIsStaged) {
  SenderNode sender(world_, 16, ahead_config(1));
  const auto request = open_in_place(sender, "req", 12);
  ASSERT_TRUE(request.ok()) << request.status();
  auto spec = in_place_spec(**request, "req", 12);
  const auto there = std::ranges::count_if(spec.objects, &MemoryObj::in_place);
  EXPECT_EQ(there, 8) << "a quarter of 32";
  const auto put = sender.submit(receiver_, std::move(spec));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(put->stats().bytes_written, 4U * 128U);
  expect_claimed("req", 0, 12);
}

TEST_F(AheadPutTest, AKeyInFlightElsewhereIsCopiedFromItsPlaceIfItsWriterFails) {
  SenderNode writer(world_, 4);
  const auto first = writer.submit(receiver_, writer.spec("writer", 0, 1));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return receiver_.pages().granted == 1; }));
  SenderNode sender(world_, 8, ahead_config(1));
  const auto request = open_in_place(sender, "req", 1);
  ASSERT_TRUE(request.ok()) << request.status();
  const auto put = sender.submit(receiver_, in_place_spec(**request, "req", 1));
  writer->cancel("writer", absl::CancelledError(std::string("test")));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  expect_claimed("req", 0, 1);
}

TEST_F(AheadPutTest, AFailedOneGoesBackWhenItsLastObjectIsGone) {
  SenderNode sender(world_, 8, ahead_config(1));
  const auto request = open_in_place(sender, "req", 2);
  ASSERT_TRUE(request.ok()) << request.status();
  auto spec = in_place_spec(**request, "req", 2);
  MemoryObj kept = spec.objects[0];
  lose_answers_ = true;
  spec.is_last = false;
  const auto put = sender.submit(receiver_, std::move(spec));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return !requests_.empty(); }));
  sender->cancel("req", absl::CancelledError(std::string("test")));
  run_to_end(put);
  lose_answers_ = false;
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_TRUE(kept.in_place());
  kept = {};
  world_.scheduler.run_for(std::chrono::seconds(1));
  EXPECT_EQ(receiver_.pages().quarantined, 0U);
  EXPECT_EQ(receiver_->audit(), "");
}

TEST_F(AheadPutTest, OneThatIsAskedBackIsPutAllTheSame) {
  SenderNode sender(world_, 8, ahead_config(1));
  const auto request = open_in_place(sender, "req", 2);
  ASSERT_TRUE(request.ok()) << request.status();
  auto spec = in_place_spec(**request, "req", 2);
  SenderNode other(world_, 32);
  const auto waiting = other.submit(receiver_, other.spec("all", 50, 30));
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(waiting->done()) << "two pages are in use";
  const auto put = sender.submit(receiver_, std::move(spec));
  run_to_end(put);
  EXPECT_TRUE(put->status().ok()) << put->status();
  EXPECT_EQ(put->stats().bytes_written, 0U);
}

TEST_F(AheadPutTest, ItCanBePutOnce) {
  SenderNode sender(world_, 8, ahead_config(1));
  const auto request = open_in_place(sender, "req", 1);
  ASSERT_TRUE(request.ok()) << request.status();
  auto spec = in_place_spec(**request, "req", 1);
  auto again = sender.spec("again", 5, 1);
  again.objects = spec.objects;
  const auto put = sender.submit(receiver_, std::move(spec));
  run_to_end(put);
  ASSERT_TRUE(put->status().ok()) << put->status();
  const auto second = sender.submit(receiver_, std::move(again));
  run_to_end(second);
  EXPECT_TRUE(absl::IsUnavailable(second->status()));
  EXPECT_THAT(std::string(second->status().message()), HasSubstr("allocate it anew"));
}

TEST_F(AheadPutTest, ToAnotherReceiverItCannotBePut) {
  ReceiverNode elsewhere(world_, "elsewhere", 8);
  SenderNode sender(world_, 8, ahead_config(1));
  const auto request = open_in_place(sender, "req", 1);
  ASSERT_TRUE(request.ok()) << request.status();
  auto spec = in_place_spec(**request, "req", 1);
  spec.req_id = "other";
  const auto put = sender.submit(elsewhere, std::move(spec));
  run_to_end(put);
  EXPECT_THAT(std::string(put->status().message()), HasSubstr("another receiver"));
}

TEST_F(AheadPutTest, ItIsNotPutAgainToARestartedReceiver) {
  SenderNode sender(world_, 8, ahead_config(1));
  const auto request = open_in_place(sender, "req", 1);
  ASSERT_TRUE(request.ok()) << request.status();
  lose_answers_ = true;
  const auto put = sender.submit(receiver_, in_place_spec(**request, "req", 1));
  ASSERT_TRUE(world_.scheduler.run_until([&] { return !requests_.empty(); }));
  const TimePoint begun = world_.scheduler.now();
  world_.network.set_filter([](const auto&) { return std::vector<Duration>{}; });
  world_.hub.break_connection(sender.epoch(), receiver_.epoch(),
                              absl::UnavailableError(std::string("test")));
  run_to_end(put);
  EXPECT_TRUE(absl::IsUnavailable(put->status())) << put->status();
  EXPECT_LT(world_.scheduler.now() - begun, std::chrono::seconds(1)) << "it waits for no handshake";
}

TEST_F(AheadPutTest, WhatARequestDidNotUseGoesBack) {
  SenderNode sender(world_, 8, ahead_config(1));
  {
    const auto request = open_in_place(sender, "req", 6);
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_GE(receiver_.pages().ahead, 6U);
    sender->release({"req", 0});
  }
  world_.scheduler.run_for(std::chrono::milliseconds(10));
  EXPECT_EQ(receiver_.pages().ahead, 1U);
  EXPECT_EQ(receiver_->audit(), "");
}

}  // namespace
}  // namespace baton
