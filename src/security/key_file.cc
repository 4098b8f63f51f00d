#include "src/security/key_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "src/base/text.h"
#include "src/base/unique_fd.h"

namespace baton::security {
namespace {

constexpr std::size_t kMaxSecretFileBytes = 4096;
constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

Status file_error(const std::string& path, std::string_view what) {
  const int error = errno;
  const std::string message = fmt::format("{}: {}: {}", path, what, std::strerror(error));
  return error == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
}

Status check_file(const std::string& path, const UniqueFd& fd, FileSecrecy secrecy) {
  struct stat about {};
  if (::fstat(fd.get(), &about) != 0) {
    return file_error(path, "can't be examined");
  }
  if (!S_ISREG(about.st_mode)) {
    return absl::FailedPreconditionError(fmt::format("{} is no regular file", path));
  }
  const mode_t mode = about.st_mode & mode_t{07777};
  if (secrecy == FileSecrecy::kSecret && (mode & kOthers) != 0) {
    return absl::FailedPreconditionError(
        fmt::format("{0} has mode {1:04o}: others than its owner may use the secret key; run "
                    "'chmod 600 {0}', and make a new key if they could have read it",
                    path, mode));
  }
  return absl::OkStatus();
}

/// Reads on after short reads; stops one byte above the limit.
Status read_all(const std::string& path, const UniqueFd& fd, std::size_t max_bytes,
                std::string& text) {
  text.resize(max_bytes + 1);
  std::size_t filled = 0;
  while (filled < text.size()) {
    const ssize_t got = ::read(fd.get(), &text[filled], text.size() - filled);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return file_error(path, "can't be read");
    }
    if (got == 0) {
      break;
    }
    filled += static_cast<std::size_t>(got);
  }
  if (filled > max_bytes) {
    return absl::InvalidArgumentError(
        fmt::format("{} has more than {} bytes: that is no key file", path, max_bytes));
  }
  text.resize(filled);
  return absl::OkStatus();
}

/// A file under a name of its own that is renamed or linked to the real one once it is whole.
class Draft {
 public:
  Draft(std::string path, mode_t mode)
      : path_(std::move(path)), temporary_(fmt::format("{}.tmp-{}", path_, ::getpid())) {
    fd_.reset(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    mode_ = mode;
  }
  ~Draft() {
    if (fd_) {
      ::unlink(temporary_.c_str());
    }
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;

  Status write(std::string_view text) {
    // The umask may have taken bits away; none were ever added.
    if (!fd_ || ::fchmod(fd_.get(), mode_) != 0 ||
        ::write(fd_.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
        ::fsync(fd_.get()) != 0) {
      return file_error(path_, "can't be written");
    }
    return absl::OkStatus();
  }
  Status publish(bool overwrite) {
    if (overwrite) {
      return ::rename(temporary_.c_str(), path_.c_str()) == 0 ? absl::OkStatus()
                                                              : file_error(path_, "can't be made");
    }
    // Unlike rename, link never replaces what has appeared meanwhile.
    if (::link(temporary_.c_str(), path_.c_str()) == 0) {
      return absl::OkStatus();
    }
    return errno == EEXIST ? exists() : file_error(path_, "can't be made");
  }
  void take_back() { ::unlink(path_.c_str()); }
  Status check_absent() const {
    return ::access(path_.c_str(), F_OK) == 0 ? exists() : absl::OkStatus();
  }

 private:
  Status exists() const {
    return absl::AlreadyExistsError(
        fmt::format("{} is there already; choose another --name or --out, or replace the key with "
                    "--force",
                    path_));
  }

  const std::string path_;
  const std::string temporary_;
  UniqueFd fd_;
  mode_t mode_ = 0;
};

std::string secret_text(const std::string& name, const SecretKey& key) {
  std::string text = fmt::format(
      "# Baton: the secret key of {}. Whoever has it can speak as {}: keep mode 0600.\n{} ", name,
      name, kSecretMark);
  text.reserve(text.size() + 2 * kKeyBytes + 1);  // no copy of the secret is left behind
  for (const std::uint8_t byte : key.bytes()) {
    fmt::format_to(std::back_inserter(text), "{:02x}", byte);
  }
  text += '\n';
  return text;
}

/// What follows the mark, at the beginning of a line; empty if nothing does.
std::string_view secret_word(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.starts_with(kSecretMark)) {
      line.remove_prefix(kSecretMark.size());
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      return line.substr(0, line.find_first_of(" \t\r"));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return {};
}

Status write_both(Draft& secret, Draft& open, const std::string& secret_text,
                  const std::string& public_text, bool overwrite) {
  if (!overwrite) {
    Status absent = secret.check_absent();
    absent.Update(open.check_absent());
    if (!absent.ok()) {
      return absent;
    }
  }
  if (Status written = secret.write(secret_text); !written.ok()) {
    return written;
  }
  if (Status written = open.write(public_text); !written.ok()) {
    return written;
  }
  if (Status published = secret.publish(overwrite); !published.ok()) {
    return published;
  }
  Status published = open.publish(overwrite);
  if (!published.ok() && !overwrite) {
    secret.take_back();
  }
  return published;
}

}  // namespace

StatusOr<std::string> read_key_file(const std::string& path, std::size_t max_bytes,
                                    FileSecrecy secrecy) {
  // Not blocking: a FIFO would keep us waiting for its writer.
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) {
    return file_error(path, "can't be opened");
  }
  if (Status fine = check_file(path, fd, secrecy); !fine.ok()) {
    return fine;
  }
  std::string text;
  if (Status read = read_all(path, fd, max_bytes, text); !read.ok()) {
    wipe(text);
    return read;
  }
  return text;
}

StatusOr<SecretKey> read_secret_key(const std::string& path) {
  auto text = read_key_file(path, kMaxSecretFileBytes, FileSecrecy::kSecret);
  if (!text.ok()) {
    return text.status();
  }
  auto key = SecretKey::parse(secret_word(*text));
  wipe(*text);
  if (!key.ok()) {
    return absl::InvalidArgumentError(fmt::format(
        "{} holds no secret key; give the .secret file that `baton keys generate` has written",
        path));
  }
  return key;
}

StatusOr<WrittenKey> write_new_key(const std::string& dir, const std::string& name, KeyRole role,
                                   const std::vector<std::string>& addresses, bool overwrite) {
  if (name.find('/') != std::string::npos || name.starts_with('.')) {
    return absl::InvalidArgumentError(fmt::format(
        "--name {} must not begin with a dot or contain a slash; --out is for the directory",
        quote(name)));
  }
  const SecretKey key = SecretKey::generate();
  auto line = to_line({key.public_key(), name, role, addresses});
  if (!line.ok()) {
    return line.status();
  }
  WrittenKey written{dir + "/" + name + ".secret", dir + "/" + name + ".public", *std::move(line)};
  Draft secret(written.secret_path, S_IRUSR | S_IWUSR);
  Draft open(written.public_path, S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
  std::string text = secret_text(name, key);
  Status stored = write_both(secret, open, text, written.public_line + "\n", overwrite);
  wipe(text);
  if (!stored.ok()) {
    return stored;
  }
  return written;
}

}  // namespace baton::security
