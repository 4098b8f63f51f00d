// Which prefiller and which decoder serve a request.
#pragma once

#include <absl/functional/any_invocable.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "baton/status.h"
#include "src/proxy/least_loaded.h"
#include "src/proxy/request_id.h"

namespace baton::proxy {

struct RouterOptions {
  /// Requests open at a time; further ones are refused.
  std::size_t max_open_requests = 4096;
};

/// Pure decisions, no I/O; on one thread.
///
/// Decoder: rendezvous hashing over the prefix, so that requests with a common prefix meet in one
/// decoder's cache, and a decoder that comes or goes moves only its own share of the prefixes.
/// Every proxy with the same decoder names decides alike. Prefiller: the least loaded.
class Router {
 public:
  using MakeId = absl::AnyInvocable<std::string()>;

  struct Assignment {
    std::string req_id;
    std::size_t prefiller = 0;  ///< index in the list of names
    std::size_t decoder = 0;
  };

  /// Names: distinct, at least one of each kind; what they look like doesn't matter.
  static StatusOr<Router> create(const std::vector<std::string>& prefillers,
                                 std::vector<std::string> decoders, RouterOptions options = {},
                                 MakeId make_id = make_request_id);

  /// `prefix`: the key or hash of the request's first chunk. Empty if it has no full chunk and so
  /// nothing to share: the least loaded decoder takes it. kResourceExhausted at the limit.
  StatusOr<Assignment> open(std::string_view prefix);

  /// The prefiller's part is done: it has less to do. Ignored for an unknown id, or twice.
  void prefilled(const std::string& req_id);
  /// The request is over, however it ended. Ignored for an unknown id.
  void close(const std::string& req_id);

  std::size_t open_requests() const { return open_.size(); }
  std::size_t prefiller_load(std::size_t index) const { return prefiller_loads_.load(index); }
  std::size_t decoder_load(std::size_t index) const { return decoder_loads_.load(index); }

 private:
  struct OpenRequest {
    std::size_t prefiller;
    std::size_t decoder;
    bool prefilling;
  };

  Router(std::size_t prefiller_count, std::vector<std::string> decoders, RouterOptions options,
         MakeId make_id);
  std::size_t choose_decoder(std::string_view prefix);

  std::vector<std::string> decoders_;
  RouterOptions options_;
  MakeId make_id_;
  LeastLoaded prefiller_loads_;
  LeastLoaded decoder_loads_;
  std::unordered_map<std::string, OpenRequest> open_;
};

}  // namespace baton::proxy
