// One end of a connection in a test: a transport with its buffer, its grants and a record of all
// that was called back.
#pragma once

#include <absl/functional/function_ref.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/conformance/transport_under_test.h"

namespace baton::conformance {

/// What became of one call. Read it on the loop, or when nothing can change it any more.
struct Receipt {
  int fired = 0;
  bool fired_inline = false;
  Status status;
  std::size_t order = 0;  ///< among all callbacks of the node, from 1
};
using ReceiptPtr = std::shared_ptr<Receipt>;

/// Grants, and how much was asked of them.
class GrantTable final : public transport::PageGuard {
 public:
  explicit GrantTable(LoopDriver& driver) : driver_(driver) {}

  void grant(std::uint32_t page, std::uint64_t generation) { grants_.emplace(page, generation); }
  void withdraw(std::uint32_t page, std::uint64_t generation) { grants_.erase({page, generation}); }
  bool may_write(const transport::PeerId& writer, std::uint32_t page, std::uint64_t generation,
                 std::uint64_t offset_bytes, std::uint64_t length_bytes) const override;

  /// Reads and writes go by the same grants.
  bool may_read(const transport::PeerId& reader, std::uint32_t page, std::uint64_t generation,
                std::uint64_t offset_bytes, std::uint64_t length_bytes) const override;

  std::uint64_t pieces() const { return pieces_; }
  /// Called on the loop each time the guard was asked, with how often that makes.
  void on_piece(std::function<void(std::uint64_t)> hook) { hook_ = std::move(hook); }

 private:
  bool is_granted(std::uint32_t page, std::uint64_t generation) const;

  LoopDriver& driver_;
  std::set<std::pair<std::uint32_t, std::uint64_t>> grants_;
  mutable std::uint64_t pieces_ = 0;
  std::function<void(std::uint64_t)> hook_;
};

class Node final : public transport::TransportObserver {
 public:
  Node(TransportUnderTest& world, std::size_t page_bytes, std::uint32_t page_count);
  ~Node() override;

  const transport::PeerId& id() const { return id_; }
  transport::Transport& transport() { return *transport_; }
  RegisteredBuffer& buffer() { return *buffer_; }
  GrantTable& grants() { return grants_; }

  // Each runs on the loop and returns at once.
  StatusOr<std::string> expect(const transport::PeerId& writer);
  ReceiptPtr connect(const transport::PeerId& receiver, std::string_view ticket);
  ReceiptPtr write(const transport::PeerId& receiver, std::vector<transport::WriteOp> ops);
  ReceiptPtr read(const transport::PeerId& receiver, std::vector<transport::ReadOp> ops);
  ReceiptPtr revoke(const transport::PeerId& writer);
  void disconnect(const transport::PeerId& receiver);
  void close();

  // The same, for those who are on the loop already.
  ReceiptPtr connect_on_loop(const transport::PeerId& receiver, std::string_view ticket);
  ReceiptPtr revoke_on_loop(const transport::PeerId& writer);
  /// `batches` batches, each of every page, all of generation 1.
  std::vector<ReceiptPtr> write_on_loop(const transport::PeerId& receiver, int batches);

  std::vector<ReceiptPtr> read_on_loop(const transport::PeerId& receiver, int batches);

  /// An op from the page of the same number here.
  transport::WriteOp op(std::uint32_t page, std::uint64_t generation, std::size_t offset_bytes,
                        std::size_t length_bytes);

  /// An op into the page of the same number here.
  transport::ReadOp read_op(std::uint32_t page, std::uint64_t generation, std::size_t offset_bytes,
                            std::size_t length_bytes);

  // What the observer was told, in order. Read on the loop.
  int connected(const transport::PeerId& writer) const;
  int writer_gone(const transport::PeerId& writer) const;
  int receiver_gone(const transport::PeerId& receiver) const;
  const Status& last_reason() const { return last_reason_; }

  /// Called on the loop with "writer_gone" or "receiver_gone". Set before the first peer.
  using NewsHook = std::function<void(std::string_view what, const transport::PeerId& peer)>;
  void on_news(NewsHook hook) { news_hook_ = std::move(hook); }

  /// Every receipt that this node ever gave.
  bool all_fired() const;
  const std::vector<ReceiptPtr>& receipts() const { return receipts_; }

  void on_writer_connected(const transport::PeerId& peer) override;
  void on_writer_gone(const transport::PeerId& peer, const Status& why) override;
  void on_receiver_gone(const transport::PeerId& peer, const Status& why) override;

 private:
  using Method = absl::FunctionRef<void(transport::Done)>;
  ReceiptPtr call(Method method);
  ReceiptPtr call_on_loop(Method method);
  void tell(std::string_view what, const transport::PeerId& peer);

  LoopDriver& driver_;
  const transport::PeerId id_ = Epoch::random();
  std::unique_ptr<RegisteredBuffer> buffer_;
  GrantTable grants_;
  std::unique_ptr<transport::Transport> transport_;
  bool in_call_ = false;
  std::size_t callbacks_ = 0;
  std::vector<ReceiptPtr> receipts_;
  std::map<transport::PeerId, int> connected_;
  std::map<transport::PeerId, int> writer_gone_;
  std::map<transport::PeerId, int> receiver_gone_;
  Status last_reason_;
  NewsHook news_hook_;
};

/// Fills with bytes that differ for every seed and position.
void fill(std::span<std::byte> bytes, std::uint64_t seed);

}  // namespace baton::conformance
