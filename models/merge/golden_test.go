package merge

import (
	"slices"
	"testing"

	"regft/models/internal/golden"
	"regft/models/nn"
)

// TestGolden: the ensembles golden, whose models are one vector each, has a row of merged weights an alpha.
func TestGolden(t *testing.T) {
	dir := golden.Dir(t, "ensembles")
	var meta struct {
		Config struct{ Alphas []float64 }
		Layout []struct {
			Name   string
			Shape  []int
			Offset int
		}
	}
	golden.JSON(t, dir, &meta)
	g := golden.Open(t, dir)
	model := func(vector []float32) nn.Arrays {
		arrays := nn.Arrays{}
		for _, l := range meta.Layout {
			size := 1
			for _, d := range l.Shape {
				size *= d
			}
			arrays[l.Name] = nn.Array{Shape: l.Shape, Values: vector[l.Offset : l.Offset+size]}
		}
		return arrays
	}
	from, to := model(g.Float32s("base")), model(g.Float32s("model.0"))
	all := g.Float32s("linear")
	for i, alpha := range meta.Config.Alphas {
		row := len(all) / len(meta.Config.Alphas)
		want := model(all[i*row : (i+1)*row])
		got, err := Linear(from, to, alpha)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range want.Names() {
			if !slices.Equal(got[name].Values, want[name].Values) {
				t.Errorf("alpha %g: %s has other bits", alpha, name)
			}
		}
	}
}
