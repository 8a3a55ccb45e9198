package cache

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
)

const digestPrefix = "sha256:"

// sum is the value that Digest, ActionID and RecipeID share: 32 bytes, written
// as "sha256:" and 64 lowercase hexadecimal digits.
type sum struct{ bytes [sha256.Size]byte }

// String gives "sha256:<hex>".
func (s sum) String() string { return digestPrefix + s.hex() }

// Append adds the form of String to b.
func (s sum) Append(b []byte) []byte { return hex.AppendEncode(append(b, digestPrefix...), s.bytes[:]) }

// IsZero tells whether s was never set. (No text is known to hash to zero.)
func (s sum) IsZero() bool { return s == sum{} }

// MarshalText writes the form of String, so that JSON holds a string.
func (s sum) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText accepts exactly what MarshalText writes.
func (s *sum) UnmarshalText(text []byte) error {
	digits, ok := bytes.CutPrefix(text, []byte(digestPrefix))
	var decoded sum
	if !ok || len(digits) != hex.EncodedLen(len(decoded.bytes)) || bytes.ContainsAny(digits, "ABCDEF") {
		return fmt.Errorf("digest %q: want sha256: and 64 lowercase hexadecimal digits", text)
	}
	if _, err := hex.Decode(decoded.bytes[:], digits); err != nil {
		return fmt.Errorf("digest %q: %w", text, err)
	}
	*s = decoded
	return nil
}

func (s sum) hex() string { return hex.EncodeToString(s.bytes[:]) }

// Digest is the SHA-256 of some content: its identity in keys, in the store and
// on remotes. Digests compare with ==.
type Digest struct{ sum }

// ActionID is the digest of a key text, the labelled lines that say all that a
// result depends on. It is a type of its own, so that no content's digest is
// ever looked up as an action.
type ActionID struct{ sum }

// RecipeID is the digest of a recipe's text: an action's key text in which each
// input's digest is replaced by its producer's RecipeID.
type RecipeID struct{ sum }

// Action is the action whose key is the recipe's text: it takes no artifact that
// another made. Such a recipe needs no record.
func (r RecipeID) Action() ActionID { return ActionID(r) }

// ParseDigest reads the form that Digest.String writes.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	err := d.UnmarshalText([]byte(text))
	return d, err
}

// SumBytes gives the digest of content held in memory.
func SumBytes(content []byte) Digest { return Digest{sum{sha256.Sum256(content)}} }

// NewActionID gives the identity of the action that keyText describes.
func NewActionID(keyText string) ActionID { return ActionID{sum{sha256.Sum256([]byte(keyText))}} }

// NewRecipeID gives the identity of the recipe that recipeText describes.
func NewRecipeID[T ~string | ~[]byte](recipeText T) RecipeID {
	return RecipeID{sum{sha256.Sum256([]byte(recipeText))}}
}

// Hasher is an io.Writer that computes the digest of what is written to it.
type Hasher struct{ hash hash.Hash }

// NewHasher gives a Hasher that has seen nothing.
func NewHasher() *Hasher { return &Hasher{sha256.New()} }

// Write adds content. It never fails.
func (h *Hasher) Write(content []byte) (int, error) { return h.hash.Write(content) }

// Sum gives the digest of all that was written so far.
func (h *Hasher) Sum() Digest {
	var d Digest
	h.hash.Sum(d.bytes[:0])
	return d
}
