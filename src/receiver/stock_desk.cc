#include "src/receiver/stock_desk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "src/base/absl_view.h"
#include "src/base/log.h"

namespace baton::receiver {
namespace {

/// No engine's name: it has a space, and a number that no other process has.
std::string table_name(const Epoch& party, std::uint64_t batch) {
  return fmt::format("stock {} {}", party.hex(), batch);
}

/// No engine's key: it has no '@'.
std::string copy_name(std::uint64_t batch, std::size_t index) {
  return fmt::format("stock copy {} {}", batch, index);
}

/// What makes LMCache's put fail, and loudly.
wire::AllocResponse refusal(const wire::AllocRequest& message) {
  wire::AllocResponse response;
  response.sync_flavour = !message.async.has_value();
  if (!response.sync_flavour) {
    response.remote_indexes.assign(std::max<std::size_t>(message.keys.size(), 1), -1);
  }
  return response;
}

}  // namespace

StockDesk::StockDesk(Scheduler& scheduler, RequestTable& table, const Config& config,
                     const Epoch& receiver, transport::StockPlane& plane)
    : table_(table),
      config_(config),
      receiver_(receiver),
      peers_(scheduler, plane, config, table.pool().counts().total,
             [this](const Epoch& party) { on_fenced(party); }) {}

// ---- AllocRequest ------------------------------------------------------------------------------

wire::AllocResponse StockDesk::allocate(const control::Route& from,
                                        const wire::AllocRequest& message, Status& why) {
  auto response = admit(from, message);
  why = response.status();
  return response.ok() ? *std::move(response) : refusal(message);
}

Status StockDesk::check(const wire::AllocRequest& message) {
  const wire::LayoutInfo& layout = config_.layout;
  const TensorMeta full{layout.shape, layout.dtype, layout.fmt};
  const TensorMeta said{message.shape, message.dtype, message.fmt};
  // LMCache sends the first object's shape, and the only one may be partial.
  const auto tokens = said.tokens();
  const auto cut = message.keys.size() == 1 && tokens.ok() ? full.with_tokens(*tokens)
                                                           : StatusOr<TensorMeta>(full);
  if (!cut.ok() || said != *cut) {
    return absl::InvalidArgumentError(
        std::string("its chunks have another shape, dtype or format than this receiver's"));
  }
  if (message.keys.empty()) {
    return absl::InvalidArgumentError(std::string("it has no keys"));
  }
  table_.pool().look_up(message.keys, keys_);
  if (const std::int64_t twice = keys_.duplicate; twice >= 0) {
    return absl::InvalidArgumentError(
        fmt::format("key {} stands twice in it", message.keys[static_cast<std::size_t>(twice)]));
  }
  for (std::size_t i = 0; i < message.keys.size(); ++i) {
    const Chunk* chunk = keys_.entries[i].chunk;
    if (chunk != nullptr && chunk->state == Chunk::State::kInFlight) {
      return absl::UnavailableError(
          fmt::format("chunk {} is in flight from another put", message.keys[i]));
    }
  }
  return absl::OkStatus();
}

StatusOr<wire::AllocResponse> StockDesk::admit(const control::Route& from,
                                               const wire::AllocRequest& message) {
  const auto party = peers_.party_of(from);
  if (!party.ok()) {
    return party.status();
  }
  if (Status fine = check(message); !fine.ok()) {
    return fine;
  }
  const BatchId number = ++last_batch_;
  const bool is_async = message.async.has_value();
  wire::AllocRequest asked = message;
  asked.keys.clear();
  std::vector<std::uint32_t> copies;
  for (std::size_t i = 0; i < message.keys.size(); ++i) {
    asked.keys.push_back(message.keys[i]);
    if (is_async && keys_.entries[i].chunk != nullptr) {
      // A hit, which is held; the async sender writes it all the same, somewhere else.
      copies.push_back(static_cast<std::uint32_t>(asked.keys.size()));
      asked.keys.push_back(copy_name(number, i));
    }
  }
  asked.shape = config_.layout.shape;
  asked.async = wire::AllocRequest::Async{table_name(*party, number), true, 0};
  asked.baton = wire::AllocRequest::Baton{{*party, receiver_}, 0, number};
  const RequestId id{*party, asked.async->req_id, 0};
  const std::uint64_t turned_away = table_.turned_away();
  const auto granted = table_.allocate(asked, from);
  if (!granted.ok()) {
    // Only then would a fence help: what exceeds a limit, or the pool, would be refused after it
    // too.
    missed_pages_ = missed_pages_ || table_.turned_away() > turned_away;
    table_.end(id, granted.status());
    return granted.status();
  }
  Batch batch{id, is_async ? message.async->req_id : std::string(), {}, {}, std::move(copies)};
  wire::AllocResponse response;
  response.sync_flavour = !is_async;
  for (std::size_t i = 0, at = 0; i < message.keys.size(); ++i, ++at) {
    const std::string key(message.keys[i]);
    batch.keys.insert(key);
    by_key_[key].push_back(number);
    const bool is_new = granted->remote_indexes[at] >= 0;
    if (is_new) {
      batch.granted.insert(key);
    } else if (is_async) {
      ++at;  // Its copy.
    } else {
      response.already_sent_indexes.push_back(static_cast<std::int64_t>(i));
      continue;
    }
    response.remote_indexes.push_back(granted->remote_indexes[at]);
  }
  log::debug("[{}] batch {} of an LMCache sender: {} pages", batch.req_id, number,
             response.remote_indexes.size());
  batches_.emplace(number, std::move(batch));
  return response;
}

wire::AllocResponse StockDesk::cancel(const control::Route& from, const wire::CancelNotif& message,
                                      Status& why) {
  const auto party = peers_.party_of(from);
  why = party.status();
  if (party.ok() && !message.req_id.empty()) {
    end_batches(message.req_id, &*party,
                absl::CancelledError(std::string("cancelled by its LMCache sender")));
  }
  return {};
}

bool StockDesk::cancel_request(const std::string& req_id, const Status& why) {
  return !req_id.empty() && end_batches(req_id, nullptr, why);
}

bool StockDesk::end_batches(const std::string& req_id, const Epoch* party, const Status& why) {
  bool any = false;
  for (auto batch = batches_.begin(); batch != batches_.end();) {
    const auto next = std::next(batch);
    if (batch->second.req_id == req_id && (party == nullptr || batch->second.id.sender == *party)) {
      any = any || table_.find(batch->second.id) != nullptr;
      table_.end(batch->second.id, why);
      forget(batch);
    }
    batch = next;
  }
  return any;
}

// ---- the decoder's word ------------------------------------------------------------------------

bool StockDesk::is_granted(std::string_view key) const {
  const auto found = by_key_.find(to_absl(key));
  return found != by_key_.end() &&
         std::any_of(found->second.begin(), found->second.end(), [&](BatchId number) {
           const Batch& batch = batches_.at(number);
           return batch.granted.contains(to_absl(key)) && table_.find(batch.id) != nullptr;
         });
}

void StockDesk::vouch(const std::string& key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    return;
  }
  for (const BatchId number : std::vector<BatchId>(found->second)) {
    commit(number, batches_.at(number), key);
  }
}

void StockDesk::commit(BatchId number, Batch& batch, const std::string& key) {
  if (batch.granted.erase(key) == 0 || table_.find(batch.id) == nullptr) {
    return;
  }
  Chunk* chunk = table_.pool().find(key);
  chunk->vouched = true;
  table_.commit({batch.id.sender, number}, {&chunk, 1});
}

void StockDesk::take(const std::string& key, std::vector<BatchId>& done) {
  prune();
  vouch(key);
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    return;
  }
  const BatchId number = found->second.front();
  found->second.erase(found->second.begin());
  if (found->second.empty()) {
    by_key_.erase(found);
  }
  Batch& batch = batches_.at(number);
  batch.keys.erase(key);
  // A key names no request. What was released may be another one over the same chunks, while this
  // one's sender is writing its copies: they stay granted until its own claim, or its end.
  if (batch.keys.empty() && batch.copies.empty()) {
    done.push_back(number);
  }
}

void StockDesk::throw_copies_away(BatchId number, Batch& batch) {
  Request* request = table_.find(batch.id);
  if (request == nullptr) {
    return;
  }
  Put& put = *request->puts.at(number);
  for (const std::uint32_t index : std::exchange(batch.copies, {})) {
    Chunk* copy = put.keys[index].chunk;
    table_.commit({batch.id.sender, number}, {&copy, 1});
    put.keys[index] = {};
    request->held.erase(copy);
    table_.pool().condemn(*copy);
    table_.pool().unhold(*copy);  // Its page is free now.
  }
}

void StockDesk::end(const std::vector<BatchId>& done) {
  for (const BatchId number : done) {
    if (const auto batch = batches_.find(number); batch != batches_.end()) {
      table_.end(batch->second.id, absl::OkStatus());
      forget(batch);
    }
  }
}

bool StockDesk::take_request(const std::string& req_id, std::vector<BatchId>& done) {
  prune();
  bool any = false;
  for (auto& [number, batch] : batches_) {
    if (req_id.empty() || batch.req_id != req_id) {
      continue;
    }
    any = true;
    for (const std::string& key : std::exchange(batch.keys, {})) {
      commit(number, batch, key);
      std::vector<BatchId>& holders = by_key_.at(key);
      std::erase(holders, number);
      if (holders.empty()) {
        by_key_.erase(key);
      }
    }
    throw_copies_away(number, batch);
    done.push_back(number);
  }
  return any;
}

bool StockDesk::has_all(const std::vector<std::string>& keys) const {
  bool any = false;
  for (const std::string& key : keys) {
    const Chunk* chunk = table_.pool().find(key);
    const bool granted = is_granted(key);
    if (chunk == nullptr || (chunk->state == Chunk::State::kInFlight && !granted)) {
      return false;
    }
    any = any || by_key_.contains(key);
  }
  return any;
}

// ---- time --------------------------------------------------------------------------------------

void StockDesk::forget(Batches::iterator batch) {
  for (const std::string& key : batch->second.keys) {
    const auto holders = by_key_.find(key);
    std::erase(holders->second, batch->first);
    if (holders->second.empty()) {
      by_key_.erase(holders);
    }
  }
  batches_.erase(batch);
}

void StockDesk::prune() {
  for (auto batch = batches_.begin(); batch != batches_.end();) {
    const auto next = std::next(batch);
    if (table_.find(batch->second.id) == nullptr) {
      forget(batch);
    }
    batch = next;
  }
}

void StockDesk::sweep(const std::map<Epoch, std::uint32_t>& quarantined) {
  prune();
  // LMCache never introduces itself again, so its agents live as long as nobody lacks the pages.
  constexpr std::uint32_t kShareOfPool = 4;
  const bool missed = std::exchange(missed_pages_, false) || table_.waiting() > 0;
  const std::uint32_t total = table_.pool().counts().total;
  for (const auto& [party, pages] : quarantined) {
    if (missed || pages >= (total + kShareOfPool - 1) / kShareOfPool) {
      log::warning("LMCache senders keep {} of {} pages in quarantine, which are missed", pages,
                   total);
      table_.end_unfinished(
          party, absl::UnavailableError(std::string("the LMCache peer of it is fenced")));
      peers_.fence(party);
    }
  }
  prune();
}

void StockDesk::on_fenced(const Epoch& party) {
  // New batches of that party can't have come: its epoch was given up before.
  table_.end_unfinished(party,
                        absl::UnavailableError(std::string("the LMCache peer of it is fenced")));
  table_.release_fenced(party);
  prune();
}

}  // namespace baton::receiver
