package stages

import "fmt"

// Rule is an error where a rule between parameters is broken, else nil: errors.Join of several is what Validate gives.
func Rule(broken bool, format string, args ...any) error {
	if !broken {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// Broken are the errors that Validate joined, joined ones among them too.
func Broken(err error) []error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case err == nil:
		return nil
	case !ok:
		return []error{err}
	}
	var out []error
	for _, e := range joined.Unwrap() {
		out = append(out, Broken(e)...)
	}
	return out
}
