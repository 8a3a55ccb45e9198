package source

// tooDeep finds where lists and mappings in brackets stand too deep within each other. The parsers take them by
// recursion, for minutes where there are many.
func (s *scanner) tooDeep() Diagnostics {
	if s.deepest == (Position{}) {
		return nil
	}
	return Diagnostics{s.file.errorAt(s.deepest.Line, s.deepest.Column, 1, "nested deeper than %d levels", maxDepth)}
}
