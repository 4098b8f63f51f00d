#include "src/sender/stock_query.h"

#include <absl/container/flat_hash_map.h>
#include <fmt/format.h>

#include <utility>
#include <variant>

#include "src/base/absl_view.h"
#include "src/base/text.h"
#include "src/wire/codec.h"

namespace baton::sender {

StockQuery::StockQuery(std::string endpoint, const wire::Limits& limits, Answer answer)
    : endpoint_(std::move(endpoint)), limits_(limits), answer_(std::move(answer)) {}

StatusOr<std::unique_ptr<StockQuery>> StockQuery::connect(control::Network& network,
                                                          std::string endpoint,
                                                          const std::string& identity,
                                                          const wire::Limits& limits,
                                                          Answer answer) {
  std::unique_ptr<StockQuery> query(new StockQuery(std::move(endpoint), limits, std::move(answer)));
  auto client = network.connect_client(
      query->endpoint_, identity,
      [self = query.get()](std::string_view payload) { self->on_payload(payload); });
  if (!client.ok()) {
    return client.status();
  }
  query->client_ = *std::move(client);
  return query;
}

Status StockQuery::ask(std::vector<std::string> keys) {
  asked_ = true;
  return client_->send(wire::encode(wire::CacheQueryRequest{std::move(keys)}));
}

std::string StockQuery::trouble() const {
  if (!asked_) {
    return {};
  }
  const std::string known = client_->trouble();
  return fmt::format(
      "{} did not answer: {}", endpoint_,
      known.empty() ? "is it there, and is it the receiver's pd_peer_query_port?" : known);
}

void StockQuery::fail(const std::string& what) {
  failed_ = true;
  answer_(absl::DataLossError(fmt::format("LMCache receiver {}: {}", endpoint_, what)));
}

void StockQuery::on_payload(std::string_view payload) {
  if (failed_) {
    return;
  }
  if (!std::exchange(asked_, false)) {
    // It may be the last question's answer again, and would pass for the next one's.
    fail("it answered what nobody had asked");
    return;
  }
  const auto message = wire::decode(payload, limits_);
  if (!message.ok()) {
    fail("it sent nonsense: " + std::string(message.status().message()));
    return;
  }
  const auto* response = std::get_if<wire::CacheQueryResponse>(&*message);
  if (response == nullptr) {
    fail(fmt::format("it answered with a {}", wire::type_name(*message)));
    return;
  }
  answer_(*response);
}

StatusOr<std::vector<std::optional<std::uint32_t>>> cached_pages(
    const wire::CacheQueryResponse& response, const std::vector<std::string>& keys,
    std::uint32_t page_count) {
  if (response.cached_keys.size() != response.cached_indexes.size()) {
    return absl::DataLossError(fmt::format("it names {} cached_keys and {} cached_indexes",
                                           response.cached_keys.size(),
                                           response.cached_indexes.size()));
  }
  absl::flat_hash_map<std::string, std::size_t> places;
  places.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    places.emplace(keys[i], i);
  }
  std::vector<std::optional<std::uint32_t>> pages(keys.size());
  std::vector<bool> taken(page_count, false);
  for (std::size_t i = 0; i < response.cached_keys.size(); ++i) {
    const std::string_view key = response.cached_keys[i];
    const std::int64_t page = response.cached_indexes[i];
    const auto place = places.find(to_absl(key));
    if (place == places.end() || pages[place->second].has_value()) {
      return absl::DataLossError(
          fmt::format("cached_keys has {}, which was not asked for or stands twice", quote(key)));
    }
    if (page < 0 || page >= std::int64_t{page_count} || taken[static_cast<std::size_t>(page)]) {
      return absl::DataLossError(fmt::format(
          "cached_indexes has {}: it has {} pages, and each is one chunk's", page, page_count));
    }
    taken[static_cast<std::size_t>(page)] = true;
    pages[place->second] = static_cast<std::uint32_t>(page);
  }
  return pages;
}

}  // namespace baton::sender
