// The faults that a LoopbackHub can be told to make.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "src/transport/loopback/loopback_hub.h"
#include "src/transport/loopback/loopback_transport.h"
#include "tests/support/virtual_scheduler.h"

namespace baton::transport {
namespace {

class AllowAll final : public PageGuard {
 public:
  bool may_write(const PeerId&, std::uint32_t, std::uint64_t, std::uint64_t,
                 std::uint64_t) const override {
    return true;
  }
  bool may_read(const PeerId&, std::uint32_t, std::uint64_t, std::uint64_t,
                std::uint64_t) const override {
    return true;
  }
};

class Counts final : public TransportObserver {
 public:
  void on_writer_connected(const PeerId&) override {}
  void on_writer_gone(const PeerId&, const Status&) override { ++writers_gone; }
  void on_receiver_gone(const PeerId&, const Status&) override { ++receivers_gone; }
  int writers_gone = 0;
  int receivers_gone = 0;
};

struct Side {
  explicit Side(LoopbackHub& hub) : transport(hub, id) {
    EXPECT_TRUE(transport.attach(*buffer).ok());
    transport.set_guard(&guard);
    transport.set_observer(&counts);
  }
  PeerId id = Epoch::random();
  std::unique_ptr<RegisteredBuffer> buffer = *RegisteredBuffer::create(4096, 4);
  AllowAll guard;
  Counts counts;
  LoopbackTransport transport;
};

class LoopbackFaults : public ::testing::Test {
 protected:
  LoopbackFaults() {
    std::ranges::fill(writer_.buffer->page(0), std::byte{0x55});
    const auto ticket = receiver_.transport.expect_peer(writer_.id);
    bool connected = false;
    writer_.transport.connect(receiver_.id, *ticket, scheduler_.now() + std::chrono::seconds(1),
                              [&](const Status& status) { connected = status.ok(); });
    EXPECT_TRUE(scheduler_.run_until([&] { return connected; }));
  }

  void write(std::uint32_t page) {
    writer_.transport.write_batch(receiver_.id, {{.local = writer_.buffer->page(0), .page = page}},
                                  [this](const Status& status) {
                                    ++fired_;
                                    last_ = status;
                                  });
  }
  void read(std::uint32_t page) {
    writer_.transport.read_batch(receiver_.id,
                                 {{.local = writer_.buffer->page(page), .page = page}},
                                 [this](const Status& status) {
                                   ++fired_;
                                   last_ = status;
                                 });
  }
  std::ptrdiff_t landed(std::uint32_t page) {
    return std::ranges::count(receiver_.buffer->page(page), std::byte{0x55});
  }

  testing::VirtualScheduler scheduler_;
  LoopbackHub hub_{scheduler_, {.piece_bytes = 512, .piece_delay = std::chrono::microseconds(1)}};
  Side writer_{hub_};
  Side receiver_{hub_};
  int fired_ = 0;
  Status last_;
};

TEST_F(LoopbackFaults, ADroppedWriteIsReportedAsComplete) {
  hub_.set_drop_write([](const PeerId&, const PeerId&, const WriteOp& op) { return op.page == 1; });
  write(1);
  write(2);
  ASSERT_TRUE(scheduler_.run_until([&] { return fired_ == 2; }));
  EXPECT_TRUE(last_.ok()) << last_;
  EXPECT_EQ(landed(1), 0);
  EXPECT_EQ(landed(2), 4096);
}

TEST_F(LoopbackFaults, ADroppedReadIsReportedAsCompleteAndLeavesTheReadersMemory) {
  hub_.set_drop_read([](const PeerId&, const PeerId&, const ReadOp& op) { return op.page == 1; });
  for (const std::uint32_t page : {1U, 2U}) {
    std::ranges::fill(receiver_.buffer->page(page), std::byte{0x5A});
    read(page);
  }
  ASSERT_TRUE(scheduler_.run_until([&] { return fired_ == 2; }));
  EXPECT_TRUE(last_.ok()) << last_;
  EXPECT_NE(writer_.buffer->page(1)[0], std::byte{0x5A});
  EXPECT_EQ(writer_.buffer->page(2)[4095], std::byte{0x5A});
}

TEST_F(LoopbackFaults, AReadArrivesGraduallyAndABrokenConnectionEndsItForGood) {
  std::ranges::fill(receiver_.buffer->page(1), std::byte{0x5A});
  read(1);
  const auto arrived = [&] { return std::ranges::count(writer_.buffer->page(1), std::byte{0x5A}); };
  ASSERT_TRUE(scheduler_.run_until([&] { return arrived() == 1024; }));
  hub_.break_connection(writer_.id, receiver_.id, absl::UnavailableError("cut"));
  EXPECT_EQ(fired_, 0) << "never inside the call";
  scheduler_.run_for(std::chrono::seconds(1));
  EXPECT_EQ(fired_, 1);
  EXPECT_EQ(last_.code(), StatusCode::kUnavailable);
  EXPECT_EQ(arrived(), 1024);
}

TEST_F(LoopbackFaults, BytesLandGradually) {
  write(1);
  ASSERT_TRUE(scheduler_.run_until([&] { return landed(1) > 0; }));
  EXPECT_EQ(landed(1), 512);
  EXPECT_EQ(fired_, 0);
}

TEST_F(LoopbackFaults, ABrokenConnectionEndsAWriteInTheMiddle) {
  write(1);
  ASSERT_TRUE(scheduler_.run_until([&] { return landed(1) == 1024; }));
  hub_.break_connection(writer_.id, receiver_.id, absl::UnavailableError("cut"));
  EXPECT_EQ(fired_, 0) << "never inside the call";
  scheduler_.run_for(std::chrono::seconds(1));
  EXPECT_EQ(fired_, 1);
  EXPECT_EQ(last_.message(), "cut");
  EXPECT_EQ(landed(1), 1024);
  EXPECT_EQ(writer_.counts.receivers_gone, 1);
  EXPECT_EQ(receiver_.counts.writers_gone, 1);
}

TEST_F(LoopbackFaults, AKilledWriterWritesNoMoreAndHearsNothing) {
  write(1);
  ASSERT_TRUE(scheduler_.run_until([&] { return landed(1) == 1024; }));
  hub_.kill(writer_.id);
  scheduler_.run_for(std::chrono::seconds(1));
  EXPECT_EQ(landed(1), 1024);
  EXPECT_EQ(fired_, 0);
  EXPECT_EQ(writer_.counts.receivers_gone, 0);
  EXPECT_EQ(receiver_.counts.writers_gone, 1);
}

TEST_F(LoopbackFaults, AKilledReceiverFailsTheWrite) {
  write(1);
  ASSERT_TRUE(scheduler_.run_until([&] { return landed(1) == 1024; }));
  hub_.kill(receiver_.id);
  scheduler_.run_for(std::chrono::seconds(1));
  EXPECT_EQ(landed(1), 1024);
  EXPECT_EQ(fired_, 1);
  EXPECT_EQ(last_.code(), StatusCode::kUnavailable) << last_;
  EXPECT_EQ(writer_.counts.receivers_gone, 1);
  EXPECT_EQ(receiver_.counts.writers_gone, 0);
}

}  // namespace
}  // namespace baton::transport
