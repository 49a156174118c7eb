// Answers questions about trees and notes with the code of Go's checksum database: one JSON object a line in, one a line out.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Lines are as long as the longest proof, or note, needs.
const lineBytesMax = 1 << 20

type question struct {
	Do string `json:"do"`
	// Entries of a tree: "PREFIX INDEX", filled with spaces up to Bytes.
	Prefix  string  `json:"prefix"`
	Bytes   int     `json:"bytes"`
	Size    int64   `json:"size"`
	Indexes []int64 `json:"indexes"`
	Froms   []int64 `json:"froms"`
	// A claim to check.
	Index    int64       `json:"index"`
	From     int64       `json:"from"`
	Root     tlog.Hash   `json:"root"`
	FromRoot tlog.Hash   `json:"fromRoot"`
	LeafHash tlog.Hash   `json:"leafHash"`
	Proof    []tlog.Hash `json:"proof"`
	// A note, and keys in their text form.
	Text string `json:"text"`
	Key  string `json:"key"`
	// A module, the folder that it is in, and one that a GOPROXY is made in.
	Path    string `json:"path"`
	Version string `json:"version"`
	Dir     string `json:"dir"`
	Proxy   string `json:"proxy"`
}

type answer struct {
	Error       string        `json:"error,omitempty"`
	Root        *tlog.Hash    `json:"root,omitempty"`
	Inclusion   [][]tlog.Hash `json:"inclusion,omitempty"`
	Consistency [][]tlog.Hash `json:"consistency,omitempty"`
	Text        string        `json:"text,omitempty"`
	Nanoseconds int64         `json:"nanoseconds,omitempty"`
}

// The stored hashes of a tree in memory.
type storage []tlog.Hash

func (s storage) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for at, index := range indexes {
		hashes[at] = s[index]
	}
	return hashes, nil
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, lineBytesMax)
	out := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked question
		err := json.Unmarshal(lines.Bytes(), &asked)
		var given answer
		if err == nil {
			given, err = reply(asked)
		}
		if err != nil {
			given = answer{Error: err.Error()}
		}
		if err := out.Encode(given); err != nil {
			panic(err)
		}
	}
	if err := lines.Err(); err != nil {
		panic(err)
	}
}

func reply(q question) (answer, error) {
	switch q.Do {
	case "tree":
		return tree(q)
	case "time":
		return timeOf(q)
	case "inclusion":
		return answer{}, tlog.CheckRecord(q.Proof, q.Size, q.Root, q.Index, q.LeafHash)
	case "consistency":
		return answer{}, tlog.CheckTree(q.Proof, q.Size, q.Root, q.From, q.FromRoot)
	case "open":
		return opened(q)
	case "sign":
		return signed(q)
	case "module":
		return canonical(q)
	case "pack":
		return packed(q)
	}
	return answer{}, fmt.Errorf("there is no %q", q.Do)
}

func entriesOf(q question) [][]byte {
	entries := make([][]byte, q.Size)
	for at := range entries {
		entry := fmt.Appendf(nil, "%s %d", q.Prefix, at)
		entries[at] = append(entry, bytes.Repeat([]byte(" "), max(0, q.Bytes-len(entry)))...)
	}
	return entries
}

func build(entries [][]byte) (storage, tlog.Hash, error) {
	hashes := make(storage, 0, tlog.StoredHashCount(int64(len(entries))))
	for at, entry := range entries {
		added, err := tlog.StoredHashes(int64(at), entry, hashes)
		if err != nil {
			return nil, tlog.Hash{}, err
		}
		hashes = append(hashes, added...)
	}
	root, err := tlog.TreeHash(int64(len(entries)), hashes)
	return hashes, root, err
}

func tree(q question) (answer, error) {
	hashes, root, err := build(entriesOf(q))
	if err != nil {
		return answer{}, err
	}
	given := answer{Root: &root}
	for _, index := range q.Indexes {
		proof, err := tlog.ProveRecord(q.Size, index, hashes)
		if err != nil {
			return answer{}, err
		}
		given.Inclusion = append(given.Inclusion, append([]tlog.Hash{}, proof...))
	}
	for _, from := range q.Froms {
		proof, err := tlog.ProveTree(q.Size, from, hashes)
		if err != nil {
			return answer{}, err
		}
		given.Consistency = append(given.Consistency, append([]tlog.Hash{}, proof...))
	}
	return given, nil
}

// The time to build a tree whose entries are there.
func timeOf(q question) (answer, error) {
	entries := entriesOf(q)
	start := time.Now()
	_, root, err := build(entries)
	return answer{Root: &root, Nanoseconds: time.Since(start).Nanoseconds()}, err
}

// The text of a note that Key verifies.
func opened(q question) (answer, error) {
	verifier, err := note.NewVerifier(q.Key)
	if err != nil {
		return answer{}, err
	}
	known, err := note.Open([]byte(q.Text), note.VerifierList(verifier))
	if err != nil {
		return answer{}, err
	}
	return answer{Text: known.Text}, nil
}

func signed(q question) (answer, error) {
	signer, err := note.NewSigner(q.Key)
	if err != nil {
		return answer{}, err
	}
	text, err := note.Sign(&note.Note{Text: q.Text}, signer)
	return answer{Text: string(text)}, err
}
