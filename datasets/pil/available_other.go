//go:build !amd64

package pil

var active = portable
