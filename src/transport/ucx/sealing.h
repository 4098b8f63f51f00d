// What only the two ends of one connection can read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "baton/status.h"
#include "src/transport/secret.h"
#include "src/transport/tcp/opening.h"

namespace baton::transport::ucx {

/// Of a sealed message.
inline constexpr std::size_t kMaxSealedBytes = 64U << 10U;

/// Encrypts and authenticates, for the connection that `hello` opened with a ticket's secret
/// (docs/protocol-ucx.md).
std::string seal(std::string_view plain, const Secret& secret, const tcp::Hello& hello);

/// kPermissionDenied if it was not sealed for this connection, kDataLoss if it can't have been.
StatusOr<std::string> open_sealed(std::string_view sealed, const Secret& secret,
                                  const tcp::Hello& hello);

/// Overwrites what was secret, in a way that no compiler leaves out.
void wipe(std::string& secret);

}  // namespace baton::transport::ucx
