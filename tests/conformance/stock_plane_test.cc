// The plane towards LMCache's peers, with another such plane for a peer: agents made for each
// other, as its handshake makes them. Needs NIXL.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "src/transport/nixl/nixl.h"
#include "src/transport/ucx/rdma_devices.h"
#include "tests/conformance/loop_driver.h"
#include "tests/conformance/node.h"

namespace baton::conformance {
namespace {

using transport::PageAddress;
using transport::PageMemory;
using transport::StockPeerId;
using transport::StockPlane;

constexpr std::size_t kPageBytes = 64U << 10U;
constexpr std::uint32_t kPageCount = 16;

class StockPlaneTest : public ::testing::Test {
 protected:
  struct Side {
    std::unique_ptr<RegisteredBuffer> buffer;
    std::unique_ptr<StockPlane> plane;
    StockPlane::Door door;  ///< for the other side
  };

  void SetUp() override {
    if (!transport::has_nixl()) {
      GTEST_SKIP() << "Baton was built without NIXL (BATON_WITH_NIXL is OFF)";
    }
    if (!rdma_) {
      setenv("UCX_NET_DEVICES", "lo", /*overwrite=*/0);
    }
    for (Side* const side : {&ours_, &theirs_}) {
      side->buffer = *RegisteredBuffer::create(kPageBytes, kPageCount);
      on_loop([&] { make(*side); });
    }
    fill(memory(ours_), 1);
    fill(memory(theirs_), 2);
  }

  void TearDown() override {
    on_loop([&] {
      ours_.plane.reset();
      theirs_.plane.reset();
    });
    EXPECT_TRUE(driver_.run_until([&] { return asked_ == answered_; }))
        << "a callback never came, or came twice";
    driver_.stop();
  }

  void make(Side& side) {
    transport::NixlOptions options;
    options.insecure = !rdma_;
    auto plane = transport::make_stock_plane(driver_.reactor(), Epoch::random(), std::move(options),
                                             *side.buffer);
    ASSERT_TRUE(plane.ok()) << plane.status();
    side.plane = *std::move(plane);
    auto door = side.plane->open_door();
    ASSERT_TRUE(door.ok()) << door.status();
    side.door = *std::move(door);
  }

  /// Both know each other, and `ours_` knows the pages.
  void meet() {
    on_loop([&] {
      const auto theirs = ours_.plane->introduce(ours_.door.id, theirs_.door.metadata);
      ASSERT_TRUE(theirs.ok()) << theirs.status();
      EXPECT_EQ(*theirs, theirs_.door.agent_name);
      ASSERT_TRUE(theirs_.plane->introduce(theirs_.door.id, ours_.door.metadata).ok());
      const Status set =
          ours_.plane->set_pages(ours_.door.id, PageMemory::kDram, theirs_.door.pages);
      ASSERT_TRUE(set.ok()) << set;
    });
  }

  transport::WriteOp write_op(std::uint32_t page, std::size_t offset, std::size_t length) {
    return {.local = ours_.buffer->page(page).subspan(offset, length),
            .page = page,
            .generation = 0,
            .offset_bytes = offset};
  }

  /// What `call` told its callback in the end.
  template <typename Call>
  Status outcome(Call call) {
    Status result;
    bool done = false;
    on_loop([&] {
      ++asked_;
      call([&](const Status& status) {
        result = status;
        done = true;
        ++answered_;
        driver_.changed();
      });
      EXPECT_FALSE(done) << "never inline";
    });
    EXPECT_TRUE(driver_.run_until([&] { return done; }));
    return result;
  }
  Status write(std::vector<transport::WriteOp> ops) {
    return outcome([&](transport::Done done) {
      ours_.plane->write_batch(ours_.door.id, std::move(ops), std::move(done));
    });
  }
  Status revoke(Side& side, StockPeerId peer) {
    return outcome([&](transport::Done done) {
      side.plane->revoke(peer, [done = std::move(done)]() mutable { done(absl::OkStatus()); });
    });
  }

  /// Batches of every page, one behind another until one fails.
  void write_on_loop() {
    std::vector<transport::WriteOp> ops;
    for (std::uint32_t page = 0; page < kPageCount; ++page) {
      ops.push_back(write_op(page, 0, kPageBytes));
    }
    ++asked_;
    ours_.plane->write_batch(ours_.door.id, std::move(ops), [this](const Status& status) {
      ++answered_;
      last_ = status;
      if (status.ok()) {
        ++written_;
        write_on_loop();
      }
      driver_.changed();
    });
  }

  static std::span<std::byte> memory(Side& side) {
    return {side.buffer->data(), side.buffer->size_bytes()};
  }
  static bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  }
  void on_loop(Task task) { driver_.run(std::move(task)); }

  const bool rdma_ = transport::ucx::any_active_port(transport::ucx::list_rdma_devices());
  EventLoopDriver driver_;
  Side ours_;
  Side theirs_;
  int asked_ = 0;
  int answered_ = 0;
  int written_ = 0;
  Status last_;
};

TEST_F(StockPlaneTest, PagesAreWrittenAndRead) {
  meet();
  std::vector<std::byte> expected(memory(theirs_).begin(), memory(theirs_).end());
  const auto take = [&](std::uint32_t page, std::size_t offset, std::size_t length) {
    const std::size_t at = page * kPageBytes + offset;
    std::copy_n(memory(ours_).begin() + at, length, expected.begin() + at);
  };
  take(3, 0, kPageBytes);
  take(4, 0, kPageBytes);
  take(7, 100, 1234);
  ASSERT_TRUE(write({write_op(3, 0, kPageBytes), write_op(4, 0, kPageBytes)}).ok());
  ASSERT_TRUE(write({write_op(7, 100, 1234), write_op(8, 0, 0)}).ok());
  EXPECT_TRUE(equal(memory(theirs_), expected));

  const Status read = outcome([&](transport::Done done) {
    ours_.plane->read_batch(
        ours_.door.id,
        {{.local = ours_.buffer->page(1), .page = 9, .generation = 0, .offset_bytes = 0}},
        std::move(done));
  });
  ASSERT_TRUE(read.ok()) << read;
  EXPECT_TRUE(equal(ours_.buffer->page(1), theirs_.buffer->page(9)));
}

TEST_F(StockPlaneTest, PagesOutsideOfWhatIsRegisteredAreRefused) {
  on_loop([&] {
    StockPlane& plane = *ours_.plane;
    const StockPeerId peer = ours_.door.id;
    const auto pages = theirs_.door.pages;
    EXPECT_EQ(plane.set_pages(peer, PageMemory::kDram, pages).code(),
              StatusCode::kFailedPrecondition)
        << "not introduced yet";
    ASSERT_TRUE(plane.introduce(peer, theirs_.door.metadata).ok());
    EXPECT_EQ(plane.introduce(peer, theirs_.door.metadata).status().code(),
              StatusCode::kFailedPrecondition)
        << "once";
    auto beyond = pages;
    beyond.back().address += 1;
    auto elsewhere = pages;
    elsewhere.front().address = 4096;
    auto other_device = pages;
    other_device.front().device = 1;
    for (const auto& wrong : {beyond, elsewhere, other_device, std::vector<PageAddress>()}) {
      EXPECT_EQ(plane.set_pages(peer, PageMemory::kDram, wrong).code(),
                StatusCode::kInvalidArgument);
    }
    EXPECT_EQ(plane.set_pages(peer, PageMemory::kVram, pages).code(), StatusCode::kInvalidArgument);
    EXPECT_TRUE(plane.set_pages(peer, PageMemory::kDram, pages).ok());
    EXPECT_EQ(plane.set_pages(peer, PageMemory::kDram, pages).code(),
              StatusCode::kFailedPrecondition)
        << "once";
    EXPECT_EQ(plane.introduce(peer + 1, theirs_.door.metadata).status().code(),
              StatusCode::kNotFound);
  });
}

TEST_F(StockPlaneTest, NonsenseForMetadataIsRefused) {
  on_loop([&] {
    const std::string& whole = theirs_.door.metadata;
    for (const std::string& bytes :
         {std::string(), std::string("nixlSerDes|"), whole.substr(0, whole.size() / 2), whole + "x",
          std::string(2U << 20U, 'n')}) {
      EXPECT_EQ(ours_.plane->introduce(ours_.door.id, bytes).status().code(),
                StatusCode::kDataLoss);
    }
  });
  meet();
  EXPECT_TRUE(write({write_op(0, 0, kPageBytes)}).ok()) << "it goes on";
}

TEST_F(StockPlaneTest, OpsThatDontFitAreRefusedAndNothingOfTheirBatchWritten) {
  EXPECT_EQ(write({write_op(0, 0, 1)}).code(), StatusCode::kFailedPrecondition) << "no pages yet";
  meet();
  const std::vector<std::byte> before(memory(theirs_).begin(), memory(theirs_).end());
  transport::WriteOp no_such_page = write_op(0, 0, 1);
  no_such_page.page = kPageCount;
  transport::WriteOp beyond = write_op(0, 0, 2);
  beyond.offset_bytes = kPageBytes - 1;
  const std::vector<std::byte> foreign(8);
  transport::WriteOp not_ours = write_op(0, 0, 1);
  not_ours.local = foreign;
  for (const transport::WriteOp& bad : {no_such_page, beyond, not_ours}) {
    EXPECT_EQ(write({write_op(1, 0, kPageBytes), bad}).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(equal(memory(theirs_), before));
}

TEST_F(StockPlaneTest, NothingLandsAfterTheFence) {
  meet();
  on_loop([&] {
    write_on_loop();
    write_on_loop();
  });
  ASSERT_TRUE(driver_.run_until([&] { return written_ > 4; }));
  bool fenced = false;
  on_loop([&] {
    theirs_.plane->revoke(theirs_.door.id, [&] {
      fill(memory(theirs_), 99);
      fenced = true;
      driver_.changed();
    });
  });
  ASSERT_TRUE(driver_.run_until([&] { return fenced; }));
  // The writer goes on until UCX notices; with it or without, nothing lands.
  ASSERT_TRUE(revoke(ours_, ours_.door.id).ok());
  ASSERT_TRUE(driver_.run_until([&] { return asked_ == answered_; }));
  EXPECT_FALSE(last_.ok());
  std::vector<std::byte> expected(memory(theirs_).size());
  fill(expected, 99);
  on_loop([&] { EXPECT_TRUE(equal(memory(theirs_), expected)); });
}

TEST_F(StockPlaneTest, ARevokeAnswersWhatIsPending) {
  meet();
  on_loop([&] { write_on_loop(); });
  ASSERT_TRUE(revoke(ours_, ours_.door.id).ok());
  ASSERT_TRUE(driver_.run_until([&] { return asked_ == answered_; }));
  EXPECT_EQ(last_.code(), StatusCode::kCancelled) << last_;
  EXPECT_TRUE(revoke(ours_, ours_.door.id).ok()) << "an unknown peer's fence fires, too";
  EXPECT_EQ(write({write_op(0, 0, 1)}).code(), StatusCode::kNotFound);
}

TEST_F(StockPlaneTest, ClosingEndsEverybody) {
  meet();
  on_loop([&] {
    write_on_loop();
    ours_.plane->close();
    EXPECT_EQ(ours_.plane->open_door().status().code(), StatusCode::kFailedPrecondition);
  });
  ASSERT_TRUE(driver_.run_until([&] { return asked_ == answered_; }));
  EXPECT_EQ(last_.code(), StatusCode::kCancelled) << last_;
}

}  // namespace
}  // namespace baton::conformance
