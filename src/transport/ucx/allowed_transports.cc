#include "src/transport/ucx/allowed_transports.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace baton::transport::ucx {
namespace {

/// What UCX may use: rc writes; others help to find each other, or with other kinds of memory.
constexpr std::array<std::string_view, 7> kAllowed = {"rc",   "ud",   "dc",  "ib",
                                                      "cuda", "rocm", "gdr_"};

}  // namespace

Status check_transports(std::string_view list, bool tcp_too) {
  const std::string_view whole = list;
  bool writes = false;
  while (!list.empty()) {
    const std::string_view name = list.substr(0, list.find(','));
    list.remove_prefix(std::min(name.size() + 1, list.size()));
    const bool is_tcp = tcp_too && name == "tcp";
    writes = writes || name.starts_with("rc") || name == "ib" || is_tcp;
    if (!is_tcp && !std::any_of(kAllowed.begin(), kAllowed.end(),
                                [&](auto prefix) { return name.starts_with(prefix); })) {
      return absl::FailedPreconditionError(
          tcp_too ? fmt::format("UCX_TLS names '{}', by which a peer may write when its fence is "
                                "proven; leave UCX_TLS unset",
                                name)
                  : fmt::format("UCX_TLS names '{}', by which any process that can connect may "
                                "write anywhere in this one; leave UCX_TLS unset, or, for an "
                                "experiment, set insecure_data_plane: true",
                                name));
    }
  }
  if (!writes) {
    return absl::FailedPreconditionError(fmt::format(
        "UCX_TLS is '{}', in which nothing writes without help of the target's processor: leave it "
        "unset, or name rc, too",
        whole));
  }
  return absl::OkStatus();
}

}  // namespace baton::transport::ucx
