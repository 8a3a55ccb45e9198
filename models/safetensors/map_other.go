//go:build !unix

package safetensors

func mapFile(path string) (mapping, error) { return readFile(path) }
