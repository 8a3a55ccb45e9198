//go:build amd64

package jpeg

var active = portable
