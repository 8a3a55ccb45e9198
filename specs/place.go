package specs

// ParamPlace is that of i's stage.
func (i *Instance) ParamPlace(name string) Place { return i.Stage.ParamPlace(name) }

// Variant is the same for instances of a stage that have the same parameters, their artifacts aside; nil where that is
// not known.
func (i *Instance) Variant() any {
	if i.variant == nil || len(i.variant.exprs) > 0 {
		return nil
	}
	return i.variant
}
