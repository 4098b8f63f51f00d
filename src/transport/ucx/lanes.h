// By what an endpoint writes, in UCX's own words.
#pragma once

#include <ucp/api/ucp_def.h>

#include <string>
#include <string_view>

namespace baton::transport::ucx {

/// "rc_verbs/mlx5_0:1", several with commas; "unknown" if UCX describes it in a way that we don't
/// know. UCX 1.13 has no call to ask: this reads what ucp_ep_print_info() prints.
std::string lanes_of(ucp_ep_h endpoint);

/// The same, of the text.
std::string parse_lanes(std::string_view description);

}  // namespace baton::transport::ucx
