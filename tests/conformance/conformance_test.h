// The fixture of the suite.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/node.h"
#include "tests/conformance/transport_under_test.h"

namespace baton::conformance {

inline constexpr std::size_t kPageBytes = 64U << 10U;
inline constexpr std::uint32_t kPageCount = 16;

/// A world and its nodes. At the end of every test all is closed, and every callback must have
/// come exactly once, and never inline.
class ConformanceTest : public ::testing::TestWithParam<Maker> {
 protected:
  void SetUp() override { world_ = GetParam().make(); }

  void TearDown() override {
    for (const auto& node : nodes_) {
      node->close();
    }
    EXPECT_TRUE(run_until([this] {
      return std::all_of(nodes_.begin(), nodes_.end(),
                         [](const auto& node) { return node->all_fired(); });
    })) << "a callback never came";
    world_->driver().stop();
    for (const auto& node : nodes_) {
      node->transport().join();
      for (const ReceiptPtr& receipt : node->receipts()) {
        EXPECT_EQ(receipt->fired, 1);
        EXPECT_FALSE(receipt->fired_inline);
      }
    }
    nodes_.clear();
    world_.reset();
  }

  Capabilities capabilities() const { return world_->capabilities(); }

  /// For the first line of a test that ends connections in the middle of a write or read.
  bool would_harm_the_other_side() const { return !capabilities().survives_ends_in_mid_write; }

  Node& add_node(std::size_t page_bytes = kPageBytes, std::uint32_t page_count = kPageCount) {
    nodes_.push_back(std::make_unique<Node>(*world_, page_bytes, page_count));
    return *nodes_.back();
  }

  /// Connects, and grants every page under generation 1.
  void connect(Node& writer, Node& receiver) {
    grant_all(receiver, 1);
    const auto ticket = receiver.expect(writer.id());
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    const ReceiptPtr receipt = writer.connect(receiver.id(), *ticket);
    ASSERT_TRUE(await(receipt));
    ASSERT_TRUE(receipt->status.ok()) << receipt->status;
  }

  void grant_all(Node& receiver, std::uint64_t generation) {
    world_->driver().run([&] {
      for (std::uint32_t page = 0; page < receiver.buffer().page_count(); ++page) {
        receiver.grants().grant(page, generation);
      }
    });
  }

  bool run_until(const std::function<bool()>& condition) {
    return world_->driver().run_until(condition);
  }
  bool await(const ReceiptPtr& receipt) {
    return run_until([&] { return receipt->fired > 0; });
  }
  void on_loop(Task task) { world_->driver().run(std::move(task)); }

  /// Queues far more than can be under way at once, and runs `action` on the loop when the first
  /// batch is complete, hence in the middle of the rest. Returns when it has run.
  std::vector<ReceiptPtr> in_the_middle_of_writing(Node& writer, Node& receiver, Task action) {
    bool acted = false;
    std::vector<ReceiptPtr> receipts;
    on_loop([&] {
      writer.transport().write_batch(receiver.id(), {writer.op(0, 1, 0, 1)},
                                     [&](const Status& status) {
                                       EXPECT_TRUE(status.ok()) << status;
                                       action();
                                       acted = true;
                                       world_->driver().changed();
                                     });
      receipts = writer.write_on_loop(receiver.id(), 64);
    });
    EXPECT_TRUE(run_until([&] { return acted; }));
    return receipts;
  }

  /// The same, of reading.
  std::vector<ReceiptPtr> in_the_middle_of_reading(Node& reader, Node& holder, Task action) {
    bool acted = false;
    std::vector<ReceiptPtr> receipts;
    on_loop([&] {
      reader.transport().read_batch(holder.id(), {reader.read_op(0, 1, 0, 1)},
                                    [&](const Status& status) {
                                      EXPECT_TRUE(status.ok()) << status;
                                      action();
                                      acted = true;
                                      world_->driver().changed();
                                    });
      receipts = reader.read_on_loop(holder.id(), 64);
    });
    EXPECT_TRUE(run_until([&] { return acted; }));
    return receipts;
  }

  TransportUnderTest& world() { return *world_; }

 private:
  std::unique_ptr<TransportUnderTest> world_;
  std::vector<std::unique_ptr<Node>> nodes_;
};

inline std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}

inline bool equal(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

}  // namespace baton::conformance

/// Runs a fixture's tests on every transport: "Conformance/WritingTest.Xyz/tcp".
#define BATON_ON_EVERY_TRANSPORT(fixture)                                                    \
  INSTANTIATE_TEST_SUITE_P(Conformance, fixture,                                             \
                           ::testing::ValuesIn(baton::conformance::transports_under_test()), \
                           [](const auto& instance) { return instance.param.name; })
