package specs

import "context"

// Expand gives every point and every instance that s asks for. Warnings are in the expansion too.
func (s *Spec) Expand(ctx context.Context) (*Expansion, Diagnostics) {
	return nil, Diagnostics{{Severity: Error, File: s.Path, Summary: "not built yet"}}
}
