package stages

import "fmt"

// Rule is an error where a rule between parameters is broken, else nil: errors.Join of several is what Validate gives.
func Rule(broken bool, format string, args ...any) error {
	if !broken {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// Broken are the errors that Validate joined.
func Broken(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
