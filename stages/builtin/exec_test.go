package builtin_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"regft/stages"
)

// sh runs a script with inputs.
func (l *lab) sh(script, rest string, inputs ...stages.Input) (outcome, error) {
	l.t.Helper()
	given := map[string][]stages.Input{}
	if inputs != nil {
		given["inputs"] = inputs
	}
	return l.try("exec", fmt.Sprintf("{command: [sh, -c, %q]%s}", script, rest), given)
}

func TestExecInputs(t *testing.T) {
	l := newLab(t)
	dir := t.TempDir()
	file := write(t, "one\n", dir, "src.txt")
	write(t, "a", dir, "tree", "a")
	write(t, "b", dir, "tree", "deep", "b")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "tree"), link); err != nil {
		t.Fatal(err)
	}
	images := l.dataset(folderOf(t, 1, "cat"))
	made, err := l.sh("echo made > f", ", outputs: {f: f}")
	if err != nil {
		t.Fatal(err)
	}
	numbered := func(i int) stages.Input {
		return stages.Input{Key: "many", Coords: []stages.Coord{{Axis: "alpha", Key: fmt.Sprint(i)}}, Parts: []stages.Artifact{made.artifacts["f"]}}
	}
	o, err := l.sh("find inputs -type f | sort > found.txt; cat inputs/src inputs/made >> found.txt", ", outputs: {found: found.txt}",
		stages.Input{Key: "src", Path: file}, stages.Input{Key: "tree", Path: filepath.Join(dir, "tree")}, stages.Input{Key: "link", Path: link},
		stages.Input{Key: "pictures", Parts: []stages.Artifact{images}}, stages.Input{Key: "made", Parts: []stages.Artifact{made.artifacts["f"]}},
		numbered(0), numbered(1), stages.Input{Key: "lone", Coords: []stages.Coord{{Axis: "alpha", Key: "0"}}, Parts: []stages.Artifact{made.artifacts["f"]}},
		stages.Input{Key: "both", Parts: []stages.Artifact{images, images}})
	if err != nil {
		t.Fatal(err)
	}
	want := `inputs/both/0000/cat/0000_000000.png
inputs/both/0000/classes.txt
inputs/both/0000/metadata.jsonl
inputs/both/0001/cat/0000_000000.png
inputs/both/0001/classes.txt
inputs/both/0001/metadata.jsonl
inputs/link/a
inputs/link/deep/b
inputs/lone/0000
inputs/made
inputs/many/0000
inputs/many/0001
inputs/pictures/cat/0000_000000.png
inputs/pictures/classes.txt
inputs/pictures/metadata.jsonl
inputs/src
inputs/tree/a
inputs/tree/deep/b
one
made
`
	a := o.artifacts["found"]
	if got := text(t, a, a.Manifest.Files[0].Name); got != want {
		t.Errorf("inputs are\n%s\nwant\n%s", got, want)
	}
}

// TestExecPrivate: inputs are read-only, the environment is scrubbed, and what is not declared is not there.
func TestExecPrivate(t *testing.T) {
	l := newLab(t)
	t.Setenv("REGFT_TEST_PASSED", "yes")
	t.Setenv("REGFT_TEST_SCRUBBED", "no")
	dir := t.TempDir()
	write(t, "1", dir, "tree", "a")
	o, err := l.sh(`{ env | cut -d= -f1 | grep -v -e '^PWD$' -e '^SHLVL$' -e '^_$' -e '^OLDPWD$' | sort; stat -c '%a' inputs inputs/tree inputs/tree/a; ls; } > out.txt`,
		", env: [REGFT_TEST_PASSED, REGFT_TEST_UNSET], outputs: {out: out.txt}", stages.Input{Key: "tree", Path: filepath.Join(dir, "tree")})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, name := range []string{"HOME", "LANG", "PATH"} {
		if _, ok := os.LookupEnv(name); ok {
			want = append(want, name)
		}
	}
	want = append(want, "REGFT_TEST_PASSED", "555", "555", "444", "inputs", "out.txt")
	a := o.artifacts["out"]
	if got := strings.Fields(text(t, a, a.Manifest.Files[0].Name)); !slices.Equal(got, want) {
		t.Errorf("a program sees %q, want %q", got, want)
	}
	_, err = l.sh("cat exec_test.go", "")
	wantError(t, err, "No such file")
}

func TestExecOutputs(t *testing.T) {
	l := newLab(t)
	o, err := l.sh(`mkdir -p d/e none; echo 1 > d/e/f; echo 2 > d/g; echo 3 > one; : > empty`, ", outputs: {d: d, none: none, one: one, empty: empty}")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]string{"d": {"e/f": "1\n", "g": "2\n"}, "none": {}, "one": {"one": "3\n"}, "empty": {"empty": ""}} {
		dir := published(t, o.artifacts[name])
		found := map[string]string{}
		err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := os.ReadFile(p)
			rel, _ := filepath.Rel(dir, p)
			found[filepath.ToSlash(rel)] = string(content)
			return err
		})
		if err != nil || fmt.Sprint(found) != fmt.Sprint(want) {
			t.Errorf("output %s holds %q, %v, want %q", name, found, err, want)
		}
	}
	for script, c := range map[string][2]string{
		"true":                         {", outputs: {out: out.txt}", "left no output out"},
		"mkdir d; mkfifo d/pipe":       {", outputs: {d: d}", "pipe"},
		"mkdir -p d e; ln -s ../e d/l": {", outputs: {d: d}", "link to a folder"},
		"echo x > p":                   {", outputs: {p: {path: p, kind: images}}", "images are a folder"},
		"mkdir c":                      {", outputs: {c: {path: c, kind: classifier}}", "no config.json"},
	} {
		_, err := l.sh(script, c[0])
		wantError(t, err, c[1])
	}
}

// TestExecImages: pictures that a program left become a set, from metadata.jsonl or from folders.
func TestExecImages(t *testing.T) {
	l := newLab(t)
	data := l.dataset(folderOf(t, 2, "cat", "dog"))
	input := stages.Input{Key: "data", Parts: []stages.Artifact{data}}
	collect := func(script string) stages.Artifact {
		t.Helper()
		o, err := l.sh(script, ", outputs: {kept: {path: kept, kind: images}}", input)
		if err != nil {
			t.Fatal(err)
		}
		return o.artifacts["kept"]
	}
	if all := collect("cp -r inputs/data kept"); !slices.Equal(digests(t, all), digests(t, data)) || text(t, all, "classes.txt") != "cat\ndog\n" {
		t.Error("copied pictures are another set")
	}
	fewer := collect("cp -r inputs/data kept; chmod -R u+w kept; rm kept/cat/0000_000000.png")
	if got := digests(t, fewer); !slices.Equal(got, digests(t, data)[1:]) || rows(t, fewer)[0].Label != 1 {
		t.Errorf("without the first picture there are %d", len(got))
	}
	folders := collect("mkdir kept; cp -r inputs/data/cat inputs/data/dog kept")
	if got := rows(t, folders); len(got) != 4 || got[0].Origin != "exec" || got[1].Label != 1 {
		t.Errorf("rows of folders are %+v", got)
	}
	if got := rows(t, collect("mkdir kept")); len(got) != 0 {
		t.Errorf("an empty folder has %d pictures", len(got))
	}
	if none := collect("mkdir kept; cp inputs/data/classes.txt kept"); text(t, none, "classes.txt") != "cat\ndog\n" {
		t.Error("a set that a program emptied has no classes")
	}
	_, err := l.sh(`mkdir kept; echo '{"file_name": "a.png", "label": 3}' > kept/metadata.jsonl`, ", outputs: {kept: {path: kept, kind: images}}")
	wantError(t, err, "output kept", "metadata.jsonl", "label 3")
}

// TestExecFails: the error shows how it ended and its last lines; the log has all.
func TestExecFails(t *testing.T) {
	l := newLab(t)
	_, err := l.sh("for i in $(seq 30); do echo line $i; done; echo oops >&2; exit 7", "")
	wantError(t, err, "command sh", "exit status 7", "line 22\n", "oops")
	if strings.Contains(err.Error(), "line 21\n") {
		t.Errorf("the error shows more than ten lines: %v", err)
	}
	if got := l.log.String(); !strings.HasPrefix(got, "line 1\n") || !strings.HasSuffix(got, "oops\n") {
		t.Errorf("the log is %q", got)
	}
	_, err = l.sh("exit 1", "")
	wantError(t, err, "printed nothing")
	_, err = l.try("exec", "{command: [no-such-program]}", nil)
	wantError(t, err, "no-such-program")
}

// TestExecStops: an interruption ends a program and what it started within a second.
func TestExecStops(t *testing.T) {
	l := newLab(t)
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithCancel(t.Context())
	l.ctx = ctx
	go func() {
		for {
			if content, err := os.ReadFile(pids); err == nil && strings.Count(string(content), "\n") == 2 {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		cancel()
	}()
	var began time.Time
	context.AfterFunc(ctx, func() { began = time.Now() })
	_, err := l.sh(fmt.Sprintf("sleep 100 & { echo $$; echo $!; } > %s; wait", pids), "")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	content, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(content)) {
		for runs(pid) && time.Since(began) < time.Second {
			time.Sleep(time.Millisecond)
		}
	}
	if took := time.Since(began); took >= time.Second {
		t.Errorf("it took %v until all had ended", took)
	}
}

// runs tells whether a process is there and no zombie.
func runs(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestExecMetrics(t *testing.T) {
	l := newLab(t)
	o, err := l.sh(`echo '{"loss": 1.5, "steps": 3, "bad": "NaN"}' > m.json`, ", metrics: m.json")
	if err != nil || o.metrics["loss"] != 1.5 || o.metrics["steps"] != 3.0 || number(t, o, "bad") == number(t, o, "bad") {
		t.Errorf("metrics are %v, %v", o.metrics, err)
	}
	for content, want := range map[string]string{
		`{"a": {"b": 1}}`: "m.json: a is map[b:1], want a number", `{"a": true}`: "want a number", `[1]`: "want a JSON object", `{"a": NaN}`: "want a JSON object",
		`null`: "got null", `{"a": 1} {}`: "want a JSON object", ``: "want a JSON object", `{"a": "high"}`: "want a number",
	} {
		_, err := l.sh("echo '"+content+"' > m.json", ", metrics: m.json")
		wantError(t, err, "m.json", want)
	}
	_, err = l.sh("true", ", metrics: m.json")
	wantError(t, err, "left no metrics", "m.json")
}

func TestExecRefuses(t *testing.T) {
	l := newLab(t)
	for params, want := range map[string]string{
		`{command: []}`:                                           "want a program",
		`{command: [x], outputs: {a: ../b}}`:                      "outputs.a",
		`{command: [x], outputs: {a: /b}}`:                        "outputs.a",
		`{command: [x], outputs: {a: .}}`:                         "outputs.a",
		`{command: [x], outputs: {a: inputs/b}}`:                  "outputs.a",
		`{command: [x], outputs: {a: {path: b, kind: adapters}}}`: `"adapters" is no kind`,
		`{command: [x], outputs: {a: {file: b}}}`:                 `unknown key "file"`,
		`{command: [x], metrics: ../m}`:                           "metrics",
	} {
		_, err := l.try("exec", params, nil)
		wantError(t, err, want)
	}
	_, err := l.sh("true", "", stages.Input{Key: "../x", Path: folderOf(t, 1, "cat")})
	wantError(t, err, `"../x"`)
	_, err = l.sh("true", "", stages.Input{Key: "x", Path: "/no/such/file"})
	wantError(t, err, "input x", "/no/such/file")
}

// TestExecScores: whoever takes scores takes their metrics, so these are part of the content.
func TestExecScores(t *testing.T) {
	l := newLab(t)
	for _, test := range []struct{ script, want, fault string }{
		{`mkdir d; echo x > d/log; echo '{"top1": 0.50, "nll": "Infinity"}' > m.json`, `{"nll":"Infinity","top1":0.5}` + "\n", ""},
		{`mkdir d; echo '{ "top1": 0.50 }' > d/scores.json; cp d/scores.json m.json`, "{ \"top1\": 0.50 }\n", ""},
		{`mkdir d; echo '{"top1": 0.5}' > d/scores.json; echo '{"top1": 0.6}' > m.json`, "", "output s: its scores.json says other than the metrics file m.json"},
		{`mkdir d; echo top1 > d/scores.json; echo '{"top1": 0.6}' > m.json`, "", "output s: its scores.json: invalid character"},
	} {
		o, err := l.sh(test.script, ", outputs: {s: {path: d, kind: scores}}, metrics: m.json")
		if test.fault != "" {
			wantError(t, err, test.fault)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, o.artifacts["s"], "scores.json"); got != test.want {
			t.Errorf("%s: scores.json is %q, want %q", test.script, got, test.want)
		}
	}
}
