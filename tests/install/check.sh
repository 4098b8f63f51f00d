# For the tests of this folder. Sourced, after `build` and `source` were set.
set -euo pipefail

# The same each time, so that ccache knows what is compiled in it.
scratch=$build/tests/install/$(basename "$0" .sh)
rm -rf "$scratch"
mkdir -p "$scratch"

failures=0
fail() {
  echo "FAILED: $*" >&2
  failures=$((failures + 1))
}
finish() {
  [ "$failures" -eq 0 ] || exit 1
  echo "all is well"
}

# A program that runs where there is nothing but what was installed.
compile_consumer() { # COMPILER OUTPUT, with PKG_CONFIG_PATH set
  # shellcheck disable=SC2046
  "${launcher[@]}" "$1" -std=c++20 -Wall -Wextra -Wpedantic -Werror \
    $(pkg-config --cflags baton) -c "$source/tests/consumer/main.cc" -o "$2.o"
  # shellcheck disable=SC2046
  "$1" "$2.o" $(pkg-config --libs baton) -o "$2"
}

# No path of the machine that built it, but where NIXL is: BATON_RUNPATHS, the directories of NIXL and
# its UCX, separated by colons.
expect_no_paths() { # FILE
  local path
  while IFS= read -r path; do
    case ":${BATON_RUNPATHS-}:" in
      *":$path:"*) ;;
      *) fail "$1 has the RPATH $path" ;;
    esac
  done < <(readelf -d "$1" | sed -nE 's/.*\((RPATH|RUNPATH)\).*\[(.*)\]$/\2/p' | tr ':' '\n')
}
