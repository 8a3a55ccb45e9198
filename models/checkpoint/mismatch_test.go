package checkpoint

import (
	"fmt"
	"strings"
	"testing"
)

func TestMismatchNamesAFew(t *testing.T) {
	e := &MismatchError{File: "model.safetensors"}
	for i := range 53 {
		e.Missing = append(e.Missing, fmt.Sprintf("layer.%d", i))
	}
	if got := e.Error(); !strings.HasSuffix(got, "53 tensors missing: layer.0, layer.1, layer.2, layer.3, layer.4, and 48 more") {
		t.Error(got)
	}
	e.Missing = e.Missing[:5]
	if got := e.Error(); strings.Contains(got, "more") || !strings.HasSuffix(got, "layer.4") {
		t.Error(got)
	}
}
