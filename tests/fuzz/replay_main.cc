// Runs a fuzz target on every file of a folder, on every prefix of each, and with every bit of each
// flipped once: deterministic, in a bounded time, and with any compiler.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::uint8_t>;

/// Most prefixes, and most flipped bits, of one file: of longer ones an even selection.
constexpr std::size_t kDefaultVariants = 20'000;

void run(const Bytes& input, std::size_t size) {
  // A block of exactly this size: a sanitizer sees a read beyond it.
  const std::unique_ptr<std::uint8_t[]> exact(new std::uint8_t[size]);
  std::copy_n(input.begin(), size, exact.get());
  LLVMFuzzerTestOneInput(exact.get(), size);
}

std::size_t run_all(Bytes input, std::size_t max_variants) {
  const std::size_t bits = 8 * input.size();
  const std::size_t prefix_step = input.size() / max_variants + 1;
  const std::size_t bit_step = bits / max_variants + 1;
  std::size_t count = 1;
  run(input, input.size());
  for (std::size_t size = 0; size < input.size(); size += prefix_step, ++count) {
    run(input, size);
  }
  for (std::size_t bit = 0; bit < bits; bit += bit_step, ++count) {
    const auto mask = static_cast<std::uint8_t>(1U << (bit % 8));
    input[bit / 8] ^= mask;
    run(input, input.size());
    input[bit / 8] ^= mask;
  }
  return count;
}

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t variants = argc == 3 ? std::strtoul(argv[2], nullptr, 10) : kDefaultVariants;
  if (argc < 2 || argc > 3 || variants == 0) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER [VARIANTS]\n", argv[0]);
    return 2;
  }
  const std::vector<fs::path> files = files_of(argv[1]);
  std::size_t inputs = 0;
  for (const fs::path& file : files) {
    std::fprintf(stderr, "%s\n", file.filename().c_str());  // The last one, should it abort.
    std::ifstream stream(file, std::ios::binary);
    inputs += run_all(Bytes(std::istreambuf_iterator<char>(stream), {}), variants);
  }
  std::printf("%zu inputs from %zu files\n", inputs, files.size());
  return files.empty() ? 1 : 0;
}
