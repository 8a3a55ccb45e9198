package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// Result gives an action's record from one small file, or from upstream.
func (d *Dir) Result(ctx context.Context, action ActionID) (*Result, error) {
	r, err := d.localResult(ctx, action)
	if d.upstream == nil || !errors.Is(err, ErrMiss) {
		return r, err
	}
	return d.upstreamResult(ctx, action)
}

func (d *Dir) localResult(ctx context.Context, action ActionID) (*Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	path := d.entryPath(resultsFolder, action.sum)
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, d.missing("result of "+action.String(), path, err)
	}
	result, err := DecodeResult(content, action)
	if err != nil {
		return nil, d.damaged("result of "+action.String(), path, err.Error())
	}
	return result, nil
}

// PutResult stores a record, durably, after checking that all it refers to is there.
func (d *Dir) PutResult(ctx context.Context, result *Result) error {
	content, err := EncodeResult(result)
	if err != nil {
		return err
	}
	for name, digest := range result.Outputs {
		if err := d.needs(ctx, digest); err != nil {
			return fmt.Errorf("storing the result of %s: output %q: %w", result.Action, name, err)
		}
	}
	if !result.Log.IsZero() {
		if err := d.needs(ctx, result.Log); err != nil {
			return fmt.Errorf("storing the result of %s: its log: %w", result.Action, err)
		}
	}
	err = d.writeEntry(d.entryPath(resultsFolder, result.Action.sum), content, grouped)
	if err == nil {
		err = d.settle()
	}
	if err != nil {
		return fmt.Errorf("storing the result of %s: %w", result.Action, err)
	}
	return nil
}

// needs is an error if content is not there.
func (d *Dir) needs(ctx context.Context, digest Digest) error {
	has, err := d.Has(ctx, digest)
	if err == nil && !has {
		err = &MissError{blobEntry(digest), "absent"}
	}
	return err
}

// Results gives every readable record of the store, in the order of their
// actions; malformed ones are set aside and left out. The error, which ends it,
// means that the store could not be read.
func (d *Dir) Results(ctx context.Context) iter.Seq2[*Result, error] {
	return func(yield func(*Result, error) bool) {
		root := filepath.Join(d.root, resultsFolder)
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			var action ActionID
			name := filepath.Base(filepath.Dir(path)) + entry.Name()
			if action.UnmarshalText([]byte(digestPrefix+name)) != nil {
				return nil // not ours
			}
			result, err := d.localResult(ctx, action)
			if errors.Is(err, ErrMiss) {
				return nil
			}
			if err == nil && !yield(result, nil) {
				return fs.SkipAll
			}
			return err
		})
		if err != nil {
			yield(nil, fmt.Errorf("reading the cache's results: %w", err))
		}
	}
}

// Recipe gives the action of a recipe from one small file, or from upstream.
func (d *Dir) Recipe(ctx context.Context, recipe RecipeID) (ActionID, error) {
	action, err := d.localRecipe(ctx, recipe)
	if d.upstream == nil || !errors.Is(err, ErrMiss) {
		return action, err
	}
	return d.upstreamRecipe(ctx, recipe)
}

func (d *Dir) localRecipe(ctx context.Context, recipe RecipeID) (ActionID, error) {
	if err := ctx.Err(); err != nil {
		return ActionID{}, err
	}
	path := d.entryPath(recipesFolder, recipe.sum)
	content, err := os.ReadFile(path)
	if err != nil {
		return ActionID{}, d.missing("recipe "+recipe.String(), path, err)
	}
	action, err := DecodeRecipe(content, recipe)
	if err != nil {
		return ActionID{}, d.damaged("recipe "+recipe.String(), path, err.Error())
	}
	return action, nil
}

// PutRecipe records a recipe's action. It is not durable: after a power cut the
// action's own record, which is, gives it again.
func (d *Dir) PutRecipe(ctx context.Context, recipe RecipeID, action ActionID) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	content := EncodeRecipe(recipe, action)
	if err := d.writeEntry(d.entryPath(recipesFolder, recipe.sum), content, derived); err != nil {
		return fmt.Errorf("storing recipe %s: %w", recipe, err)
	}
	return nil
}

// EncodeResult gives the text of a record, here and on remotes: a line with its
// checksum, and the record as JSON.
func EncodeResult(result *Result) ([]byte, error) {
	if err := result.validate(); err != nil {
		return nil, err
	}
	body, err := json.Marshal(result)
	if err != nil {
		return nil, fmt.Errorf("encoding the result of %s: %w", result.Action, err)
	}
	return seal("result", append(body, '\n')), nil
}

// DecodeResult reads what EncodeResult wrote for action; the error says what else
// content is.
func DecodeResult(content []byte, action ActionID) (*Result, error) {
	body, err := unseal("result", content)
	if err != nil {
		return nil, err
	}
	var result Result
	// Called directly: json.Unmarshal would scan the text twice more.
	if err := result.UnmarshalJSON(body); err != nil {
		return nil, fmt.Errorf("not a result: %w", err)
	}
	if result.Action != action {
		return nil, fmt.Errorf("it is the result of %s", result.Action)
	}
	return &result, result.validate()
}

// EncodeRecipe gives the text that says which action a recipe stands for.
func EncodeRecipe(recipe RecipeID, action ActionID) []byte {
	return seal("recipe", fmt.Appendf(nil, "%s %s\n", recipe, action))
}

// DecodeRecipe reads what EncodeRecipe wrote for recipe.
func DecodeRecipe(content []byte, recipe RecipeID) (ActionID, error) {
	body, err := unseal("recipe", content)
	if err != nil {
		return ActionID{}, err
	}
	of, text, _ := bytes.Cut(bytes.TrimSuffix(body, []byte("\n")), []byte(" "))
	if string(of) != recipe.String() {
		return ActionID{}, fmt.Errorf("it is of recipe %.80q", of)
	}
	var action ActionID
	err = action.UnmarshalText(text)
	return action, err
}

// seal puts a line before body that says what it is and has its XXH64.
func seal(kind string, body []byte) []byte {
	return append(sealLine(kind, body), body...)
}

func sealLine(kind string, body []byte) []byte {
	return fmt.Appendf(nil, "regft %s 1 %016x\n", kind, xxhash.Sum64(body))
}

// unseal gives the body that seal was given, or says what is wrong with content.
func unseal(kind string, content []byte) ([]byte, error) {
	line, body, found := bytes.Cut(content, []byte("\n"))
	if !found {
		return nil, fmt.Errorf("cut short after %d bytes", len(content))
	}
	if !bytes.HasPrefix(line, fmt.Appendf(nil, "regft %s 1 ", kind)) {
		return nil, fmt.Errorf("it begins with %.40q, not as a %s", line, kind)
	}
	if want := sealLine(kind, body); !bytes.Equal(content[:len(line)+1], want) {
		return nil, errors.New("its checksum is wrong")
	}
	return body, nil
}
