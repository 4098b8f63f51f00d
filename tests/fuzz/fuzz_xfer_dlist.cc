// The pickle of a peer's pages. What is accepted is exactly what is encoded again, in one of the
// forms that are read.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "src/wire/xfer_dlist.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using baton::fuzz::require;
  constexpr std::size_t kMaxDescriptors = 8;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto list = baton::wire::decode_xfer_dlist(bytes, kMaxDescriptors);
  if (!list.ok()) {
    require(list.status().message().size() < 1024, "an error that fits a log line");
    return 0;
  }
  require(!list->descriptors.empty() && list->descriptors.size() <= kMaxDescriptors,
          "no more pages than the limit");
  const std::string again = baton::wire::encode_xfer_dlist(*list);
  require(*baton::wire::decode_xfer_dlist(again, kMaxDescriptors) == *list, "it comes back");
  if (bytes.size() == again.size() && bytes[1] == again[1]) {
    require(bytes == again, "one form only");
  }
  return 0;
}
