// Writes the model that `baton demo` uses in the virtual machine: its context is short, and so are
// the demo's prompts, for an emulated processor takes a second for some forty tokens.
#include <cstdio>

#include "src/engine/tiny_model.h"

int main(int argc, char** argv) {
  constexpr std::uint32_t kContextTokens = 256;
  if (argc != 2) {
    std::fprintf(stderr, "usage: rdma_small_model FILE\n");
    return 2;
  }
  const baton::Status status =
      baton::engine::write_tiny_model(argv[1], {.context_tokens = kContextTokens, .layers = 2});
  if (!status.ok()) {
    std::fprintf(stderr, "%s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}
