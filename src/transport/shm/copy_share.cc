#include "src/transport/shm/copy_share.h"

#include "src/base/copy_kernel.h"

namespace baton::transport::shm {
namespace {

void copy_whole(const CopyPiece& piece) {
  if (piece.digest == nullptr) {
    copy_bulk(piece.to, piece.from, piece.bytes);
    return;
  }
  DigestingCopy copy(piece.to, piece.from, piece.bytes);
  while (copy.left_bytes() > 0) {
    copy.advance(copy.left_bytes());
  }
  *piece.digest = copy.digest();
}

}  // namespace

std::size_t CopyShare::copy() {
  std::size_t bytes = part.bytes;
  for (const CopyPiece& piece : whole) {
    copy_whole(piece);
    bytes += piece.bytes;
  }
  copy_bulk(part.to, part.from, part.bytes);
  if (begun != nullptr) {
    bytes += begun->copy.advance(begun_budget_bytes);
    if (begun->copy.left_bytes() == 0) {
      *begun->digest = begun->copy.digest();
    }
  }
  // On this thread, whose stores they are; whoever learns that the share is copied needs no more.
  publish_stores();
  return bytes;
}

}  // namespace baton::transport::shm
