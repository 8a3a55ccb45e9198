package cache_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"regft/cache"
)

func TestDigestOfKnownContent(t *testing.T) {
	const abc = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // FIPS 180-2, B.1
	for what, got := range map[string]fmt.Stringer{
		"digest": cache.SumBytes([]byte("abc")),
		"action": cache.NewActionID("abc"),
		"recipe": cache.NewRecipeID("abc"),
	} {
		if got.String() != abc {
			t.Errorf("%s of abc: %s, want %s", what, got, abc)
		}
	}
}

func TestDigestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		content := rapid.SliceOf(rapid.Byte()).Draw(t, "content")
		cut := rapid.IntRange(0, len(content)).Draw(t, "cut")
		want := cache.SumBytes(content)
		hasher := cache.NewHasher()
		hasher.Write(content[:cut])
		hasher.Write(content[cut:])
		if got := hasher.Sum(); got != want {
			t.Errorf("in two writes: %s, want %s", got, want)
		}
		if got, err := cache.ParseDigest(want.String()); got != want || err != nil {
			t.Errorf("parsed: %s, %v, want %s", got, err, want)
		}
		if want.IsZero() || !(cache.Digest{}).IsZero() {
			t.Error("IsZero is wrong")
		}
	})
}

func TestDigestInJSON(t *testing.T) {
	type record struct {
		D cache.Digest
		A cache.ActionID
		R cache.RecipeID
		M map[cache.Digest]int
	}
	d := cache.SumBytes(nil)
	want := record{d, cache.NewActionID("a"), cache.NewRecipeID("r"), map[cache.Digest]int{d: 1}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `"D":"`+d.String()+`"`) {
		t.Errorf("JSON %s does not have the digest as a string", text)
	}
	var got record
	if err := json.Unmarshal(text, &got); err != nil || got.D != want.D || got.A != want.A || got.R != want.R || got.M[d] != 1 {
		t.Errorf("decoded %v, %v, want %v", got, err, want)
	}
}

func TestParseDigestRejects(t *testing.T) {
	good := cache.SumBytes(nil).String()
	for name, text := range map[string]string{
		"nothing":         "",
		"no algorithm":    strings.TrimPrefix(good, "sha256:"),
		"other algorithm": "sha512" + strings.TrimPrefix(good, "sha256"),
		"short":           good[:len(good)-1],
		"long":            good + "0",
		"upper case":      "sha256:" + strings.ToUpper(good[7:]),
		"not hexadecimal": good[:len(good)-1] + "g",
		"white space":     " " + good,
	} {
		if d, err := cache.ParseDigest(text); err == nil {
			t.Errorf("%s: %q parsed as %s", name, text, d)
		}
	}
}
