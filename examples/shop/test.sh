#!/bin/sh
# Tests the image that build.sh made: every blob is what its name says, and the page is in it.
set -eu

for blob in dist/image/blobs/sha256/*; do
  [ "$(sha256sum "$blob" | cut -c1-64)" = "$(basename "$blob")" ]
done
for blob in dist/image/blobs/sha256/*; do
  if tar -tf "$blob" ./www/index.html >/dev/null 2>&1; then exit 0; fi
done
echo "the page is in no layer" >&2
exit 1
