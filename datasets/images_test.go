package datasets

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestRowsAsWritten(t *testing.T) {
	var out strings.Builder
	err := WriteRows(&out, []Row{
		{FileName: "n1/1_0000.png", Label: 0, Class: "missile", Generation: &Generation{Prompt: "a <photo> of a missile & co.", PromptID: 2, Seed: 1 << 63}, Origin: "generate"},
		{FileName: "crème brûlée/a 1.jpg", Label: 1, Class: "crème brûlée", Origin: "dataset"},
		{FileName: "0000.png", Label: Unlabelled, Generation: &Generation{Prompt: "a fox", Seed: 7}, Origin: "generate"},
	})
	want := `{"file_name":"n1/1_0000.png","label":0,"class":"missile","prompt":"a <photo> of a missile & co.","prompt_id":2,"seed":9223372036854775808,"origin":"generate"}
{"file_name":"crème brûlée/a 1.jpg","label":1,"class":"crème brûlée","origin":"dataset"}
{"file_name":"0000.png","label":-1,"class":"","prompt":"a fox","prompt_id":0,"seed":7,"origin":"generate"}
`
	if err != nil || out.String() != want {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestRowsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[a-zA-Z0-9 é_<"\\]{1,12}`)
		row := rapid.Custom(func(t *rapid.T) Row {
			r := Row{FileName: text.Draw(t, "folder") + "/" + text.Draw(t, "file"), Label: rapid.IntRange(-1, 5).Draw(t, "label"), Class: text.Draw(t, "class"), Origin: "generate"}
			if rapid.Bool().Draw(t, "generated") {
				r.Generation = &Generation{text.Draw(t, "prompt"), rapid.IntRange(0, 9).Draw(t, "id"), rapid.Uint64().Draw(t, "seed")}
			}
			return r
		})
		rows := rapid.SliceOfN(row, 1, 5).Draw(t, "rows")
		var first, second bytes.Buffer
		if err := WriteRows(&first, rows); err != nil {
			t.Fatal(err)
		}
		again, err := ReadRows(bytes.NewReader(first.Bytes()))
		if err != nil || !reflect.DeepEqual(again, rows) {
			t.Fatalf("%v, %v", again, err)
		}
		if err := WriteRows(&second, again); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatal("other bytes", err)
		}
	})
}

func TestReadRowsNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"{\"file_name\":\"a.png\"}\n\n{": "line 3",
		`{"file_name":"../a.png"}`:       `line 1: file_name "../a.png"`,
		`{"file_name":"/a.png"}`:         "line 1: file_name",
		`{"label":1}`:                    `line 1: file_name ""`,
		`{"file_name":"a","label":-2}`:   "label -2",
		`{"file_name":"a","label":"x"}`:  "line 1",
	} {
		if _, err := ReadRows(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
	if err := WriteRows(&bytes.Buffer{}, []Row{{FileName: "a"}, {FileName: "a//b"}}); err == nil || !strings.Contains(err.Error(), "row 2") {
		t.Errorf("got %v", err)
	}
}

func TestCheckLabels(t *testing.T) {
	rows := []Row{{FileName: "a", Label: 1}, {FileName: "b", Label: 2}}
	if err := CheckLabels(rows, class("x", "y", "z")); err != nil {
		t.Error(err)
	}
	if err := CheckLabels(rows, class("x", "y")); err == nil || !strings.Contains(err.Error(), "row 2: b has label 2, and there are 2 classes") {
		t.Errorf("got %v", err)
	}
}
