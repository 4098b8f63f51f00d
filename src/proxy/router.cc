#include "src/proxy/router.h"

#include <fmt/format.h>

#include <cstdint>
#include <set>
#include <span>
#include <utility>

#include "src/base/digest.h"

namespace baton::proxy {
namespace {

Status check_names(std::string_view what, const std::vector<std::string>& names) {
  if (names.empty()) {
    return absl::InvalidArgumentError(fmt::format("at least one {} is needed", what));
  }
  std::set<std::string_view> seen;
  for (const std::string& name : names) {
    if (!seen.insert(name).second) {
      return absl::InvalidArgumentError(fmt::format("{} '{}' is named twice", what, name));
    }
  }
  return absl::OkStatus();
}

// Equal in every process and version: other proxies must decide alike.
std::uint64_t rendezvous_score(std::string_view decoder, std::string_view prefix) {
  std::string both(decoder);
  both += '\0';
  both += prefix;
  return digest_of(std::as_bytes(std::span(both)));
}

}  // namespace

StatusOr<Router> Router::create(const std::vector<std::string>& prefillers,
                                std::vector<std::string> decoders, RouterOptions options,
                                MakeId make_id) {
  if (Status valid = check_names("prefiller", prefillers); !valid.ok()) {
    return valid;
  }
  if (Status valid = check_names("decoder", decoders); !valid.ok()) {
    return valid;
  }
  return Router(prefillers.size(), std::move(decoders), options, std::move(make_id));
}

Router::Router(std::size_t prefiller_count, std::vector<std::string> decoders,
               RouterOptions options, MakeId make_id)
    : decoders_(std::move(decoders)),
      options_(options),
      make_id_(std::move(make_id)),
      prefiller_loads_(prefiller_count),
      decoder_loads_(decoders_.size()) {}

StatusOr<Router::Assignment> Router::open(std::string_view prefix) {
  if (open_.size() >= options_.max_open_requests) {
    return absl::ResourceExhaustedError(fmt::format(
        "{} requests are open, the most that this proxy takes: try again later", open_.size()));
  }
  Assignment assignment{.req_id = make_id_()};
  if (open_.contains(assignment.req_id)) {
    return absl::InternalError(
        fmt::format("[{}] a new request got the id of an open one", assignment.req_id));
  }
  assignment.prefiller = prefiller_loads_.pick();
  assignment.decoder = choose_decoder(prefix);
  prefiller_loads_.add(assignment.prefiller);
  decoder_loads_.add(assignment.decoder);
  open_.emplace(assignment.req_id, OpenRequest{.prefiller = assignment.prefiller,
                                               .decoder = assignment.decoder,
                                               .prefilling = true});
  return assignment;
}

std::size_t Router::choose_decoder(std::string_view prefix) {
  if (prefix.empty()) {
    return decoder_loads_.pick();
  }
  std::size_t best = 0;
  std::uint64_t best_score = 0;
  for (std::size_t i = 0; i < decoders_.size(); ++i) {
    const std::uint64_t score = rendezvous_score(decoders_[i], prefix);
    if (i == 0 || score > best_score) {
      best = i;
      best_score = score;
    }
  }
  return best;
}

void Router::prefilled(const std::string& req_id) {
  const auto found = open_.find(req_id);
  if (found != open_.end() && std::exchange(found->second.prefilling, false)) {
    prefiller_loads_.remove(found->second.prefiller);
  }
}

void Router::close(const std::string& req_id) {
  prefilled(req_id);
  const auto found = open_.find(req_id);
  if (found != open_.end()) {
    decoder_loads_.remove(found->second.decoder);
    open_.erase(found);
  }
}

}  // namespace baton::proxy
