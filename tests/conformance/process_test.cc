// Peers that are killed or stopped in the middle of a write or read (P3, P5, P6): real processes.
#include "tests/conformance/conformance_test.h"
#include "tests/conformance/peer_process.h"

namespace baton::conformance {
namespace {

class ProcessTest : public ConformanceTest {
 protected:
  void SetUp() override {
    ConformanceTest::SetUp();
    if (!capabilities().crosses_processes) {
      GTEST_SKIP() << "lives in one process";
    }
    peer_ = std::make_unique<PeerProcess>(GetParam().name);
  }

  /// `peer_` writes to `receiver`, and is in the middle of it.
  void let_peer_write_to(Node& receiver) { let_peer_move("write", "writing", receiver); }
  /// `peer_` reads from `holder`, and is in the middle of it.
  void let_peer_read_from(Node& holder) { let_peer_move("read", "reading", holder); }

  void let_peer_move(const std::string& command, std::string_view event, Node& receiver) {
    grant_all(receiver, 1);
    const auto ticket = receiver.expect(peer_->id());
    ASSERT_TRUE(ticket.ok()) << ticket.status();
    peer_->send("connect " + receiver.id().hex() + " " + to_hex(*ticket));
    ASSERT_EQ(peer_->await("connected"), "OK");
    peer_->send(command + " " + receiver.id().hex());
    ASSERT_TRUE(peer_->await(event).has_value());
  }

  /// `writer` is connected to `peer_`.
  void connect_to_peer(Node& writer) {
    peer_->send("expect " + writer.id().hex());
    const auto ticket = peer_->await("ticket");
    ASSERT_TRUE(ticket.has_value());
    const ReceiptPtr receipt = writer.connect(peer_->id(), from_hex(*ticket));
    ASSERT_TRUE(await(receipt));
    ASSERT_TRUE(receipt->status.ok()) << receipt->status;
  }

  /// At the fence, `fenced` is counted and the pages get bytes that `peer_` never writes.
  ReceiptPtr revoke_peer(Node& receiver) {
    auto fenced = std::make_shared<Receipt>();
    on_loop([&] {
      receiver.transport().revoke(peer_->id(), [this, &receiver, fenced] {
        fill({receiver.buffer().data(), receiver.buffer().size_bytes()}, kAtFence);
        ++fenced->fired;
        world().driver().changed();
      });
    });
    return fenced;
  }

  void expect_untouched_since_the_fence(Node& receiver) {
    std::vector<std::byte> expected(receiver.buffer().size_bytes());
    fill(expected, kAtFence);
    on_loop([&] {
      EXPECT_TRUE(equal(expected, {receiver.buffer().data(), receiver.buffer().size_bytes()}));
    });
  }

  /// Time passes on the loop: another writer connects and writes.
  void let_another_writer_finish(Node& receiver) {
    Node& other = add_node();
    connect(other, receiver);
    const ReceiptPtr receipt = other.write(receiver.id(), {other.op(0, 1, 0, kPageBytes)});
    ASSERT_TRUE(await(receipt));
    EXPECT_TRUE(receipt->status.ok()) << receipt->status;
  }

  /// The pages are granted to another writer, which fills them.
  void regrant_and_overwrite(Node& receiver) {
    Node& successor = add_node();
    connect(successor, receiver);
    fill({successor.buffer().data(), successor.buffer().size_bytes()}, kSuccessor);
    const auto receipts = [&] {
      std::vector<ReceiptPtr> one;
      on_loop([&] { one = successor.write_on_loop(receiver.id(), 1); });
      return one;
    }();
    ASSERT_TRUE(await(receipts.front()));
    EXPECT_TRUE(receipts.front()->status.ok()) << receipts.front()->status;
  }

  /// Whatever was ready on a socket before has been dealt with afterwards.
  void let_others_take_turns(Node& receiver) {
    for (int i = 0; i < 3; ++i) {
      const transport::PeerId nobody = Epoch::random();
      ASSERT_TRUE(await(receiver.revoke(nobody)));
    }
  }

  void expect_only_the_successors_bytes(Node& receiver) {
    std::vector<std::byte> expected(receiver.buffer().size_bytes());
    fill(expected, kSuccessor);
    on_loop([&] {
      EXPECT_TRUE(equal(expected, {receiver.buffer().data(), receiver.buffer().size_bytes()}));
    });
  }

  static constexpr std::uint64_t kAtFence = 99;
  static constexpr std::uint64_t kSuccessor = 77;
  std::unique_ptr<PeerProcess> peer_;
};

TEST_P(ProcessTest, AKilledWriterIsNoticedAndFenced) {
  Node& receiver = add_node();
  let_peer_write_to(receiver);
  peer_->kill();
  ASSERT_TRUE(run_until([&] { return receiver.writer_gone(peer_->id()) == 1; }));
  const ReceiptPtr fenced = revoke_peer(receiver);
  ASSERT_TRUE(await(fenced));
  expect_untouched_since_the_fence(receiver);
  let_another_writer_finish(receiver);
}

TEST_P(ProcessTest, AWriterKilledAfterTheRevokeIsFenced) {
  Node& receiver = add_node();
  let_peer_write_to(receiver);
  const ReceiptPtr fenced = revoke_peer(receiver);
  peer_->kill();
  ASSERT_TRUE(await(fenced));
  expect_untouched_since_the_fence(receiver);
}

TEST_P(ProcessTest, AKilledReceiverFailsEveryBatch) {
  Node& writer = add_node();
  connect_to_peer(writer);
  std::vector<ReceiptPtr> batches;
  bool written_one = false;
  on_loop([&] {
    writer.transport().write_batch(peer_->id(), {writer.op(0, 1, 0, 1)}, [&](const Status&) {
      written_one = true;
      world().driver().changed();
    });
    batches = writer.write_on_loop(peer_->id(), 4096);  // 4 GiB: never done by then
  });
  ASSERT_TRUE(run_until([&] { return written_one; }));
  peer_->kill();
  ASSERT_TRUE(run_until([&] { return writer.all_fired(); }));
  EXPECT_EQ(batches.back()->status.code(), StatusCode::kUnavailable) << batches.back()->status;
  EXPECT_TRUE(run_until([&] { return writer.receiver_gone(peer_->id()) == 1; }));
}

TEST_P(ProcessTest, AStoppedReceiverDoesNotHoldUpADisconnect) {
  Node& writer = add_node();
  connect_to_peer(writer);
  peer_->stop();
  on_loop([&] { writer.write_on_loop(peer_->id(), 64); });
  writer.disconnect(peer_->id());
  EXPECT_TRUE(run_until([&] { return writer.all_fired(); }));
}

TEST_P(ProcessTest, AStoppedWriterIsFencedAndItsLaterWritesComeToNothing) {
  if (capabilities().fence_waits_for_stopped_writer) {
    GTEST_SKIP() << "see AStoppedWriterKeepsTheFencePending…";
  }
  Node& receiver = add_node();
  let_peer_write_to(receiver);
  peer_->stop();
  const ReceiptPtr fenced = revoke_peer(receiver);
  ASSERT_TRUE(await(fenced)) << "the fence must not wait for a stopped writer";
  peer_->resume();
  ASSERT_TRUE(peer_->await_both("failed", "receiver_gone"));
  expect_untouched_since_the_fence(receiver);
}

TEST_P(ProcessTest, AStoppedWriterKeepsTheFencePendingUntilItIsKilled) {
  if (!capabilities().fence_waits_for_stopped_writer) {
    GTEST_SKIP() << "the fence needs nobody's help";
  }
  Node& receiver = add_node();
  let_peer_write_to(receiver);
  peer_->stop();
  const ReceiptPtr fenced = revoke_peer(receiver);
  let_another_writer_finish(receiver);
  on_loop([&] { EXPECT_EQ(fenced->fired, 0) << "the writer may go on any moment"; });
  peer_->kill();
  ASSERT_TRUE(await(fenced));
  expect_untouched_since_the_fence(receiver);
}

TEST_P(ProcessTest, AStoppedWriterKeepsTheFencePendingUntilItGoesOnAndDrains) {
  if (!capabilities().fence_waits_for_stopped_writer) {
    GTEST_SKIP() << "the fence needs nobody's help";
  }
  Node& receiver = add_node();
  let_peer_write_to(receiver);
  peer_->stop();
  const ReceiptPtr fenced = revoke_peer(receiver);
  let_another_writer_finish(receiver);
  on_loop([&] { EXPECT_EQ(fenced->fired, 0) << "the writer may go on any moment"; });
  peer_->resume();
  ASSERT_TRUE(peer_->await("failed").has_value());
  ASSERT_TRUE(await(fenced));
  expect_untouched_since_the_fence(receiver);
}

TEST_P(ProcessTest, PagesOfAStoppedWriterAreGrantedAgainAndKeepTheirNewBytes) {
  Node& receiver = add_node();
  let_peer_write_to(receiver);
  peer_->stop();
  const ReceiptPtr fenced = revoke_peer(receiver);
  if (capabilities().fence_waits_for_stopped_writer) {
    let_another_writer_finish(receiver);
    on_loop([&] { ASSERT_EQ(fenced->fired, 0) << "the writer may go on any moment"; });
    peer_->resume();
  }
  ASSERT_TRUE(await(fenced));
  // Under the very generation of the former grant: only the fence keeps its writer out.
  regrant_and_overwrite(receiver);
  peer_->resume();
  ASSERT_TRUE(peer_->await_both("failed", "receiver_gone"))
      << "it went on, and learned that it is over";
  let_others_take_turns(receiver);
  expect_only_the_successors_bytes(receiver);
}

TEST_P(ProcessTest, PagesOfAStoppedWriterThatIsKilledAreGrantedAgain) {
  Node& receiver = add_node();
  let_peer_write_to(receiver);
  peer_->stop();
  const ReceiptPtr fenced = revoke_peer(receiver);
  peer_->kill();
  ASSERT_TRUE(await(fenced));
  regrant_and_overwrite(receiver);
  expect_only_the_successors_bytes(receiver);
}

// ---- reading -------------------------------------------------------------------------------

TEST_P(ProcessTest, AKilledReaderIsNoticedAndFenced) {
  if (!capabilities().survives_killed_readers) {
    GTEST_SKIP() << "UCX's TCP: see docs/interop.md";
  }
  Node& holder = add_node();
  let_peer_read_from(holder);
  peer_->kill();
  ASSERT_TRUE(run_until([&] { return holder.writer_gone(peer_->id()) == 1; }));
  ASSERT_TRUE(await(revoke_peer(holder)));
  Node& other = add_node();
  connect(other, holder);
  const ReceiptPtr receipt = other.read(holder.id(), {other.read_op(0, 1, 0, kPageBytes)});
  ASSERT_TRUE(await(receipt));
  EXPECT_TRUE(receipt->status.ok()) << receipt->status;
}

TEST_P(ProcessTest, AStoppedReaderHoldsUpNobodyAndIsFencedWhenItsProcessEnds) {
  Node& holder = add_node();
  let_peer_read_from(holder);
  peer_->stop();
  let_another_writer_finish(holder);
  const ReceiptPtr fenced = revoke_peer(holder);
  if (capabilities().fence_waits_for_stopped_writer) {
    peer_->kill();
  }
  ASSERT_TRUE(await(fenced));
  let_another_writer_finish(holder);
}

TEST_P(ProcessTest, AKilledReceiverFailsEveryReadAndNothingArrivesAfter) {
  Node& reader = add_node();
  connect_to_peer(reader);
  std::vector<ReceiptPtr> batches;
  bool read_one = false;
  bool over = false;
  Status last;
  on_loop([&] {
    reader.transport().read_batch(peer_->id(), {reader.read_op(0, 1, 0, 1)}, [&](const Status&) {
      read_one = true;
      world().driver().changed();
    });
    batches = reader.read_on_loop(peer_->id(), 4096);  // 4 GiB: never done by then
    reader.transport().read_batch(
        peer_->id(), {reader.read_op(0, 1, 0, kPageBytes)}, [&](const Status& status) {
          last = status;
          fill({reader.buffer().data(), reader.buffer().size_bytes()}, kAtFence);
          over = true;
          world().driver().changed();
        });
  });
  ASSERT_TRUE(run_until([&] { return read_one; }));
  peer_->kill();
  ASSERT_TRUE(run_until([&] { return over && reader.all_fired(); }));
  EXPECT_EQ(batches.back()->status.code(), StatusCode::kUnavailable) << batches.back()->status;
  EXPECT_EQ(last.code(), StatusCode::kUnavailable) << last;
  EXPECT_TRUE(run_until([&] { return reader.receiver_gone(peer_->id()) == 1; }));
  let_others_take_turns(reader);
  expect_untouched_since_the_fence(reader);
}

TEST_P(ProcessTest, AStoppedReceiverDoesNotHoldUpAReadersDisconnect) {
  Node& reader = add_node();
  connect_to_peer(reader);
  peer_->stop();
  on_loop([&] { reader.read_on_loop(peer_->id(), 64); });
  reader.disconnect(peer_->id());
  EXPECT_TRUE(run_until([&] { return reader.all_fired(); }));
}

BATON_ON_EVERY_TRANSPORT(ProcessTest);

}  // namespace
}  // namespace baton::conformance
