// Where a writer has the receiver's pages as memory of its own: what it stores is there, what it
// writes at once is, too, and the fence waits for it (P3). Where it hasn't, nothing pretends so.
#include <cstring>

#include "src/base/digest.h"
#include "tests/conformance/conformance_test.h"

namespace baton::conformance {
namespace {

using transport::MappedPages;
using transport::WriteOp;

class MappingTest : public ConformanceTest {
 protected:
  std::shared_ptr<const MappedPages> map(Node& writer, const transport::PeerId& receiver) {
    std::shared_ptr<const MappedPages> pages;
    on_loop([&] { pages = writer.transport().map_pages(receiver); });
    return pages;
  }
  Status write_at_once(Node& writer, const transport::PeerId& receiver, std::vector<WriteOp> ops) {
    Status result;
    on_loop([&] { result = writer.transport().write_at_once(receiver, ops); });
    return result;
  }
};

TEST_P(MappingTest, WhatIsStoredThereIsThere) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const auto pages = map(writer, receiver.id());
  if (pages == nullptr) {
    return;
  }
  for (std::uint32_t page = 0; page < kPageCount; ++page) {
    ASSERT_EQ(pages->page(page).size(), kPageBytes);
    fill(pages->page(page), page + 1);
    EXPECT_TRUE(equal(receiver.buffer().page(page), pages->page(page))) << page;
  }
  EXPECT_TRUE(pages->page(kPageCount).empty());
  // And it may be written from there: a chunk that lies in one page goes to another.
  const ReceiptPtr receipt = writer.write(receiver.id(), {{pages->page(3), 5, 1, 0, nullptr}});
  ASSERT_TRUE(await(receipt));
  ASSERT_TRUE(receipt->status.ok()) << receipt->status;
  EXPECT_TRUE(equal(receiver.buffer().page(5), receiver.buffer().page(3)));
}

TEST_P(MappingTest, OnlyWhileConnected) {
  Node& receiver = add_node();
  Node& writer = add_node();
  EXPECT_EQ(map(writer, receiver.id()), nullptr);
  connect(writer, receiver);
  const bool maps = map(writer, receiver.id()) != nullptr;
  writer.disconnect(receiver.id());
  EXPECT_EQ(map(writer, receiver.id()), nullptr);
  const Status at_once = write_at_once(writer, receiver.id(), {writer.op(0, 1, 0, 1)});
  EXPECT_EQ(at_once.code(), maps && !absl::IsUnimplemented(at_once) ? StatusCode::kUnavailable
                                                                    : StatusCode::kUnimplemented);
}

TEST_P(MappingTest, TheFenceWaitsForWhoHasIt) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  auto pages = map(writer, receiver.id());
  if (pages == nullptr) {
    return;
  }
  const ReceiptPtr fenced = receiver.revoke(writer.id());
  ASSERT_TRUE(run_until([&] { return writer.receiver_gone(receiver.id()) > 0; }));
  // A whole handshake and a write of somebody else's: time enough for a fence that doesn't wait.
  Node& other = add_node();
  connect(other, receiver);
  ASSERT_TRUE(await(other.write(receiver.id(), {other.op(0, 1, 0, kPageBytes)})));
  on_loop([&] { EXPECT_EQ(fenced->fired, 0); });
  fill(pages->page(1), 77);  // It is memory still.
  pages.reset();
  EXPECT_TRUE(await(fenced));
}

TEST_P(MappingTest, WhatIsWrittenAtOnceIsThereAtOnce) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  fill(writer.buffer().page(2), 5);
  fill(writer.buffer().page(4), 6);
  const auto before = copy_of({receiver.buffer().data(), kPageBytes * kPageCount});
  std::uint64_t digest = 0;
  WriteOp with_digest = writer.op(4, 1, 100, 5'000);
  with_digest.digest = &digest;
  const Status written =
      write_at_once(writer, receiver.id(), {writer.op(2, 1, 0, kPageBytes), with_digest});
  if (absl::IsUnimplemented(written)) {
    EXPECT_TRUE(equal(before, {receiver.buffer().data(), kPageBytes * kPageCount}));
    return;
  }
  ASSERT_TRUE(written.ok()) << written;
  EXPECT_TRUE(equal(receiver.buffer().page(2), writer.buffer().page(2)));
  EXPECT_TRUE(equal(receiver.buffer().page(4).subspan(100, 5'000),
                    writer.buffer().page(4).subspan(100, 5'000)));
  EXPECT_TRUE(
      equal(receiver.buffer().page(4).first(100), std::span(before).subspan(4 * kPageBytes, 100)));
  EXPECT_EQ(digest, digest_of(writer.buffer().page(4).subspan(100, 5'000)));
}

TEST_P(MappingTest, ItDoesNotWaitForBatches) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  fill(writer.buffer().page(1), 5);
  bool done = false;
  Status written;
  on_loop([&] {
    std::vector<WriteOp> large;
    for (std::uint32_t page = 2; page < kPageCount; ++page) {
      large.push_back(writer.op(page, 1, 0, kPageBytes));
    }
    writer.transport().write_batch(receiver.id(), std::move(large), [&](const Status&) {
      done = true;
      world().driver().changed();
    });
    written = writer.transport().write_at_once(receiver.id(), {writer.op(1, 1, 0, kPageBytes)});
    EXPECT_FALSE(done);
    if (written.ok()) {
      EXPECT_TRUE(equal(receiver.buffer().page(1), writer.buffer().page(1)));
    }
  });
  EXPECT_TRUE(written.ok() || absl::IsUnimplemented(written)) << written;
  EXPECT_TRUE(run_until([&] { return done; }));
}

TEST_P(MappingTest, WhatDoesNotFitIsRefusedAndNothingIsWritten) {
  Node& receiver = add_node();
  Node& writer = add_node();
  connect(writer, receiver);
  const auto before = copy_of({receiver.buffer().data(), kPageBytes * kPageCount});
  std::vector<std::byte> elsewhere(10);
  std::vector<WriteOp> too_many;
  for (std::uint32_t page = 0; page < 3; ++page) {
    too_many.push_back(writer.op(page, 1, 0, kPageBytes));
  }
  for (const std::vector<WriteOp>& ops :
       {std::vector<WriteOp>{{elsewhere, 0, 1, 0, nullptr}},
        std::vector<WriteOp>{writer.op(0, 1, 0, 8), {elsewhere, 0, 1, 0, nullptr}},
        std::vector<WriteOp>{{writer.buffer().page(0), 0, 1, 1, nullptr}},
        std::vector<WriteOp>{{writer.buffer().page(0), kPageCount, 1, 0, nullptr}}, too_many}) {
    const Status refused = write_at_once(writer, receiver.id(), ops);
    EXPECT_TRUE(absl::IsInvalidArgument(refused) || absl::IsUnimplemented(refused)) << refused;
  }
  EXPECT_TRUE(equal(before, {receiver.buffer().data(), kPageBytes * kPageCount}));
}

BATON_ON_EVERY_TRANSPORT(MappingTest);

}  // namespace
}  // namespace baton::conformance
