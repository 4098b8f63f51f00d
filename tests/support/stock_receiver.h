// LMCache's receiver, as its own code behaves: sync (REP, answers in turn, no word for failure) and
// async (-1 for failure, CancelNotif); both with a query port.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "src/wire/xfer_dlist.h"
#include "tests/support/handoff.h"

namespace baton::testing {

class StockReceiver {
 public:
  enum class Flavour : bool { kSync, kAsync };
  static constexpr std::size_t kPageBytes = 128;

  StockReceiver(World& world, Flavour flavour, std::size_t pages, const std::string& name = "stock")
      : world_(world),
        flavour_(flavour),
        address_{"inproc://" + name + "-init", "inproc://" + name + "-alloc"},
        query_endpoint_("inproc://" + name + "-query"),
        memory_(pages * kPageBytes) {
    agent_ = world.stock.make_agent(memory_);
    for (std::size_t page = 0; page < pages; ++page) {
      free_.push_back(static_cast<std::int64_t>(page));
    }
    init_ = *world.network.bind_server(
        address_.init_endpoint, [this](const control::Route& from, std::string_view payload) {
          heard_.push_back(*wire::decode(payload, {}));
          on_init(from, heard_.back());
        });
    alloc_ = *world.network.bind_server(
        address_.alloc_endpoint, [this](const control::Route& from, std::string_view payload) {
          heard_.push_back(*wire::decode(payload, {}));
          asked_.push_back({from, heard_.back()});
          if (!silent_) {
            answer_all();
          }
        });
    query_ = *world.network.bind_server(
        query_endpoint_, [this](const control::Route& from, std::string_view payload) {
          heard_.push_back(*wire::decode(payload, {}));
          answer_query(from, std::get<wire::CacheQueryRequest>(heard_.back()));
        });
  }

  const sender::Address& address() const { return address_; }
  const std::string& query_endpoint() const { return query_endpoint_; }
  /// Everything that it was ever sent.
  const std::vector<wire::Message>& heard() const { return heard_; }
  template <typename M>
  std::size_t count() const {
    return static_cast<std::size_t>(std::count_if(
        heard_.begin(), heard_.end(),
        [](const wire::Message& message) { return std::holds_alternative<M>(message); }));
  }
  const std::map<std::string, std::int64_t>& data() const { return data_; }
  std::span<const std::byte> chunk(const std::string& key) const {
    return std::span(memory_).subspan(static_cast<std::size_t>(data_.at(key)) * kPageBytes,
                                      kPageBytes);
  }
  std::size_t free_pages() const { return free_.size(); }
  void die() { world_.stock.destroy(agent_); }

  // ---- what tests break ----------------------------------------------------------------------
  void set_silent(bool silent) {
    silent_ = silent;
    if (!silent) {
      answer_all();
    }
  }
  std::function<void(wire::NixlInitResponse&)> change_init;
  std::function<void(wire::XferDlist&)> change_pages;
  std::function<void(wire::NixlMemRegResponse&)> change_mem_reg;
  std::function<void(wire::AllocResponse&)> change_alloc;
  /// Before a question on the query port is answered: the `number`th, from 1.
  std::function<void(std::size_t number)> before_query;
  /// Returns what is said instead, perhaps nothing.
  std::function<std::vector<std::string>(wire::CacheQueryResponse, std::size_t number)>
      change_query;

  /// Its chunk goes.
  void evict(const std::string& key) {
    const std::int64_t page = data_.at(key);
    data_.erase(key);
    free_.insert(free_.begin(), page);
    std::ranges::fill(
        std::span(memory_).subspan(static_cast<std::size_t>(page) * kPageBytes, kPageBytes),
        std::byte{0xDD});
  }
  /// Its chunk goes, and comes again in another page.
  void move(const std::string& key) {
    const std::vector<std::byte> bytes(chunk(key).begin(), chunk(key).end());
    evict(key);
    data_[key] = free_.back();
    free_.pop_back();
    std::ranges::copy(bytes, memory_.begin() + data_.at(key) * std::int64_t{kPageBytes});
  }

 private:
  void on_init(const control::Route& from, const wire::Message& message) {
    if (const auto* hello = std::get_if<wire::NixlInitRequest>(&message)) {
      const auto name = world_.stock.load(agent_, hello->local_meta_bytes);
      if (!name.ok()) {
        return;  // LMCache's loop is of no use from here on.
      }
      wire::NixlInitResponse response{*name, world_.stock.metadata_of(agent_), {}};
      if (change_init) {
        change_init(response);
      }
      EXPECT_TRUE(init_->send(from, wire::encode(response)).ok());
      return;
    }
    const auto& pages = std::get<wire::NixlMemRegRequest>(message);
    const auto theirs = wire::decode_xfer_dlist(pages.local_xfer_dlist_bytes, 1'000);
    ASSERT_TRUE(theirs.ok()) << theirs.status();
    EXPECT_TRUE(wire::check_pages(*theirs, kPageBytes).ok());
    wire::XferDlist own;
    for (std::size_t page = 0; page * kPageBytes < memory_.size(); ++page) {
      own.descriptors.push_back(
          {reinterpret_cast<std::uint64_t>(memory_.data() + page * kPageBytes), kPageBytes, 0});
    }
    if (change_pages) {
      change_pages(own);
    }
    wire::NixlMemRegResponse response{wire::encode_xfer_dlist(own)};
    if (change_mem_reg) {
      change_mem_reg(response);
    }
    EXPECT_TRUE(init_->send(from, wire::encode(response)).ok());
  }

  wire::AllocResponse allocate(const wire::AllocRequest& request) {
    wire::AllocResponse response;
    response.sync_flavour = flavour_ == Flavour::kSync;
    for (std::size_t i = 0; i < request.keys.size(); ++i) {
      if (response.sync_flavour && data_.contains(std::string(request.keys[i]))) {
        response.already_sent_indexes.push_back(static_cast<std::int64_t>(i));
        continue;
      }
      if (free_.empty()) {
        response.remote_indexes.assign(request.keys.size(), -1);  // The async one's failure.
        return response;
      }
      response.remote_indexes.push_back(free_.back());
      data_[std::string(request.keys[i])] = free_.back();
      free_.pop_back();
    }
    return response;
  }

  void answer_query(const control::Route& from, const wire::CacheQueryRequest& query) {
    const std::size_t number = count<wire::CacheQueryRequest>();
    if (before_query) {
      before_query(number);
    }
    wire::CacheQueryResponse response;
    for (const std::string_view key : query.keys) {
      if (const auto found = data_.find(std::string(key)); found != data_.end()) {
        response.cached_keys.push_back(key);
        response.cached_indexes.push_back(found->second);
      }
    }
    const std::vector<std::string> said = change_query ? change_query(std::move(response), number)
                                                       : std::vector{wire::encode(response)};
    for (const std::string& bytes : said) {
      static_cast<void>(query_->send(from, bytes));  // Who asked may be gone.
    }
  }

  void answer_all() {
    for (const auto& [from, message] : std::exchange(asked_, {})) {
      wire::AllocResponse response;
      if (const auto* request = std::get_if<wire::AllocRequest>(&message)) {
        response = allocate(*request);
        if (change_alloc) {
          change_alloc(response);
        }
      } else {
        for (const std::string_view key : std::get<wire::CancelNotif>(message).keys) {
          if (const auto found = data_.find(std::string(key)); found != data_.end()) {
            free_.push_back(found->second);
            data_.erase(found);
          }
        }
      }
      static_cast<void>(alloc_->send(from, wire::encode(response)));  // Who asked may be gone.
    }
  }

  World& world_;
  const Flavour flavour_;
  const sender::Address address_;
  const std::string query_endpoint_;
  std::vector<std::byte> memory_;
  std::string agent_;
  std::vector<std::int64_t> free_;
  std::map<std::string, std::int64_t> data_;
  std::vector<wire::Message> heard_;
  std::vector<std::pair<control::Route, wire::Message>> asked_;
  bool silent_ = false;
  std::unique_ptr<control::Server> init_;
  std::unique_ptr<control::Server> alloc_;
  std::unique_ptr<control::Server> query_;
};

}  // namespace baton::testing
