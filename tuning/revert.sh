#!/bin/sh
# Restores what apply.sh changed, exactly: `revert.sh`, as root. See apply.sh for the variables.
set -eu

root=${FANSTORM_SYSCTL_ROOT:-/proc/sys}
saved=${FANSTORM_TUNING_STATE:-/var/lib/fanstorm/tuning.saved}
failed=0

plain() {
  tr -s ' \t' '  ' <"$1" | sed 's/ *$//'
}

[ -s "$saved" ] || { echo "nothing to restore: $saved is empty or absent"; exit 0; }
left=$(mktemp)
# The last change is undone first: one may have made another possible.
lines=$(sed -n '1!G;h;$p' "$saved")
while IFS= read -r line; do
  knob=${line%%=*} value=${line#*=}
  file=$root/$(echo "$knob" | tr . /)
  if echo "$value" >"$file" 2>/dev/null && [ "$(plain "$file")" = "$value" ]; then
    echo "  restored $knob = $value"
  else
    echo "  FAILED   $knob = $value" >&2
    echo "$line" >>"$left"
    failed=1
  fi
done <<LINES
$lines
LINES
# What could not be restored stays known.
if [ "$failed" = 1 ]; then
  sed -n '1!G;h;$p' "$left" >"$saved"
else
  rm -f "$saved"
fi
rm -f "$left"
exit "$failed"
