// Package stages is the contract between the engine and the types of stage that a spec may use.
//
// A stage type is a struct of parameters and one registration (stages/builtin). The struct's tags are the only place
// where a default, a range or a unit is written: decoding, errors, JSON Schema, `regft stages` and the action key are
// all read off them. No stage type knows the engine, the spec or the store; all that a running stage may touch is its Env.
//
// The tags of a parameter:
//
//	yaml:"steps"           its name
//	default:"50"           YAML text; without it a parameter is required, unless it is a pointer or a Seed
//	optional:"true"        not required, and has no default
//	min:"1" max:"1000"     range, both ends allowed
//	enum:"a,b"             the values allowed
//	unit:"steps" doc:"…"   for people
//	null:"…"               null is a value, and this is what it means
//	in:"images"            takes artifacts of this kind ("any" takes all; kinds are separated by commas)
//	shape:"map"            with in: a mapping of names to artifacts
//	path:"true"            with in: plain text is a path, an artifact is written in ${…}
//	each:"node"            with in: one node for every artifact of the list; metrics are named after it
//	cel:"metrics"          CEL by nature, over this variable: Eval is given metrics as a mapping of positions ("0", …) to
//	                       the metrics of a score's Parts, and image as a mapping of one picture's attributes
//	names:"score number"   with cel: the names that the variable has, each with its type: number, text or bool
//	axes:"replicates"      a list of axes (of replicates; "any": of any kind)
//	pool:"pool"            with in: gathered over the axes that parameter pool lists too
//	key:"-"                changes speed, never a result: not in the action key
//	partial:"-"            not in the key of partial work (Env.Partial)
//
// A type with OutAs whose parameter takes a list chooses one of that list: Host.Choose. Candidates and the scores that
// they are chosen by belong together where they agree in their Coords (Agree); scores that are pooled have the pooled
// axes as further coordinates, so that a candidate has one for each replicate. Such a stage records its metrics by the
// position of the data set, as Metric("0", …); whoever reads them puts the names of Instance.Parts there.
package stages
