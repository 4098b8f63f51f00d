#!/usr/bin/env bash
# Installs Baton into a scratch prefix, moves that, and builds and runs a consumer from it, by CMake
# and by pkg-config. Holds the exported symbols and the headers against each other.
#
#   tests/install/library.sh BUILD SOURCE COMPILER [LAUNCHER...]
build=$1 source=$2 compiler=$3
launcher=("${@:4}")
# shellcheck source=tests/install/check.sh
. "$source/tests/install/check.sh"

cmake --install "$build" --prefix "$scratch/first" >"$scratch/log" || {
  cat "$scratch/log" >&2
  exit 1
}
mv "$scratch/first" "$scratch/prefix"
prefix=$scratch/prefix
pkgconfig=$(dirname "$(find "$prefix" -name baton.pc)")
libdir=$(dirname "$pkgconfig")
export PKG_CONFIG_PATH=$pkgconfig

# ---- what is there -----------------------------------------------------------------------------
soname=$(readelf -d "$libdir/libbaton.so" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ "$(readlink "$libdir/libbaton.so")" = "$soname" ] || fail "libbaton.so is no link to $soname"
grep -q " BATON_${soname#libbaton.so.}$" <<<"$(nm -D "$libdir/$soname")" ||
  fail "src/libbaton.map has another version than $soname"
[ -e "$libdir/$soname" ] || fail "$soname is missing"
diff <(cd "$source/include" && find . -name '*.h' | sort) \
  <(cd "$prefix/include" && find . -type f | sort) || fail "the headers are not include/baton/*.h"
if grep -rl "$source" "$prefix/include" "$pkgconfig" "$libdir/cmake" >&2; then
  fail "these name the sources"
fi
if grep -rl "$scratch" "$prefix/include" "$pkgconfig" "$libdir/cmake" >&2; then
  fail "these name the prefix, which may move"
fi
expect_no_paths "$libdir/$soname"
expect_no_paths "$prefix/bin/baton"
[ "$("$prefix/bin/baton" --version)" = "baton $(pkg-config --modversion baton)" ] ||
  fail "the command and baton.pc are of different versions"

# ---- Python, where the module was built ----------------------------------------------------------
module=$(find "$build/python/baton" -name '_baton*.so' 2>/dev/null || true)
if [ -n "$module" ]; then
  python=$(sed -n 's/^_*Python_EXECUTABLE:[A-Z]*=//p' "$build/CMakeCache.txt" | head -n 1)
  python=${python:-/usr/bin/python3}
  folder=$(dirname "$(dirname "$(find "$prefix" -name py.typed)")")
  expect_no_paths "$folder/baton/$(basename "$module")"
  (cd "$scratch" && PYTHONPATH=$folder "$python" -c '
import os, sys, baton, baton.lmcache
assert os.path.dirname(os.path.dirname(baton.__file__)) == sys.argv[1], baton.__file__
baton.Options(pd_role="sender", pd_buffer_size=1 << 20)' "$folder") || fail "baton can't be imported from $folder"
  # From these prefixes it is found without more.
  for system in /usr/local /usr; do
    DESTDIR=$scratch/root cmake --install "$build" --prefix "$system" --component python >/dev/null
    folder=$(dirname "$(dirname "$(find "$scratch/root" -name py.typed)")")
    "$python" -c 'import site, sys; assert sys.argv[1] in site.getsitepackages()' \
      "${folder#"$scratch/root"}" || fail "with the prefix $system, Python doesn't look in $folder"
    rm -r "$scratch/root"
  done
fi

# ---- the API, and nothing else, is exported ------------------------------------------------------
# Classes and free functions as the headers declare them.
headers=("$prefix"/include/baton/*.h)
classes=$(sed -nE 's/^(class|struct) ([A-Za-z]+) (final )?\{.*/\2/p' "${headers[@]}" | sort -u)
functions=$(sed -nE '/^(inline|template|using|constexpr)/!s/^[A-Za-z][A-Za-z0-9_:<>, ]*[ >]([a-z_]+)\(.*/\1/p' \
  "${headers[@]}" | sort -u)
[ "$(wc -w <<<"$classes")" -ge 10 ] && [ "$(wc -w <<<"$functions")" -ge 8 ] ||
  fail "the declarations were not found: $classes $functions"
alternatives() { paste -sd '|' <<<"$1"; }
public="^baton::(($(alternatives "$classes"))::~?[A-Za-z_]+|($(alternatives "$functions")))(\[abi:cxx11\])?\("

exported=$(nm -DC --defined-only --without-symbol-versions "$libdir/$soname" | grep -v ' A ' | cut -c20-)
[ -n "$exported" ] || fail "nothing is exported"
foreign=$(grep -vE "$public" <<<"$exported" || true)
[ -z "$foreign" ] || fail "exported, but no API:"$'\n'"$foreign"
# What the layers define, not inline, and the library hides. PdBackend's constructor is private.
hidden=$(nm -C --defined-only "$build"/src/*/libbaton_*.a 2>/dev/null | sed -nE 's/^[0-9a-f]+ T //p' |
  grep -E "$public" | grep -vE '\{lambda|\[clone|^baton::PdBackend::PdBackend\(' |
  grep -vxFf <(echo "$exported") | sort -u || true)
[ -z "$hidden" ] || fail "declared in the headers, but not exported (src/libbaton.map):"$'\n'"$hidden"

# ---- each header compiles alone, and brings no third party but Abseil ------------------------------
for header in "${headers[@]}"; do
  name=baton/$(basename "$header")
  alone=$scratch/alone-$(basename "$header" .h)
  echo "#include <$name>" >"$alone.cc"
  # shellcheck disable=SC2046
  "${launcher[@]}" "$compiler" -std=c++20 -Wall -Wextra -Wpedantic -Werror \
    $(pkg-config --cflags baton) -c "$alone.cc" -o "$alone.o" || fail "$name does not compile alone"
done
# shellcheck disable=SC2046
printf '#include <baton/%s>\n' "${headers[@]##*/}" |
  "$compiler" -std=c++20 -M $(pkg-config --cflags baton) -x c++ - | tr ' \\' '\n\n' |
  grep -E '^/usr/(local/)?include/' |
  grep -vE '^/usr/include/(absl|c\+\+|x86_64-linux-gnu|[a-z0-9_]+-linux-gnu|linux|asm-generic)/' |
  grep -vxFf <(dpkg -L libc6-dev linux-libc-dev 2>/dev/null || true) >"$scratch/leaks" || true
[ ! -s "$scratch/leaks" ] || fail "headers of third parties leak:"$'\n'"$(cat "$scratch/leaks")"

# ---- consumers -----------------------------------------------------------------------------------
cmake -S "$source/tests/consumer" -B "$scratch/by-cmake" -DCMAKE_PREFIX_PATH="$prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_COMPILER_LAUNCHER="$(IFS=';' && echo "${launcher[*]}")" \
  >"$scratch/log" 2>&1 &&
  cmake --build "$scratch/by-cmake" >>"$scratch/log" 2>&1 || {
  cat "$scratch/log" >&2
  exit 1
}
"$scratch/by-cmake/consumer" || fail "the consumer that CMake built"

compile_consumer "$compiler" "$scratch/by-pkg-config"
LD_LIBRARY_PATH=$libdir "$scratch/by-pkg-config" || fail "the consumer that pkg-config built"
grep -q "NEEDED.*\[$soname\]" <<<"$(readelf -d "$scratch/by-pkg-config")" ||
  fail "the consumer does not need $soname"

# Before 1.0, another minor version is not compatible.
sed 's/find_package(baton [0-9.]*/find_package(baton 0.0/' "$source/tests/consumer/CMakeLists.txt" \
  >"$scratch/CMakeLists.txt"
cp "$source/tests/consumer/main.cc" "$scratch/"
if cmake -S "$scratch" -B "$scratch/other-version" -DCMAKE_PREFIX_PATH="$prefix" >"$scratch/log" 2>&1; then
  fail "find_package took this version for 0.0"
fi
finish
