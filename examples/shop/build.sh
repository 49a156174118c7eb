#!/bin/sh
# Builds the image of the shop as an OCI layout in dist/image, from busybox and the folder www. Without a network; the same commit gives
# the same bytes, as every time in it is that of the commit (SOURCE_DATE_EPOCH).
set -eu

root=dist/root
image=dist/image
rm -rf dist
mkdir -p "$image/blobs/sha256"
for folder in bin etc proc sys dev run tmp var/lib/dpkg; do mkdir -p "$root/$folder"; done

cp "$(command -v busybox)" "$root/bin/busybox"
for applet in sh httpd cat nc seq sleep; do ln -s busybox "$root/bin/$applet"; done
cp -r www "$root/www"
head -c 2097152 /dev/zero >"$root/www/large.bin"
printf 'root:x:0:0:root:/:/bin/sh\napp:x:1000:1000::/tmp:/bin/sh\n' >"$root/etc/passwd"
printf 'root:x:0:\napp:x:1000:\n' >"$root/etc/group"
# What it is made of, in the form in which every Debian image says it.
cp /etc/os-release "$root/etc/os-release"
dpkg-query -s busybox-static >"$root/var/lib/dpkg/status"
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp"

# put FILE: moves it among the blobs; its digest and size are in $digest and $bytes.
put() {
  digest=$(sha256sum "$1" | cut -c1-64)
  bytes=$(stat -c %s "$1")
  mv "$1" "$image/blobs/sha256/$digest"
}

tar -C "$root" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf dist/layer .
rm -r "$root"
put dist/layer
layer=$digest
layer_bytes=$bytes

cat >dist/config <<END
{"architecture":"$(dpkg --print-architecture)","os":"linux","created":"$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)",
"config":{"User":"app","Env":["PATH=/bin"],"Cmd":["/bin/httpd","-f","-p","8080","-h","/www"],"StopSignal":"SIGKILL"},
"rootfs":{"type":"layers","diff_ids":["sha256:$layer"]}}
END
put dist/config

cat >dist/manifest <<END
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$digest","size":$bytes},
"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:$layer","size":$layer_bytes}]}
END
put dist/manifest

cat >"$image/index.json" <<END
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$digest","size":$bytes}]}
END
printf '{"imageLayoutVersion":"1.0.0"}' >"$image/oci-layout"
