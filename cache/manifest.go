package cache

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// File is one entry of a Manifest.
type File struct {
	// Name is the file's path inside the artifact: relative, clean, with
	// slashes, without newlines. It need not be UTF-8.
	Name   string `json:"name"`
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"` // bytes
}

// Manifest says what an artifact holds: its files in bytewise order of their
// names. The artifact's identity is the digest of the manifest's encoding.
type Manifest struct {
	Files []File `json:"files"`
}

// manifestHeader is the first line of every encoded manifest.
const manifestHeader = "regft manifest 1\n"

// NewManifest sorts files (without changing the slice given) and checks their
// names: a name that is not clean and relative, or that comes twice, is an error.
func NewManifest(files []File) (Manifest, error) {
	m := Manifest{Files: slices.Clone(files)}
	slices.SortFunc(m.Files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	if err := m.validate(); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

// Encode gives the canonical encoding: a header line, then one line per file,
// "<64 hexadecimal digits> <size> <name>", in bytewise order of the names.
func (m Manifest) Encode() []byte {
	var b bytes.Buffer
	b.WriteString(manifestHeader)
	for _, f := range m.Files {
		b.WriteString(f.Digest.hex())
		b.WriteByte(' ')
		b.WriteString(strconv.FormatInt(f.Size, 10))
		b.WriteByte(' ')
		b.WriteString(f.Name)
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// DecodeManifest accepts exactly what Encode writes for a valid manifest; the
// error names the line.
func DecodeManifest(encoded []byte) (Manifest, error) {
	body, ok := strings.CutPrefix(string(encoded), manifestHeader)
	if !ok {
		return Manifest{}, errors.New("manifest: line 1: want " + strconv.Quote(manifestHeader))
	}
	var m Manifest
	for number := 2; body != ""; number++ {
		line, rest, ended := strings.Cut(body, "\n")
		if !ended {
			return Manifest{}, fmt.Errorf("manifest: line %d: cut short", number)
		}
		f, err := parseFile(line)
		if err != nil {
			return Manifest{}, fmt.Errorf("manifest: line %d: %w", number, err)
		}
		m.Files, body = append(m.Files, f), rest
	}
	return m, m.validate()
}

// parseFile reads one line of a manifest, without its newline.
func parseFile(line string) (File, error) {
	digits, rest, _ := strings.Cut(line, " ")
	size, name, ok := strings.Cut(rest, " ")
	if !ok {
		return File{}, errors.New("want digest, size and name")
	}
	digest, err := ParseDigest(digestPrefix + digits)
	if err != nil {
		return File{}, err
	}
	n, err := strconv.ParseInt(size, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != size {
		return File{}, fmt.Errorf("size %q is not a number of bytes", size)
	}
	return File{Name: name, Digest: digest, Size: n}, nil
}

// validate checks order, names and sizes.
func (m Manifest) validate() error {
	for i, f := range m.Files {
		if err := checkName(f.Name); err != nil {
			return err
		}
		if f.Size < 0 {
			return fmt.Errorf("manifest: %q has size %d", f.Name, f.Size)
		}
		if i > 0 && m.Files[i-1].Name == f.Name {
			return fmt.Errorf("manifest: %q comes twice", f.Name)
		}
		if i > 0 && m.Files[i-1].Name > f.Name {
			return fmt.Errorf("manifest: %q comes after %q: names must be sorted", f.Name, m.Files[i-1].Name)
		}
	}
	return nil
}

// checkName refuses names that could leave the folder an artifact is written to,
// or that have a second spelling. It is fs.ValidPath for any bytes but newline
// and NUL: pictures of published datasets are not always named in UTF-8.
func checkName(name string) error {
	if strings.ContainsAny(name, "\n\x00") {
		return fmt.Errorf("manifest: name %q holds a newline or a zero byte", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return fmt.Errorf("manifest: name %q is not a clean relative path", name)
		}
	}
	return nil
}

// Digest is the artifact's identity: the digest of Encode.
func (m Manifest) Digest() Digest { return SumBytes(m.Encode()) }

// Lookup finds a file by its name.
func (m Manifest) Lookup(name string) (File, bool) {
	i, found := slices.BinarySearchFunc(m.Files, name, func(f File, name string) int { return cmp.Compare(f.Name, name) })
	if !found {
		return File{}, false
	}
	return m.Files[i], true
}

// Size is the number of bytes of all files together.
func (m Manifest) Size() int64 {
	var total int64
	for _, f := range m.Files {
		total += f.Size
	}
	return total
}
