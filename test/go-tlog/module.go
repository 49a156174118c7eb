package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
	modzip "golang.org/x/mod/zip"
)

// Whether module.Check takes Path at Version, which must be canonical too.
func canonical(q question) (answer, error) {
	if err := module.Check(q.Path, q.Version); err != nil {
		return answer{}, err
	}
	if module.CanonicalVersion(q.Version) != q.Version {
		return answer{}, fmt.Errorf("version %q is not canonical", q.Version)
	}
	path, err := module.EscapePath(q.Path)
	if err != nil {
		return answer{}, err
	}
	version, err := module.EscapeVersion(q.Version)
	return answer{Text: path + "@" + version}, err
}

// Puts the module in Dir into the folder Proxy, as GOPROXY has it; the two lines of its record.
func packed(q question) (answer, error) {
	escaped, err := canonical(q)
	if err != nil {
		return answer{}, err
	}
	path, version, _ := bytes.Cut([]byte(escaped.Text), []byte("@"))
	folder := filepath.Join(q.Proxy, string(path), "@v")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return answer{}, err
	}
	name := filepath.Join(folder, string(version))
	goMod, err := os.ReadFile(filepath.Join(q.Dir, "go.mod"))
	if err != nil {
		return answer{}, err
	}
	var zipped bytes.Buffer
	if err := modzip.CreateFromDir(&zipped, module.Version{Path: q.Path, Version: q.Version}, q.Dir); err != nil {
		return answer{}, err
	}
	info := fmt.Appendf(nil, `{"Version":%q,"Time":"2026-01-01T00:00:00Z"}`, q.Version)
	for end, data := range map[string][]byte{".zip": zipped.Bytes(), ".mod": goMod, ".info": info} {
		if err := os.WriteFile(name+end, data, 0o644); err != nil {
			return answer{}, err
		}
	}
	return recordOf(q, name)
}

func recordOf(q question, name string) (answer, error) {
	zipHash, err := dirhash.HashZip(name+".zip", dirhash.Hash1)
	if err != nil {
		return answer{}, err
	}
	goModHash, err := dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) { return os.Open(name + ".mod") })
	text := fmt.Sprintf("%s %s %s\n%s %s/go.mod %s\n", q.Path, q.Version, zipHash, q.Path, q.Version, goModHash)
	return answer{Text: text}, err
}
