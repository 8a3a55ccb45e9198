package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes, as docs/spec.md lists them; an interrupted command ends with 128 and the signal's number.
const (
	exitDone        = 0
	exitFailed      = 1 // a stage failed
	exitUsage       = 2 // the spec or the command line is wrong
	exitPending     = 3 // --check found work or a difference
	exitIntegrity   = 4 // stored content is not what it should be
	exitUnavailable = 5 // no cache or executor
)

// An exitError is an error with the exit code that it means. One without a cause has been told already.
type exitError struct {
	code  int
	cause error
}

func (e exitError) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.cause.Error()
}

func (e exitError) Unwrap() error { return e.cause }

// usageError is a mistake on the command line of cmd.
func usageError(cmd *cobra.Command, err error) error {
	return exitError{exitUsage, fmt.Errorf("%w\nSee '%s --help'", err, cmd.CommandPath())}
}

// withUsage makes a command's complaints about its arguments usage errors.
func withUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		err := check(cmd, args)
		switch {
		case err == nil:
			return nil
		case countComplaint.MatchString(err.Error()):
			err = fmt.Errorf("got %s: the command is '%s'", plural(len(args), "argument"), commandLine(cmd))
		}
		return usageError(cmd, err)
	}
}

// countComplaint is how cobra begins what it says of too many or too few arguments.
var countComplaint = regexp.MustCompile(`^(accepts|requires|unknown command) `)

// commandLine is how cmd is called, flags apart.
func commandLine(cmd *cobra.Command) string {
	return strings.TrimSpace(strings.TrimSuffix(cmd.CommandPath(), cmd.Name()) + cmd.Use)
}

// exitCode tells what err means to a shell, and prints it where nobody has.
func (a *app) exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	e, known := errors.AsType[exitError](err)
	if !known {
		e = exitError{exitUsage, err} // cobra's own: an unknown command
	}
	if e.cause != nil {
		a.warn("%v", err)
	}
	return e.code
}
