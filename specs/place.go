package specs

// ParamPlace is where the spec gives parameter name of i's stage; the stage's place where it does not.
func (i *Instance) ParamPlace(name string) Place {
	for _, p := range i.Stage.params {
		if p.field.Name == name {
			return i.Stage.expansion.tree.Place(p.node)
		}
	}
	return i.Stage.Place
}

// Variant is the same for instances of a stage that have the same parameters, their artifacts aside; nil where that is
// not known.
func (i *Instance) Variant() any {
	if i.variant == nil || len(i.variant.exprs) > 0 {
		return nil
	}
	return i.variant
}
