#!/usr/bin/env bash
# Proves that the tests see errors: applies the mutations of list.txt one at a time to a copy of the sources, and demands that
# the named test passes without and fails with each.
#
#   run.sh            all mutations; writes RESULT.md
#   run.sh --quick    those marked quick
#   run.sh --check    only that every mutation still fits its file
#   run.sh NAME...    those mutations
#
# A mutation that fits no more, that does not build, or whose test passes or runs into the time limit is an error.
set -euo pipefail
cd "$(dirname "$0")/../.."
root=$PWD
here=$root/tests/mutations
work=${CARGO_TARGET_DIR:-$root/target}/mutations
tree=$work/tree

names=() ideas=() files=() tests=() olds=() news=() quick=()
read_list() {
  local line part= i=-1
  while IFS= read -r line; do
    case $part:$line in
      old:===) part=new ;;
      new:'>>>') part= ;;
      old:*) olds[i]+=$line$'\n' ;;
      new:*) news[i]+=$line$'\n' ;;
      :'['*']') i=$((i + 1)) names[i]=${line:1:-1} ideas[i]= files[i]= tests[i]= olds[i]= news[i]= quick[i]= ;;
      :'idea: '*) ideas[i]=${line#idea: } ;;
      :'file: '*) files[i]=${line#file: } ;;
      :'test: '*) tests[i]=${line#test: } ;;
      :quick) quick[i]=1 ;;
      :'<<<') part=old ;;
    esac
  done <"$here/list.txt"
}

# the text of a file, and an end mark that keeps its last line ends
text() { cat "$1" && printf .; }

# mutation number $1 in the tree $2
mutated() {
  local whole old=${olds[$1]%$'\n'} new=${news[$1]%$'\n'} rest
  whole=$(text "$2/${files[$1]}") || return 1
  rest=${whole#*"$old"}
  if [ -z "$old" ] || [ "$rest" = "$whole" ]; then
    echo "${names[$1]}: ${files[$1]} does not hold the text to replace" >&2
    return 1
  fi
  if [ "${rest#*"$old"}" != "$rest" ]; then
    echo "${names[$1]}: ${files[$1]} holds the text to replace more than once" >&2
    return 1
  fi
  printf '%s' "${whole%%"$old"*}$new$rest"
}

# cargo test for "package program test", with the features and so the dependencies of a test of the whole workspace
cargo_test() {
  local package=$1 program=$2 crate
  shift 2
  local others=()
  for crate in "$tree"/crates/*/; do
    crate=$(basename "$crate")
    if [ "$crate" != "$package" ] && { [ -e "$tree/crates/$crate/tests/$program.rs" ] || [ -e "$tree/crates/$crate/tests/$program" ]; }; then
      others+=(--exclude "$crate")
    fi
  done
  (cd "$tree" && timeout 900 cargo test --locked --quiet --workspace "${others[@]}" --test "$program" "$@")
}

# Builds and runs the test of mutation $1: 0 passed, 1 failed, 2 neither, with the reason in $log.
log=$work/log
run_test() {
  local package program name status=0
  read -r package program name <<<"${tests[$1]}"
  if ! cargo_test "$package" "$program" --no-run >"$log" 2>&1; then
    return 2
  fi
  cargo_test "$package" "$program" -- --exact "$name" >"$log" 2>&1 || status=$?
  if [ $status = 0 ] && grep -q 'test result: ok. 1 passed' "$log"; then
    return 0
  elif [ $status = 101 ] && grep -q 'test result: FAILED. 0 passed; 1 failed' "$log"; then
    return 1
  fi
  return 2
}

copy_tree() {
  rm -rf "$tree"
  mkdir -p "$tree"
  # times of now: what an interrupted run left in the target folder is older, and built again
  tar -C "$root" --exclude=./target --exclude=./.git --exclude=./docs -cf - . | tar -C "$tree" -xmf -
}

# Takes over what the workspace has built of other people's crates.
copy_dependencies() {
  local from=${CARGO_TARGET_DIR:-$root/target}/debug to=$work/target/debug crate own=()
  if [ -e "$to" ] || [ ! -e "$from/deps" ]; then
    return 0
  fi
  for crate in "$tree"/crates/*/ benches; do
    crate=$(basename "$crate")
    own+=(! -name "$crate-*" ! -name "lib${crate//-/_}-*")
  done
  mkdir -p "$to/deps" "$to/build" "$to/.fingerprint"
  find "$from/.fingerprint" "$from/build" -mindepth 1 -maxdepth 1 "${own[@]}" -printf '%P\0' >"$work/list" || true
  tar -C "$from/.fingerprint" --ignore-failed-read --null -T "$work/list" -cf - 2>/dev/null | tar -C "$to/.fingerprint" -xf -
  tar -C "$from/build" --ignore-failed-read --null -T "$work/list" -cf - 2>/dev/null | tar -C "$to/build" -xf -
  find "$from/deps" -maxdepth 1 -name 'lib*' \( -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' \) "${own[@]}" \
    -exec cp -a -t "$to/deps" {} +
  rm "$work/list"
}

read_list
chosen=()
for i in "${!names[@]}"; do
  case ${1-} in
    '' | --check) chosen+=("$i") ;;
    --quick) [ -z "${quick[i]}" ] || chosen+=("$i") ;;
    *) for name; do [ "$name" != "${names[i]}" ] || chosen+=("$i"); done ;;
  esac
done
[ ${#chosen[@]} -gt 0 ] || { echo "no such mutation: $*" >&2; exit 2; }

# every mutation must fit, whatever is to run
unfit=0
for i in "${!names[@]}"; do
  mutated "$i" "$root" >/dev/null || unfit=1
done
[ $unfit = 0 ] || exit 1
[ "${1-}" != --check ] || { echo "${#names[@]} mutations fit"; exit 0; }

mkdir -p "$work"
copy_tree
copy_dependencies
export CARGO_TARGET_DIR=$work/target CARGO_INCREMENTAL=1 RUST_BACKTRACE=0
export CROSSRIG_PROPTEST_CASES=${CROSSRIG_PROPTEST_CASES:-24}

wrong=() verdicts=()
declare -A passes
for i in "${chosen[@]}"; do
  test=${tests[i]}
  if [ -z "${passes[$test]-}" ]; then
    if ! run_test "$i"; then
      tail -n 40 "$log"
      echo "without any mutation $test does not pass"
      exit 1
    fi
    passes[$test]=1
  fi
done

for i in "${chosen[@]}"; do
  file=$tree/${files[i]}
  text "$file" >"$work/original"
  mutated "$i" "$tree" >"$work/mutated"
  # without the end mark
  truncate -s -1 "$work/original" "$work/mutated"
  cat "$work/mutated" >"$file"
  status=0
  run_test "$i" || status=$?
  cat "$work/original" >"$file"
  case $status in
    1) verdicts[i]=caught ;;
    0) verdicts[i]='NOT CAUGHT' wrong+=("$i") ;;
    *) verdicts[i]='NO VERDICT' wrong+=("$i") && tail -n 40 "$log" ;;
  esac
  printf '%-40s %s (%d s)\n' "${names[i]}" "${verdicts[i]}" $SECONDS
done

if [ $# = 0 ]; then
  {
    printf '# Mutations: the result\n\n'
    printf 'Written by `run.sh`, which applies each mutation of `list.txt` alone and runs the test named for it (%s random\n' \
      "$CROSSRIG_PROPTEST_CASES"
    printf 'cases of each property; %s). All of these tests pass without a mutation.\n\n' "$(rustc --version | cut -d' ' -f1,2)"
    printf '%d of %d are caught.\n\n' $((${#chosen[@]} - ${#wrong[@]})) ${#chosen[@]}
    printf '| mutation | what is wrong | in | result | test |\n|---|---|---|---|---|\n'
    for i in "${chosen[@]}"; do
      read -r package program name <<<"${tests[i]}"
      printf '| %s | %s | `%s` | %s | `%s` of %s: `%s` |\n' "${names[i]}" "${ideas[i]}" "${files[i]#crates/}" "${verdicts[i]}" \
        "$program" "$package" "$name"
    done
  } >"$here/RESULT.md"
fi
printf '%d of %d mutations caught\n' $((${#chosen[@]} - ${#wrong[@]})) ${#chosen[@]}
[ ${#wrong[@]} = 0 ]
