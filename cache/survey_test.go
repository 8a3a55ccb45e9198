package cache

import (
	"errors"
	"fmt"
	"testing"
)

// TestSurvey looks up what is there and what is not, so often that folders are listed.
func TestSurvey(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string) (RecipeID, ActionID) {
		recipe, action := NewRecipeID(name), NewActionID(name)
		if err := errors.Join(d.PutResult(t.Context(), &Result{Key: name, Action: action}), d.PutRecipe(t.Context(), recipe, action)); err != nil {
			t.Fatal(err)
		}
		return recipe, action
	}
	for k := range 300 {
		put(fmt.Sprint("there ", k))
	}
	const lookups = 20_000
	s := d.Survey(lookups)
	for k := range lookups {
		there := k%50 == 0
		name := fmt.Sprint("absent ", k)
		if there {
			name = fmt.Sprint("there ", k/50%300)
		}
		action, err := s.Recipe(t.Context(), NewRecipeID(name))
		if there != (err == nil && action == NewActionID(name)) || err != nil && !errors.Is(err, ErrMiss) {
			t.Fatalf("recipe %s: %v, %v", name, action, err)
		}
		r, err := s.Result(t.Context(), NewActionID(name))
		if there != (err == nil && r.Key == name) || err != nil && !errors.Is(err, ErrMiss) {
			t.Fatalf("result %s: %v", name, err)
		}
	}
	listed := 0
	for k := range s.recipes {
		if s.recipes[k].listed {
			listed++
		}
	}
	if listed < len(s.recipes)/2 {
		t.Errorf("%d folders were listed: want most", listed)
	}
	// What is put after a folder was listed is absent for this survey, and there for all others.
	recipe, action := put("late")
	if _, err := s.Recipe(t.Context(), recipe); !errors.Is(err, ErrMiss) {
		t.Errorf("late: %v", err)
	}
	if got, err := d.Survey(lookups).Recipe(t.Context(), recipe); err != nil || got != action {
		t.Errorf("late: %v, %v", got, err)
	}
}

// TestSurveySmall lists no folder that holds much more than is looked up, and finds what is there all the same.
func TestSurveySmall(t *testing.T) {
	d, err := OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for k := range 5000 {
		if err := d.PutRecipe(t.Context(), NewRecipeID(fmt.Sprint(k)), NewActionID("")); err != nil {
			t.Fatal(err)
		}
	}
	s := d.Survey(128) // 4 names a folder, where there are some 20
	for k := range 2000 {
		if _, err := s.Recipe(t.Context(), NewRecipeID(fmt.Sprint("absent ", k))); !errors.Is(err, ErrMiss) {
			t.Fatal(err)
		}
		if _, err := s.Recipe(t.Context(), NewRecipeID(fmt.Sprint(k))); err != nil {
			t.Fatal(err)
		}
	}
	for k := range s.recipes {
		if s.recipes[k].listed {
			t.Fatalf("folder %02x was listed", k)
		}
	}
}
