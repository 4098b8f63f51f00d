// Encoding and decoding in memory that was used before.
#pragma once

#include <string>
#include <string_view>

#include "src/wire/messages.h"

namespace baton::wire {

// A message of thousands of keys has hundreds of kilobytes. Fresh memory of that size mostly comes
// from the kernel, page by page, and costs more than what is done in it. So each thread keeps up to
// kMaxKeptBytes of what its last such message was encoded into, and as much of its keys.

inline constexpr std::size_t kMaxKeptBytes = std::size_t{1} << 20U;

/// What encode() gives, as long as this lives.
class Encoded {
 public:
  explicit Encoded(const Message& message);
  ~Encoded();
  Encoded(const Encoded&) = delete;
  Encoded& operator=(const Encoded&) = delete;

  std::string_view bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

/// A decoded message that nobody needs any more: the next one that this thread decodes may lie
/// where it lay.
void recycle(Message&& message);

}  // namespace baton::wire
