#!/bin/sh
# Pillow with torchvision and regft in turn, on one file and one core: run.sh [PYTHON] [ROUNDS]
set -e
cd "$(dirname "$0")/../.."
python=${1:-python3} rounds=${2:-5} file=datasets/preprocess/testdata/500x375.jpg
go test -c -o /tmp/regft-preprocess.test ./datasets/preprocess
for _ in $(seq "$rounds"); do
	"$python" bench/preprocess/pillow.py $file
	(cd datasets/preprocess && GOMAXPROCS=1 /tmp/regft-preprocess.test -test.run '^$' -test.bench 'Evaluate/(decode|preprocess|both)' -test.benchtime 300x | grep Benchmark)
done
