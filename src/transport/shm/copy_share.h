// What one thread copies in one go.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "src/transport/shm/digesting_copy.h"

namespace baton::transport::shm {

/// A write: into a peer's page. A read: out of one.
struct CopyPiece {
  std::byte* to = nullptr;
  const std::byte* from = nullptr;
  std::size_t bytes = 0;
  std::uint64_t* digest = nullptr;  ///< if wanted; set when the piece is copied
};

/// A piece whose digest is wanted, and which is copied in several goes: one thread at a time.
struct BegunPiece {
  explicit BegunPiece(const CopyPiece& piece)
      : copy(piece.to, piece.from, piece.bytes), digest(piece.digest) {}

  DigestingCopy copy;
  std::uint64_t* digest;
};

/// Belongs to one thread until it is given back.
struct CopyShare {
  std::span<const CopyPiece> whole{};
  CopyPiece part{};                     ///< of a piece without a digest; none if it has no bytes
  std::unique_ptr<BegunPiece> begun{};  ///< some more of it
  std::size_t begun_budget_bytes = 0;   ///< how much; DigestingCopy::advance() may exceed it

  /// Copies and publishes all of it, and sets the digests of the pieces that it completes. How
  /// many bytes.
  std::size_t copy();
};

}  // namespace baton::transport::shm
