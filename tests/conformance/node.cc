#include "tests/conformance/node.h"

#include <algorithm>
#include <cstdlib>

namespace baton::conformance {
namespace {

using transport::PeerId;

int count_of(const std::map<PeerId, int>& counts, const PeerId& peer) {
  const auto found = counts.find(peer);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

bool GrantTable::is_granted(std::uint32_t page, std::uint64_t generation) const {
  ++pieces_;
  const bool granted = grants_.contains({page, generation});
  if (hook_) {
    hook_(pieces_);
  }
  driver_.changed();
  return granted;
}

bool GrantTable::may_write(const PeerId& /*writer*/, std::uint32_t page, std::uint64_t generation,
                           std::uint64_t /*offset_bytes*/, std::uint64_t /*length_bytes*/) const {
  return is_granted(page, generation);
}

bool GrantTable::may_read(const PeerId& /*reader*/, std::uint32_t page, std::uint64_t generation,
                          std::uint64_t /*offset_bytes*/, std::uint64_t /*length_bytes*/) const {
  return is_granted(page, generation);
}

Node::Node(TransportUnderTest& world, std::size_t page_bytes, std::uint32_t page_count)
    : driver_(world.driver()), grants_(world.driver()) {
  auto buffer = RegisteredBuffer::create(page_bytes, page_count);
  if (!buffer.ok()) {
    std::abort();
  }
  buffer_ = *std::move(buffer);
  driver_.run([&] {
    auto made = world.make_transport(id_);
    if (!made.ok() || !(*made)->attach(*buffer_).ok()) {
      std::abort();
    }
    transport_ = *std::move(made);
    transport_->set_guard(&grants_);
    transport_->set_observer(this);
  });
}

Node::~Node() = default;

ReceiptPtr Node::call(Method method) {
  ReceiptPtr receipt;
  driver_.run([&] { receipt = call_on_loop(method); });
  return receipt;
}

ReceiptPtr Node::call_on_loop(Method method) {
  auto receipt = std::make_shared<Receipt>();
  receipts_.push_back(receipt);
  in_call_ = true;
  method([this, receipt](const Status& status) {
    ++receipt->fired;
    receipt->fired_inline = receipt->fired_inline || in_call_;
    receipt->status = status;
    receipt->order = ++callbacks_;
    driver_.changed();
  });
  in_call_ = false;
  return receipt;
}

StatusOr<std::string> Node::expect(const PeerId& writer) {
  StatusOr<std::string> ticket = std::string();
  driver_.run([&] { ticket = transport_->expect_peer(writer); });
  return ticket;
}

ReceiptPtr Node::connect(const PeerId& receiver, std::string_view ticket) {
  ReceiptPtr receipt;
  driver_.run([&] { receipt = connect_on_loop(receiver, ticket); });
  return receipt;
}

ReceiptPtr Node::connect_on_loop(const PeerId& receiver, std::string_view ticket) {
  return call_on_loop([&](transport::Done done) {
    transport_->connect(receiver, ticket, driver_.scheduler().now() + std::chrono::seconds(30),
                        std::move(done));
  });
}

ReceiptPtr Node::write(const PeerId& receiver, std::vector<transport::WriteOp> ops) {
  return call([&](transport::Done done) {
    transport_->write_batch(receiver, std::move(ops), std::move(done));
  });
}

std::vector<ReceiptPtr> Node::write_on_loop(const PeerId& receiver, int batches) {
  std::vector<transport::WriteOp> all_pages;
  for (std::uint32_t page = 0; page < buffer_->page_count(); ++page) {
    all_pages.push_back(op(page, 1, 0, buffer_->page_bytes()));
  }
  std::vector<ReceiptPtr> receipts;
  for (int i = 0; i < batches; ++i) {
    receipts.push_back(call_on_loop([&](transport::Done done) {
      transport_->write_batch(receiver, all_pages, std::move(done));
    }));
  }
  return receipts;
}

ReceiptPtr Node::read(const PeerId& receiver, std::vector<transport::ReadOp> ops) {
  return call([&](transport::Done done) {
    transport_->read_batch(receiver, std::move(ops), std::move(done));
  });
}

std::vector<ReceiptPtr> Node::read_on_loop(const PeerId& receiver, int batches) {
  std::vector<transport::ReadOp> all_pages;
  for (std::uint32_t page = 0; page < buffer_->page_count(); ++page) {
    all_pages.push_back(read_op(page, 1, 0, buffer_->page_bytes()));
  }
  std::vector<ReceiptPtr> receipts;
  for (int i = 0; i < batches; ++i) {
    receipts.push_back(call_on_loop([&](transport::Done done) {
      transport_->read_batch(receiver, all_pages, std::move(done));
    }));
  }
  return receipts;
}

ReceiptPtr Node::revoke(const PeerId& writer) {
  ReceiptPtr receipt;
  driver_.run([&] { receipt = revoke_on_loop(writer); });
  return receipt;
}

ReceiptPtr Node::revoke_on_loop(const PeerId& writer) {
  return call_on_loop([&](transport::Done done) {
    transport_->revoke(writer, [done = std::move(done)]() mutable { done(absl::OkStatus()); });
  });
}

void Node::disconnect(const PeerId& receiver) {
  driver_.run([&] { transport_->disconnect(receiver); });
}

void Node::close() {
  driver_.run([&] {
    in_call_ = true;
    transport_->close();
    in_call_ = false;
  });
}

transport::WriteOp Node::op(std::uint32_t page, std::uint64_t generation, std::size_t offset_bytes,
                            std::size_t length_bytes) {
  return {.local = buffer_->page(page).subspan(offset_bytes, length_bytes),
          .page = page,
          .generation = generation,
          .offset_bytes = offset_bytes};
}

transport::ReadOp Node::read_op(std::uint32_t page, std::uint64_t generation,
                                std::size_t offset_bytes, std::size_t length_bytes) {
  return {.local = buffer_->page(page).subspan(offset_bytes, length_bytes),
          .page = page,
          .generation = generation,
          .offset_bytes = offset_bytes};
}

int Node::connected(const PeerId& writer) const {
  return count_of(connected_, writer);
}
int Node::writer_gone(const PeerId& writer) const {
  return count_of(writer_gone_, writer);
}
int Node::receiver_gone(const PeerId& receiver) const {
  return count_of(receiver_gone_, receiver);
}

bool Node::all_fired() const {
  return std::all_of(receipts_.begin(), receipts_.end(),
                     [](const ReceiptPtr& receipt) { return receipt->fired > 0; });
}

void Node::on_writer_connected(const PeerId& peer) {
  ++connected_[peer];
  driver_.changed();
}

void Node::on_writer_gone(const PeerId& peer, const Status& why) {
  ++writer_gone_[peer];
  last_reason_ = why;
  tell("writer_gone", peer);
}

void Node::on_receiver_gone(const PeerId& peer, const Status& why) {
  ++receiver_gone_[peer];
  last_reason_ = why;
  tell("receiver_gone", peer);
}

void Node::tell(std::string_view what, const PeerId& peer) {
  if (news_hook_) {
    news_hook_(what, peer);
  }
  driver_.changed();
}

void fill(std::span<std::byte> bytes, std::uint64_t seed) {
  std::uint64_t state = seed * 0x9E3779B97F4A7C15U + 1;
  for (std::byte& byte : bytes) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    byte = static_cast<std::byte>(state >> 56U);
  }
}

}  // namespace baton::conformance
