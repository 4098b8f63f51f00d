// XXH3 (64 bits) over a chunk's own bytes: finds a missing, torn or misplaced write.
// It is no protection against a peer that lies.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace baton {

/// The whole range at once.
std::uint64_t digest_of(std::span<const std::byte> bytes);

/// The same value, in pieces, so that long ranges can be hashed in bounded slices.
class DigestStream {
 public:
  DigestStream();
  ~DigestStream();
  DigestStream(DigestStream&&) noexcept;
  DigestStream& operator=(DigestStream&&) noexcept;

  void update(std::span<const std::byte> bytes);
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace baton
