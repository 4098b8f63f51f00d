#include "tools/demo/faults.h"

#include <cstddef>
#include <span>
#include <string_view>

namespace baton::demo {
namespace {

/// True exactly once: for the chunk with the chosen number. Called on the progress thread only.
class OnceAt {
 public:
  OnceAt(std::uint32_t number, FaultCount damaged) : left_(number), damaged_(std::move(damaged)) {}

  bool operator()() {
    if (left_ == 0 || --left_ > 0) {
      return false;
    }
    ++*damaged_;
    return true;
  }

 private:
  std::uint32_t left_;
  FaultCount damaged_;
};

void flip_a_byte(std::span<std::byte> chunk) {
  chunk[chunk.size() / 2] ^= std::byte{0xFF};
}

}  // namespace

FaultInjection make_faults(const Setup& setup, const FaultCount& damaged) {
  const auto flip =
      [once = OnceAt(setup.fault_at_chunk, damaged)](std::span<std::byte> chunk) mutable {
        if (once()) {
          flip_a_byte(chunk);
        }
      };
  FaultInjection faults;
  switch (setup.fault) {
    case Fault::kNone:
      break;
    case Fault::kCorrupt:
      faults.receiver.before_verify = flip;
      break;
    case Fault::kCorruptAfterCommit:
      faults.receiver.after_commit = flip;
      break;
    case Fault::kDropPut:
      faults.sender.drop_write = [once = OnceAt(setup.fault_at_chunk, damaged)](
                                     std::string_view /*key*/) mutable { return once(); };
      break;
  }
  return faults;
}

}  // namespace baton::demo
