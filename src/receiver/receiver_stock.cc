// LMCache's own peers: Receiver's half that hands their messages to the desk, and asks it for the
// decoder.
#include <fmt/format.h>

#include <utility>
#include <variant>

#include "src/base/log.h"
#include "src/receiver/receiver.h"
#include "src/wire/codec.h"

namespace baton::receiver {

// ---- their messages ----------------------------------------------------------------------------

bool Receiver::serve_stock_init(const control::Route& from, const wire::Message& message) {
  if (stock_ == nullptr) {
    return false;
  }
  wire::Message response;
  Status why;
  if (const auto* hello = std::get_if<wire::NixlInitRequest>(&message)) {
    if (hello->baton.has_value()) {
      return false;
    }
    response = stock_->peers().on_init(from, *hello, why);
  } else if (const auto* pages = std::get_if<wire::NixlMemRegRequest>(&message)) {
    response = stock_->peers().on_mem_reg(from, *pages, why);
  } else {
    return false;
  }
  if (!why.ok()) {
    ++refused_handshakes_;
    // Also where Baton's NIXL is to blame: each try costs an agent.
    strike(from, "init port",
           Status(why.code(), fmt::format("handshake of an LMCache sender refused: {}",
                                          std::string(why.message()))));
  }
  schedule_sweep();
  static_cast<void>(init_->send(from, wire::encode(response)));
  return true;
}

void Receiver::refuse_stock_init(const control::Route& from) {
  if (stock_ != nullptr && !from.starts_with("baton-")) {
    static_cast<void>(init_->send(from, wire::encode(stock_->peers().refuse(from))));
  }
}

void Receiver::serve_stock(const control::Route& from, const wire::AllocRequest& message) {
  Status why;
  const wire::AllocResponse response = stock_->allocate(from, message, why);
  if (!why.ok()) {
    log::limited_warning("an AllocRequest of an LMCache sender was refused: {}",
                         std::string(why.message()));
  }
  schedule_sweep();
  answer(from, response);  // If it is lost, nobody asks for the pages, and their time runs out.
}

void Receiver::serve_stock(const control::Route& from, const wire::CancelNotif& message) {
  Status why;
  const wire::AllocResponse response = stock_->cancel(from, message, why);
  if (!why.ok()) {
    log::limited_warning("a CancelNotif of an LMCache sender was ignored: {}",
                         std::string(why.message()));
  }
  answer(from, response);
}

void Receiver::on_query(const control::Route& from, std::string_view payload) {
  const auto message = wire::decode(payload, config_.limits);
  const auto* query = message.ok() ? std::get_if<wire::CacheQueryRequest>(&*message) : nullptr;
  wire::CacheQueryResponse response;  // Also to nonsense: LMCache waits for it.
  if (query != nullptr) {
    for (CommittedPage& page : query_committed(query->keys, config_.lease)) {
      response.cached_keys.push_back(std::move(page.key));
      response.cached_indexes.push_back(page.page);
    }
  } else {
    reject(from, "query port",
           message.ok() ? absl::InvalidArgumentError(
                              fmt::format("{} has no business here", wire::type_name(*message)))
                        : message.status());
  }
  static_cast<void>(query_->send(from, wire::encode(response)));
}

// ---- the decoder -------------------------------------------------------------------------------

void Receiver::claim(const std::string& req_id, std::vector<std::string> keys, TimePoint deadline,
                     Claims::ClaimDone done) {
  std::vector<StockDesk::BatchId> taken;
  bool stock = stock_ != nullptr && stock_->take_request(req_id, taken);
  if (stock_ != nullptr && !stock && table_.find_by_req_id(req_id) == nullptr &&
      stock_->has_all(keys)) {
    // The sync flavour has no request ids.
    stock = true;
    for (const std::string& key : keys) {
      stock_->take(key, taken);
    }
  }
  if (!stock) {
    claims_.claim(req_id, std::move(keys), deadline, std::move(done));
    return;
  }
  claims_.claim_chunks(std::move(keys), deadline,
                       lifetime_.guard([this, taken = std::move(taken),
                                        done = std::move(done)](StatusOr<Claim> claim) mutable {
                         stock_->end(taken);
                         done(std::move(claim));
                       }));
}

void Receiver::get(const std::string& key, TimePoint deadline, Claims::GetDone done) {
  if (stock_ == nullptr) {
    claims_.get(key, deadline, std::move(done));
    return;
  }
  std::vector<StockDesk::BatchId> taken;
  stock_->take(key, taken);
  claims_.get(key, deadline,
              lifetime_.guard([this, taken = std::move(taken),
                               done = std::move(done)](StatusOr<MemoryObj> got) mutable {
                stock_->end(taken);
                done(std::move(got));
              }));
}

bool Receiver::pin(const std::string& key, TimePoint expiry) {
  if (stock_ != nullptr) {
    stock_->vouch(key);
  }
  return claims_.pin(key, expiry);
}

}  // namespace baton::receiver
