#!/bin/bash
# Runs examples/shapes/full.yaml from an empty cache and the same method in PyTorch, in turn, with as many generations,
# trainings and evaluations, and prints what each took: clock, user and system seconds, peak memory in KiB.
# Usage: bench/peers/method.sh WORLD PYTHON [REPLICATES] [ROUNDS], WORLD being the folder of method.py, PYTHON one with
# torch, diffusers and transformers. On one replicate each takes some minutes; other work beside makes the clock worthless.
set -euo pipefail
world=$(realpath "$1") python=$2 replicates=${3:-1} rounds=${4:-1}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -o "$work/regft" ./cmd/regft
spec=$PWD/examples/shapes/full.yaml
mkdir "$work/world"
ln -s "$world"/checkpoints/{sd-nano,clip-nano} "$world/real" "$work/world/"
for ((i = 1; i <= rounds; i++)); do
  rm -rf "$work/cache"
  (cd "$work" && REGFT_CACHE=$work/cache /usr/bin/time -a -o ours -f "%e %U %S %M" ./regft run "$spec" \
    --set "sweep.axes.draw={replicates: [$(seq -s, 0 $((replicates - 1)))]}" >log 2>&1) || { tail "$work/log"; exit 1; }
  echo "regft:     $(tail -1 "$work/ours")"
  /usr/bin/time -a -o "$work/theirs" -f "%e %U %S %M" "$python" "$world/method.py" "$work/world" "$replicates" >"$work/log" 2>&1 || { tail "$work/log"; exit 1; }
  echo "method.py: $(tail -1 "$work/theirs")"
done
paste "$work/ours" "$work/theirs" | awk '{ o = $2 + $3; t = $6 + $7 } NR == 1 || $1 < ow { ow = $1 } NR == 1 || $5 < tw { tw = $5 } NR == 1 || o < oc { oc = o } NR == 1 || t < tc { tc = t }
  END { printf "best of %d, ours to method.py: clock %.2f, CPU %.2f\n", NR, ow / tw, oc / tc }'
