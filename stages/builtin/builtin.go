// Package builtin holds regft's stage types, one a file: the parameters of a type are its struct, and the struct runs.
package builtin

import (
	"context"
	"errors"

	"regft/stages"
)

// declared is embedded by types whose specs check and plan, and that no run can execute yet.
type declared struct{}

// NotBuilt names the whole type.
func (declared) NotBuilt() string { return "this stage type" }

// Run is never reached: the engine refuses what is not built.
func (declared) Run(context.Context, *stages.Env) error {
	return errors.New("this stage type is not built yet")
}
