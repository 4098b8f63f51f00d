// LMCache's sender, as its own code behaves: two messages on the init port, AllocRequests on the
// alloc port, NIXL writes, and no word when they are over.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/wire/xfer_dlist.h"
#include "tests/support/handoff.h"

namespace baton::testing {

class StockSender {
 public:
  enum class Flavour : bool { kSync, kAsync };

  /// `name` tells senders of one world apart. A sync one says no local_id, and nothing links its
  /// alloc socket to it.
  StockSender(World& world, const ReceiverNode& receiver, Flavour flavour, const std::string& name)
      : world_(world),
        flavour_(flavour),
        local_id_(flavour == Flavour::kAsync ? "sender-" + name : ""),
        memory_(kPages * kPageBytes) {
    agent_ = world.stock.make_agent(memory_);
    const auto collect = [this](std::string_view payload) {
      answers_.push_back(*wire::decode(payload, {}));
    };
    init_ =
        *world.network.connect_client(receiver.address().init_endpoint, "init-" + name, collect);
    alloc_ = *world.network.connect_client(
        receiver.address().alloc_endpoint,
        flavour == Flavour::kAsync ? local_id_ + "-to-127.0.0.18300" : "req-" + name, collect);
  }

  bool is_async() const { return flavour_ == Flavour::kAsync; }
  const std::string& agent() const { return agent_; }

  // ---- the handshake, step by step -----------------------------------------------------------
  wire::NixlInitRequest init_request() const { return {world_.stock.metadata_of(agent_), {}}; }
  wire::XferDlist pages() const {
    wire::XferDlist list;
    for (std::size_t i = 0; i < kPages; ++i) {
      list.descriptors.push_back({address(i), kPageBytes, 0});
    }
    return list;
  }
  wire::NixlMemRegRequest mem_reg_request(const std::string& agent_name) const {
    return {agent_name, local_id_, wire::encode_xfer_dlist(pages())};
  }
  void send_init(const wire::Message& message) {
    EXPECT_TRUE(init_->send(wire::encode(message)).ok());
  }
  wire::Message ask_init(const wire::Message& message) {
    return ask_init_raw(wire::encode(message));
  }
  wire::Message ask_init_raw(std::string_view bytes) {
    EXPECT_TRUE(init_->send(bytes).ok());
    return next();
  }
  /// True if both sides know each other now.
  bool shake_hands() {
    const auto welcome = std::get<wire::NixlInitResponse>(ask_init(init_request()));
    if (welcome.remote_agent_name.empty()) {
      return false;
    }
    const auto loaded = world_.stock.load(agent_, welcome.remote_meta_bytes);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    receiver_agent_ = *loaded;
    const auto answer =
        std::get<wire::NixlMemRegResponse>(ask_init(mem_reg_request(welcome.remote_agent_name)));
    const auto list = wire::decode_xfer_dlist(answer.remote_xfer_dlist_bytes, 1'000);
    if (!list.ok()) {
      return false;
    }
    remote_ = *list;
    return true;
  }

  // ---- puts ----------------------------------------------------------------------------------
  wire::AllocRequest alloc(const std::string& req_id, std::uint64_t first, std::uint64_t count,
                           std::uint32_t last_tokens = 4) const {
    wire::AllocRequest request;
    request.keys = tiny_keys(first, count);
    request.fmt = MemoryFormat::kKv2ltd;
    request.shape = {2, 1, 4, 8};
    request.dtype = DType::kHalf;
    request.last_chunk_toks = last_tokens;
    if (is_async()) {
      request.async = wire::AllocRequest::Async{req_id, true, 0};
    }
    return request;
  }
  wire::AllocResponse ask(const wire::Message& message) {
    EXPECT_TRUE(alloc_->send(wire::encode(message)).ok());
    return std::get<wire::AllocResponse>(next());
  }
  void send_raw(std::string_view bytes) { EXPECT_TRUE(alloc_->send(bytes).ok()); }
  wire::Message next() {
    EXPECT_TRUE(world_.scheduler.run_until([&] { return !answers_.empty(); }));
    if (answers_.empty()) {
      return wire::ProxyNotif{};  // Nobody answers so.
    }
    wire::Message message = std::move(answers_.front());
    answers_.pop_front();
    return message;
  }

  /// Writes chunk `seed` into the receiver's page; the status comes when the world has run.
  std::shared_ptr<std::optional<Status>> start_write(std::int64_t page, std::uint64_t seed) {
    auto result = std::make_shared<std::optional<Status>>();
    const auto bytes = chunk_bytes(seed, kPageBytes);
    std::byte* const local = memory_.data() + (next_page_++ % kPages) * kPageBytes;
    std::copy(bytes.begin(), bytes.end(), local);
    world_.stock.write(
        agent_, receiver_agent_,
        {{{local, kPageBytes}, remote_.descriptors.at(static_cast<std::size_t>(page)).address}},
        [result](const Status& status) { *result = status; });
    return result;
  }
  Status write(std::int64_t page, std::uint64_t seed) {
    const auto result = start_write(page, seed);
    EXPECT_TRUE(world_.scheduler.run_until([&] { return result->has_value(); }));
    return **result;
  }
  /// A whole put, as LMCache makes it. False where LMCache's would have failed.
  bool put(const std::string& req_id, std::uint64_t first, std::uint64_t count) {
    const wire::AllocResponse response = ask(alloc(req_id, first, count));
    std::vector<std::uint64_t> to_send;
    for (std::uint64_t i = 0; i < count; ++i) {
      const auto& sent = response.already_sent_indexes;
      if (is_async() ||
          std::find(sent.begin(), sent.end(), static_cast<std::int64_t>(i)) == sent.end()) {
        to_send.push_back(first + i);
      }
    }
    if (response.sync_flavour == is_async() || response.remote_indexes.size() != to_send.size()) {
      return false;
    }
    for (std::size_t i = 0; i < to_send.size(); ++i) {
      if (response.remote_indexes[i] < 0 || !write(response.remote_indexes[i], to_send[i]).ok()) {
        return false;
      }
    }
    return true;
  }

  const wire::XferDlist& remote() const { return remote_; }

  static constexpr std::size_t kPageBytes = 128;
  static constexpr std::size_t kPages = 16;

 private:
  std::uint64_t address(std::size_t page) const {
    return reinterpret_cast<std::uint64_t>(memory_.data() + page * kPageBytes);
  }

  World& world_;
  const Flavour flavour_;
  const std::string local_id_;
  std::vector<std::byte> memory_;
  std::string agent_;
  std::string receiver_agent_;
  wire::XferDlist remote_;
  std::size_t next_page_ = 0;
  std::unique_ptr<control::Client> init_;
  std::unique_ptr<control::Client> alloc_;
  std::deque<wire::Message> answers_;
};

}  // namespace baton::testing
