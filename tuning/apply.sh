#!/bin/sh
# Applies a profile until the next restart: `apply.sh PROFILE`, as root. Former values are kept, and
# revert.sh restores them exactly.
#
# PROFILE is throughput, million-connections, latency, or a file in the form of sysctl.d, such as
# `fanstorm audit --fix-file` writes. A knob that this kernel or network namespace does not have is
# skipped and named. A line `# at least` above a knob means that a host that has more keeps it.
#
# FANSTORM_SYSCTL_ROOT (default /proc/sys) and FANSTORM_TUNING_STATE (default
# /var/lib/fanstorm/tuning.saved) exist for tests.
set -eu

root=${FANSTORM_SYSCTL_ROOT:-/proc/sys}
saved=${FANSTORM_TUNING_STATE:-/var/lib/fanstorm/tuning.saved}
here=$(dirname "$0")
failed=0

profile() {
  case $1 in
    */* | *.conf) echo "$1" ;;
    *) echo "$here/sysctl/$1.conf" ;;
  esac
}

# Numbers apart by one blank, as the kernel separates them by tabs.
plain() {
  tr -s ' \t' '  ' <"$1" | sed 's/ *$//'
}

# True when no number of $1 is less than its counterpart in $2.
has_as_much() {
  set -- "$1" "$2" x
  for have in $1; do
    want=${2%% *}
    rest=${2#* }
    # Longer than any 64-bit arithmetic of a shell: fs.file-max may be 2^63 - 1.
    [ "${#have}" -gt "${#want}" ] || { [ "${#have}" -eq "${#want}" ] && [ "$have" -ge "$want" ]; } || return 1
    set -- "$1" "$rest" x
  done
}

# The first value that a knob had counts, whatever is applied on top of it.
keep() {
  grep -q "^$1=" "$saved" || printf '%s=%s\n' "$1" "$2" >>"$saved"
}

forget() {
  grep -v "^$1=" "$saved" >"$saved.new" || true
  mv "$saved.new" "$saved"
}

set_knob() {
  knob=$1 value=$2 at_least=$3
  file=$root/$(echo "$knob" | tr . /)
  if [ ! -e "$file" ]; then
    echo "  skipped  $knob: not here (kernel, module or network namespace)"
    return
  fi
  former=$(plain "$file")
  if [ "$former" != "$value" ] && [ ! -w "$file" ]; then
    echo "  skipped  $knob: read-only here, it is $former (set it on the host)"
    return
  fi
  if [ "$former" = "$value" ]; then
    echo "  as it is $knob = $value"
    return
  fi
  if [ "$at_least" = 1 ] && has_as_much "$former" "$value"; then
    echo "  has more $knob = $former"
    return
  fi
  keep "$knob" "$former"
  if echo "$value" >"$file" 2>/dev/null && [ "$(plain "$file")" = "$value" ]; then
    echo "  set      $knob = $value (was $former)"
  else
    echo "  FAILED   $knob = $value (is $(plain "$file"))" >&2
    failed=1
    # Nothing to restore where nothing was changed.
    [ "$(plain "$file")" != "$former" ] || forget "$knob"
  fi
}

[ $# = 1 ] || { sed -n '2,5p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }
conf=$(profile "$1")
[ -r "$conf" ] || { echo "$conf: no such profile; there are: $(cd "$here/sysctl" && echo *.conf)" >&2; exit 2; }
mkdir -p "$(dirname "$saved")"
touch "$saved"

at_least=0
while IFS= read -r line || [ -n "$line" ]; do
  case $line in
    '# at least') at_least=1; continue ;;
    '#'* | ';'* | '') continue ;;
    *=*) ;;
    *) continue ;;
  esac
  knob=$(echo "${line%%=*}" | tr -d ' \t-')
  value=$(echo "${line#*=}" | tr -s ' \t' '  ' | sed 's/^ *//; s/ *$//')
  set_knob "$knob" "$value" "$at_least"
  at_least=0
done <"$conf"

echo "former values: $saved; $here/revert.sh restores them"
exit "$failed"
