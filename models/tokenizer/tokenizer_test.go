package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"regft/models/internal/golden"
)

// TestGolden tokenizes the texts of every golden that has token ids.
func TestGolden(t *testing.T) {
	found := 0
	for _, dir := range goldenDirs(t) {
		files := os.DirFS(dir)
		if _, err := fs.Stat(files, "tokenizer"); err == nil {
			files, _ = fs.Sub(files, "tokenizer")
		}
		if _, err := fs.Stat(files, "vocab.json"); err != nil {
			continue
		}
		var meta struct{ Texts, Prompts []string }
		golden.JSON(t, dir, &meta)
		texts := append(meta.Texts, meta.Prompts...)
		if len(texts) == 0 {
			continue
		}
		found++
		t.Run(filepath.Base(dir), func(t *testing.T) {
			checkGolden(t, load(t, files), texts, golden.Open(t, dir).Int64s("input_ids"))
		})
	}
	if found == 0 {
		t.Fatal("no golden has token ids")
	}
}

func goldenDirs(t *testing.T) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(golden.Dir(t, "*"), "golden.json"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range dirs {
		dirs[i] = filepath.Dir(path)
	}
	return dirs
}

func load(t testing.TB, files fs.FS) *Tokenizer {
	t.Helper()
	tok, err := Load(files)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func checkGolden(t *testing.T, tok *Tokenizer, texts []string, want []int64) {
	if len(want) != len(texts)*tok.Length {
		t.Fatalf("golden has %d ids, not %d for each of %d texts", len(want), tok.Length, len(texts))
	}
	for i, text := range texts {
		row := want[i*tok.Length : (i+1)*tok.Length]
		if got := tok.Encode(text); !slices.EqualFunc(got, row, func(a int32, b int64) bool { return int64(a) == b }) {
			t.Errorf("%q:\ngot  %v\nwant %v", text, got, row)
		}
	}
}

// The words are those of open_clip 3.3 with ftfy 6.3.1 (TextFixerConfig(fix_encoding=False)) and regex 2026.11.19.
func TestWords(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"It's 12 o’clock, they'LL say “we’ve”", `it|'s|1|2|o|'|clock|,|they|'ll|say|"|we|'ve|"`},
		{"<start_of_text>x<END_OF_TEXT>", "<start_of_text>|x|<end_of_text>"},
		{"<|startoftext|>a<|endoftext|>", "<||startoftext||>|a|<||endoftext||>"},
		{"ＦＵＬＬ　ｗｉｄｔｈ ｶﾞ", "full|width|ガ"},
		{"ŉ Ǆ ﬃ ﬅ", "'|n|dž|ffi|ſt"},
		{"a\u0085b\u2028c\rd\x00e\ufefff\u206ag\x1b[31;1mred", "a|…|b|c|defgred"},
		{"\u0093quoted\u0094 \u0080", `"|quoted|"|€`},
		{"&AMP;amp;lt; &EACUTE;&szlig;&SZLIG; &amp&notit;&#x41;&#128;&#0;&#xd800;&#1;&#99999999999;", "<|éßss|&¬|it|;|a|€���"},
		{"<b>&eacute;</b>\n&eacute;", "<|b|>|é|</|b|>|é"},
		{"ΑΣ ΣΑΣ. İ ẞ K", "ας|σας|.|i|̇|ß|k"},
		{"e\u0301 n\u0303", "é|ñ"},
		{"a\u1fb3\u0345b ½ Ⅷ ²", "aᾳ|b|½|ⅷ|²"},
		{"x\x1c\x1d \u00a0\u2003y\u200bz", "x|y|\u200b|z"},
	} {
		if got := strings.Join(slices.Collect(words(clean(c.text))), "|"); got != c.want {
			t.Errorf("%q:\ngot  %q\nwant %q", c.text, got, c.want)
		}
	}
}

func TestTooLongKeepsEOS(t *testing.T) {
	tok := load(t, os.DirFS(golden.Dir(t, "tokenizer")))
	for words := 73; words < 80; words++ {
		ids := tok.Encode(strings.Repeat("a ", words))
		end := min(words+1, tok.Length-1)
		if len(ids) != tok.Length || ids[0] != tok.BOS || slices.Index(ids, tok.EOS) != end {
			t.Errorf("%d words: %v", words, ids)
		}
	}
}

// tiny returns the files of a tokenizer of single bytes and one merge.
func tiny() fstest.MapFS {
	var vocab []string
	for _, suffix := range []string{"", "</w>"} {
		for _, r := range byteAlphabet() {
			vocab = append(vocab, string(r)+suffix)
		}
	}
	vocab = append(vocab, "ab</w>", "<|startoftext|>", "<|endoftext|>")
	var text strings.Builder
	for i, token := range vocab {
		fmt.Fprintf(&text, "%s%q: %d", map[bool]string{true: ", "}[i > 0], token, i)
	}
	return fstest.MapFS{
		"vocab.json": {Data: []byte("{" + text.String() + "}")},
		"merges.txt": {Data: []byte("#version: 0.2\na b</w>\n")},
	}
}

func TestLoadErrorsNameTheFile(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"vocab.json", "[1]", "vocab.json"},
		{"vocab.json", `{"a": "x"}`, "vocab.json"},
		{"vocab.json", `{"<|startoftext|>": 0}`, `vocab.json has no token "<|endoftext|>"`},
		{"vocab.json", `{"<|startoftext|>": -1, "<|endoftext|>": 1}`, "has the id -1"},
		{"vocab.json", `{"<|startoftext|>": 0, "<|endoftext|>": 1}`, `has no token "Ā"`},
		{"merges.txt", "a b c\n", "merges.txt: line 1"},
		{"merges.txt", "#version: 0.2\na\n", "merges.txt: line 2"},
		{"merges.txt", "a c</w>\n", `merge 1 (a c</w>): vocab.json has no token "ac</w>"`},
		{"special_tokens_map.json", `{"pad_token": "[PAD]"}`, `"[PAD]"`},
		{"special_tokens_map.json", `{"pad_token": 7}`, "special_tokens_map.json"},
		{"tokenizer_config.json", "{", "tokenizer_config.json"},
	} {
		files := tiny()
		files[c.file] = &fstest.MapFile{Data: []byte(c.content)}
		if _, err := Load(files); err == nil {
			t.Errorf("%s of %s: no error", c.file, c.content)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %s: error %q lacks %q", c.file, c.content, err, c.want)
		}
	}
	files := tiny()
	delete(files, "merges.txt")
	if _, err := Load(files); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "merges.txt") {
		t.Errorf("without merges.txt: %v", err)
	}
	if _, err := Load(fstest.MapFS{}); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "vocab.json") {
		t.Errorf("without files: %v", err)
	}
}

func TestSpecialTokens(t *testing.T) {
	for _, c := range []struct {
		config, special string
		pad             int32
		length          int
	}{
		{"{}", "{}", 514, 77},
		{`{"pad_token": "<|endoftext|>", "model_max_length": 1000000000000000019884624838656}`, `{"pad_token": "!"}`, 33, 77},
		{`{"pad_token": {"content": "!", "lstrip": false}, "model_max_length": 5}`, `{"bos_token": null}`, 33, 5},
	} {
		files := tiny()
		files["tokenizer_config.json"] = &fstest.MapFile{Data: []byte(c.config)}
		files["special_tokens_map.json"] = &fstest.MapFile{Data: []byte(c.special)}
		tok := load(t, files)
		if tok.Pad != c.pad || tok.Length != c.length || tok.BOS != 513 || tok.EOS != 514 {
			t.Errorf("%s, %s: %d %d %d %d", c.config, c.special, tok.BOS, tok.EOS, tok.Pad, tok.Length)
		}
	}
}

func TestFastTokenizer(t *testing.T) {
	slow := tiny()
	want := load(t, slow).Encode("ab abab b")
	for _, merges := range []string{`["a b</w>"]`, `[["a", "b</w>"]]`} {
		content := fmt.Sprintf(`{"model": {"type": "BPE", "vocab": %s, "merges": %s}}`, slow["vocab.json"].Data, merges)
		tok := load(t, fstest.MapFS{"tokenizer.json": {Data: []byte(content)}})
		if got := tok.Encode("ab abab b"); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", merges, got, want)
		}
	}
	for _, content := range []string{"[]", `{"model": {"type": "WordPiece"}}`, `{"model": {"type": "BPE", "merges": [7]}}`} {
		if _, err := Load(fstest.MapFS{"tokenizer.json": {Data: []byte(content)}}); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
			t.Errorf("%s: %v", content, err)
		}
	}
}

func FuzzEncode(f *testing.F) {
	for _, text := range []string{"a photo of a tench.", "&amp;lt; &EACUTE;&#x41;", "<b>\r\nİ", "\xff\x1b[1m’ＡŉΣ"} {
		f.Add(text)
	}
	tok := load(f, tiny())
	f.Fuzz(func(t *testing.T, text string) {
		ids := tok.Encode(text)
		if len(ids) != tok.Length || ids[0] != tok.BOS || !slices.Contains(ids, tok.EOS) {
			t.Fatalf("%q: %v", text, ids)
		}
		if cleaned := clean(text); !utf8.ValidString(cleaned) || strings.Contains(cleaned, "  ") {
			t.Fatalf("%q: cleaned to %q", text, cleaned)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	tok := load(b, os.DirFS(golden.Dir(b, "tokenizer")))
	for _, c := range []struct{ name, text string }{
		{"ascii", "a bad photo of a golden retriever, a type of pet."},
		{"unicode", "it's a café, naïve résumé – 日本語のテキスト"},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				tok.Encode(c.text)
			}
		})
	}
}
