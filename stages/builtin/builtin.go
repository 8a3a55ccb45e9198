// Package builtin holds regft's stage types, one a file: the parameters of a type are its struct, and the struct runs.
package builtin
