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
