package cache

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Whatever decodes is a result of the action asked for, whose encoding decodes
// to the same.
func FuzzDecodeResult(f *testing.F) {
	action := NewActionID("key")
	chosen := 0
	for _, r := range []Result{
		{Action: action, Key: "key"},
		{Action: action, Key: "key", Chosen: &chosen, Outputs: map[string]Digest{"": SumBytes(nil)}, Metrics: map[string]any{"x": "NaN", "l": []any{1.0, nil}}},
		{Action: action, Key: "other key"},
	} {
		body, err := json.Marshal(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte{})
	f.Add([]byte(`{"action":"sha256:"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		// Sealed, because the checksum would hide the decoder behind it.
		r, err := DecodeResult(seal("result", body), action)
		if err != nil {
			return
		}
		if r.Action != action || NewActionID(r.Key) != action {
			t.Fatalf("%q decoded as the result of %q", body, r.Key)
		}
		content, err := EncodeResult(r)
		if err != nil {
			t.Fatalf("%q decoded, but does not encode: %v", body, err)
		}
		again, err := DecodeResult(content, action)
		if err != nil {
			t.Fatalf("%q encoded as %q, which does not decode: %v", body, content, err)
		}
		if diff := cmp.Diff(r, again, cmpopts.EquateNaNs(), cmpopts.EquateEmpty(), cmpopts.EquateComparable(Digest{}, ActionID{})); diff != "" {
			t.Errorf("%q (-decoded +again):\n%s", body, diff)
		}
	})
}

// Without its right seal nothing is a record.
func FuzzUnseal(f *testing.F) {
	f.Add([]byte{})
	f.Add(seal("result", []byte("{}")))
	f.Add(seal("recipe", []byte("{}")))
	f.Fuzz(func(t *testing.T, content []byte) {
		body, err := unseal("result", content)
		if err == nil && string(seal("result", body)) != string(content) {
			t.Errorf("%q unsealed as %q", content, body)
		}
	})
}
