#!/bin/sh
# A script of the night: rotates logs, counts words, packs folders. $1 is the seed of its pauses.
seed=$1
cd /tmp/scratch || exit 1
mkdir -p old
while :; do
  seed=$(((seed * 1103 + 12345) % 32768))
  file=log/$((seed % 8)).log
  sort "$file" | uniq | wc -l >old/count
  grep -c "line 1" "$file" >>old/count
  if [ $((seed % 3)) -eq 0 ]; then
    tar -czf old/docs.tar.gz docs
    find docs -name '1*.txt' | head -n 20 >old/list
  else
    sed "s/line/entry/" "$file" >old/copy && mv old/copy old/kept
    awk '{ n += $2 } END { print n }' "$file" >>old/count
  fi
  sleep 0.0$((seed % 9 + 1))
done
