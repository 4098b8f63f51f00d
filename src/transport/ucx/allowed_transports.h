// What UCX_TLS may say in a process that others write into.
#pragma once

#include <string_view>

#include "baton/status.h"

namespace baton::transport::ucx {

/// kFailedPrecondition, with the reason, for a list that names what would write where it should
/// not, or where no fence would stop it; or in which nothing writes by itself. `tcp_too`: the
/// insecure plane is wanted.
Status check_transports(std::string_view list, bool tcp_too = false);

}  // namespace baton::transport::ucx
