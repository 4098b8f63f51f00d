// Key files: read with care, written with more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "baton/status.h"
#include "src/security/key.h"
#include "src/security/peer_keys.h"

namespace baton::security {

/// Stands before the secret in a secret key file, so that it is never taken for a public one.
inline constexpr std::string_view kSecretMark = "baton-secret-key";

enum class FileSecrecy : std::uint8_t { kPublic, kSecret };

/// A regular file of at most `max_bytes`. kSecret: kFailedPrecondition, with the chmod to run, if
/// anybody but its owner may read it.
StatusOr<std::string> read_key_file(const std::string& path, std::size_t max_bytes,
                                    FileSecrecy secrecy);

StatusOr<SecretKey> read_secret_key(const std::string& path);

struct WrittenKey {
  std::string secret_path;
  std::string public_path;
  std::string public_line;  ///< what public_path holds, for the peers' file
};

/// DIR/NAME.secret (0600) and DIR/NAME.public (0644), each appearing whole or not at all. Without
/// `overwrite`, kAlreadyExists if either is there, and neither is touched.
StatusOr<WrittenKey> write_new_key(const std::string& dir, const std::string& name, KeyRole role,
                                   const std::vector<std::string>& addresses, bool overwrite);

}  // namespace baton::security
